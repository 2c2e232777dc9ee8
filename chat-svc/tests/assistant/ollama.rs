//! A server that speaks Ollama's API, well or badly, as it is told.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::post,
};
use futures::{Stream, StreamExt as _, stream};
use serde_json::{Value, json};
use slipway_mesh::testing::PATIENCE;
use tokio::{net::TcpListener, sync::watch};

/// What the server does with a request.
#[derive(Clone)]
pub(crate) enum Does {
    /// Sends these chunks and ends.
    Says(Vec<Vec<u8>>),
    /// Sends these chunks and says nothing more.
    FallsSilentAfter(Vec<Vec<u8>>),
    /// Sends these chunks and cuts the connection.
    BreaksAfter(Vec<Vec<u8>>),
    /// Answers with a status and a body.
    Refuses(u16, &'static str),
    /// Does not answer.
    IsSilent,
}

/// A line with a text.
pub(crate) fn text(text: &str) -> Vec<u8> {
    let line = json!({"model": "llama3.2", "message": {"role": "assistant", "content": text}, "done": false});
    format!("{line}\n").into_bytes()
}

/// The last line.
pub(crate) fn done() -> Vec<u8> {
    let line = json!({
        "model": "llama3.2", "message": {"role": "assistant", "content": ""}, "done": true,
        "done_reason": "stop", "prompt_eval_count": 321, "eval_count": 12,
    });
    format!("{line}\n").into_bytes()
}

/// A whole answer.
pub(crate) fn says(words: &str) -> Does {
    let words = words.split_inclusive(' ').map(text);
    Does::Says(words.chain([done()]).collect())
}

#[derive(Default)]
struct Script {
    next: VecDeque<Does>,
    requests: Vec<Value>,
}

/// The server. Without a script it says "ok".
pub(crate) struct FakeOllama {
    pub(crate) url: String,
    script: Arc<Mutex<Script>>,
    /// Bodies that are being sent.
    pub(crate) open: watch::Receiver<usize>,
}

#[derive(Clone)]
struct Shared {
    script: Arc<Mutex<Script>>,
    open: watch::Sender<usize>,
}

impl FakeOllama {
    pub(crate) async fn start() -> Self {
        let script = Arc::new(Mutex::new(Script::default()));
        let (sender, open) = watch::channel(0);
        let shared = Shared {
            script: script.clone(),
            open: sender,
        };
        let router = Router::new()
            .route("/api/chat", post(chat))
            .with_state(shared);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, script, open }
    }

    /// What it does with the next request.
    pub(crate) fn then(&self, does: Does) -> &Self {
        self.script.lock().unwrap().next.push_back(does);
        self
    }

    /// Waits until nobody listens any more.
    pub(crate) async fn is_left(&self) {
        let mut open = self.open.clone();
        let left = open.wait_for(|open| *open == 0);
        let left = tokio::time::timeout(PATIENCE, left).await;
        left.expect("its answers are dropped").unwrap();
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.script.lock().unwrap().requests.clone()
    }
}

async fn chat(State(shared): State<Shared>, Json(request): Json<Value>) -> Response {
    let does = {
        let mut script = shared.script.lock().unwrap();
        script.requests.push(request);
        script.next.pop_front().unwrap_or_else(|| says("ok"))
    };
    let nothing = stream::pending::<Result<Bytes, io::Error>>();
    match does {
        Does::Says(chunks) => body(&shared, pieces(chunks)),
        Does::FallsSilentAfter(chunks) => body(&shared, pieces(chunks).chain(nothing)),
        Does::BreaksAfter(chunks) => {
            let cut = stream::once(async {
                // What was said before is on its way by then.
                tokio::task::yield_now().await;
                Err(io::Error::other("cut"))
            });
            body(&shared, pieces(chunks).chain(cut))
        }
        Does::Refuses(status, body) => {
            (StatusCode::from_u16(status).unwrap(), body).into_response()
        }
        Does::IsSilent => {
            let _open = Open::new(&shared);
            std::future::pending::<Infallible>().await;
            unreachable!()
        }
    }
}

fn pieces(chunks: Vec<Vec<u8>>) -> impl Stream<Item = Result<Bytes, io::Error>> {
    stream::iter(chunks).map(|chunk| Ok(Bytes::from(chunk)))
}

fn body(
    shared: &Shared,
    pieces: impl Stream<Item = Result<Bytes, io::Error>> + Send + 'static,
) -> Response {
    let open = Open::new(shared);
    let pieces = pieces.inspect(move |_| {
        let _ = &open;
    });
    Body::from_stream(pieces).into_response()
}

/// Counts an answer for as long as somebody is there to hear it.
struct Open(watch::Sender<usize>);

impl Open {
    fn new(shared: &Shared) -> Self {
        shared.open.send_modify(|open| *open += 1);
        Self(shared.open.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}
