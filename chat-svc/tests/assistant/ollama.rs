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
    routing::{get, post},
};
use futures::{Stream, StreamExt as _, stream};
use serde_json::{Value, json};
use slipway_runtime::testing::TIMEOUT;
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
    /// Sends this chunk again and again.
    NeverEnds(Vec<u8>),
    /// Does not answer.
    IsSilent,
}

/// A line with a text.
pub(crate) fn text(text: &str) -> Vec<u8> {
    let message = json!({"role": "assistant", "content": text});
    line(&json!({"model": "llama3.2", "message": message, "done": false}))
}

/// A line in which the server tells thinking apart.
pub(crate) fn thinking(text: &str) -> Vec<u8> {
    let message = json!({"role": "assistant", "content": "", "thinking": text});
    line(&json!({"model": "llama3.2", "message": message, "done": false}))
}

/// The last line.
pub(crate) fn done() -> Vec<u8> {
    ended("stop", &json!(""))
}

/// A last line with this reason and this content.
pub(crate) fn ended(reason: &str, content: &Value) -> Vec<u8> {
    line(&json!({
        "model": "llama3.2", "message": {"role": "assistant", "content": content}, "done": true,
        "done_reason": reason, "prompt_eval_count": 321, "eval_count": 12,
    }))
}

fn line(line: &Value) -> Vec<u8> {
    format!("{line}\n").into_bytes()
}

/// A whole answer.
pub(crate) fn says(words: &str) -> Does {
    let words = words.split_inclusive(' ').map(text);
    Does::Says(words.chain([done()]).collect())
}

struct Script {
    next: VecDeque<Does>,
    requests: Vec<Value>,
    /// What it says of its model, and how often it was asked.
    description: Does,
    descriptions: usize,
    /// The names of the models it lists; `None`: it does not know this call.
    models: Option<Vec<&'static str>>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            next: VecDeque::new(),
            requests: Vec::new(),
            description: describes(&["completion"]),
            descriptions: 0,
            models: Some(vec!["llama3.2:latest"]),
        }
    }
}

/// Describes a model that can do this.
pub(crate) fn describes(capabilities: &[&str]) -> Does {
    let description = json!({
        "license": "none", "parameters": "", "template": "{{ .Prompt }}",
        "details": {"family": "llama"}, "model_info": {"general.architecture": "llama"},
        "capabilities": capabilities,
    });
    Does::Says(vec![description.to_string().into_bytes()])
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
            .route("/api/show", post(show))
            .route("/api/tags", get(tags))
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

    /// What it does from now on when it is asked about its model.
    pub(crate) fn describing(&self, does: Does) -> &Self {
        self.script.lock().unwrap().description = does;
        self
    }

    /// Which models it lists from now on.
    pub(crate) fn listing(&self, models: Option<Vec<&'static str>>) -> &Self {
        self.script.lock().unwrap().models = models;
        self
    }

    /// How often it was asked about its model.
    pub(crate) fn descriptions(&self) -> usize {
        self.script.lock().unwrap().descriptions
    }

    /// Waits until nobody listens any more.
    pub(crate) async fn is_left(&self) {
        let mut open = self.open.clone();
        let left = open.wait_for(|open| *open == 0);
        let left = tokio::time::timeout(TIMEOUT, left).await;
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
    carry_out(&shared, does).await
}

async fn show(State(shared): State<Shared>, Json(request): Json<Value>) -> Response {
    assert_eq!(request, json!({"name": "llama3.2"}));
    let does = {
        let mut script = shared.script.lock().unwrap();
        script.descriptions += 1;
        script.description.clone()
    };
    carry_out(&shared, does).await
}

async fn tags(State(shared): State<Shared>) -> Response {
    let Some(models) = shared.script.lock().unwrap().models.clone() else {
        return (StatusCode::NOT_FOUND, "404 page not found").into_response();
    };
    let models = models.into_iter().map(|name| {
        let time = "2026-03-04T12:00:00.5+01:00";
        json!({"name": name, "model": name, "modified_at": time, "size": 42, "digest": "c0ffee"})
    });
    Json(json!({"models": models.collect::<Vec<_>>()})).into_response()
}

async fn carry_out(shared: &Shared, does: Does) -> Response {
    let nothing = stream::pending::<Result<Bytes, io::Error>>();
    match does {
        Does::Says(chunks) => body(shared, pieces(chunks)),
        Does::FallsSilentAfter(chunks) => body(shared, pieces(chunks).chain(nothing)),
        Does::BreaksAfter(chunks) => {
            let cut = stream::once(async {
                // What was said before is on its way by then.
                tokio::task::yield_now().await;
                Err(io::Error::other("cut"))
            });
            body(shared, pieces(chunks).chain(cut))
        }
        Does::NeverEnds(chunk) => body(shared, stream::repeat(Bytes::from(chunk)).map(Ok)),
        Does::Refuses(status, body) => {
            (StatusCode::from_u16(status).unwrap(), body).into_response()
        }
        Does::IsSilent => {
            let _open = Open::new(shared);
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
