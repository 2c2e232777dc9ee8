//! A fake server of Ollama's API that can be told to misbehave.

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

/// The server's reaction to a request.
#[derive(Clone)]
pub(crate) enum Reaction {
    /// Sends these chunks and ends.
    Says(Vec<Vec<u8>>),
    /// Sends these chunks, then stays silent.
    FallsSilentAfter(Vec<Vec<u8>>),
    /// Sends these chunks, then drops the connection.
    BreaksAfter(Vec<Vec<u8>>),
    /// Answers with this status and body.
    Refuses(u16, &'static str),
    /// Sends this chunk repeatedly, without an end.
    NeverEnds(Vec<u8>),
    /// Does not answer.
    IsSilent,
}

/// A line with a text.
pub(crate) fn text(text: &str) -> Vec<u8> {
    let message = json!({"role": "assistant", "content": text});
    line(&json!({"model": "llama3.2", "message": message, "done": false}))
}

/// A line with thinking, which the server separates.
pub(crate) fn thinking(text: &str) -> Vec<u8> {
    let message = json!({"role": "assistant", "content": "", "thinking": text});
    line(&json!({"model": "llama3.2", "message": message, "done": false}))
}

/// The last line.
pub(crate) fn done() -> Vec<u8> {
    ended("stop", &json!(""))
}

/// A last line with this reason and content.
pub(crate) fn ended(reason: &str, content: &Value) -> Vec<u8> {
    line(&json!({
        "model": "llama3.2", "message": {"role": "assistant", "content": content}, "done": true,
        "done_reason": reason, "prompt_eval_count": 321, "eval_count": 12,
    }))
}

fn line(line: &Value) -> Vec<u8> {
    format!("{line}\n").into_bytes()
}

/// A complete answer.
pub(crate) fn says(words: &str) -> Reaction {
    let words = words.split_inclusive(' ').map(text);
    Reaction::Says(words.chain([done()]).collect())
}

struct Script {
    next: VecDeque<Reaction>,
    requests: Vec<Value>,
    /// The reaction to requests for the model's description, and their number.
    description: Reaction,
    descriptions: usize,
    /// The names of the listed models; `None`: the server does not know this call.
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

/// Describes a model with these capabilities.
pub(crate) fn describes(capabilities: &[&str]) -> Reaction {
    let description = json!({
        "license": "none", "parameters": "", "template": "{{ .Prompt }}",
        "details": {"family": "llama"}, "model_info": {"general.architecture": "llama"},
        "capabilities": capabilities,
    });
    Reaction::Says(vec![description.to_string().into_bytes()])
}

/// The server. Without a script it answers "ok".
pub(crate) struct FakeOllama {
    pub(crate) url: String,
    script: Arc<Mutex<Script>>,
    /// The number of bodies being sent.
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

    /// Sets the reaction to the next question.
    pub(crate) fn then(&self, reaction: Reaction) -> &Self {
        self.script.lock().unwrap().next.push_back(reaction);
        self
    }

    /// Sets the reaction to requests for the model's description.
    pub(crate) fn describing(&self, reaction: Reaction) -> &Self {
        self.script.lock().unwrap().description = reaction;
        self
    }

    /// Sets the models that it lists.
    pub(crate) fn listing(&self, models: Option<Vec<&'static str>>) -> &Self {
        self.script.lock().unwrap().models = models;
        self
    }

    /// How many times the model's description was requested.
    pub(crate) fn descriptions(&self) -> usize {
        self.script.lock().unwrap().descriptions
    }

    /// Waits until all clients have disconnected.
    pub(crate) async fn wait_until_unused(&self) {
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
    let reaction = {
        let mut script = shared.script.lock().unwrap();
        script.requests.push(request);
        script.next.pop_front().unwrap_or_else(|| says("ok"))
    };
    carry_out(&shared, reaction).await
}

async fn show(State(shared): State<Shared>, Json(request): Json<Value>) -> Response {
    assert_eq!(request, json!({"name": "llama3.2"}));
    let reaction = {
        let mut script = shared.script.lock().unwrap();
        script.descriptions += 1;
        script.description.clone()
    };
    carry_out(&shared, reaction).await
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

async fn carry_out(shared: &Shared, reaction: Reaction) -> Response {
    let nothing = stream::pending::<Result<Bytes, io::Error>>();
    match reaction {
        Reaction::Says(chunks) => body(shared, pieces(chunks)),
        Reaction::FallsSilentAfter(chunks) => body(shared, pieces(chunks).chain(nothing)),
        Reaction::BreaksAfter(chunks) => {
            let cut = stream::once(async {
                // The chunks are on their way before the connection is dropped.
                tokio::task::yield_now().await;
                Err(io::Error::other("cut"))
            });
            body(shared, pieces(chunks).chain(cut))
        }
        Reaction::NeverEnds(chunk) => body(shared, stream::repeat(Bytes::from(chunk)).map(Ok)),
        Reaction::Refuses(status, body) => {
            (StatusCode::from_u16(status).unwrap(), body).into_response()
        }
        Reaction::IsSilent => {
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

/// Counts an answer while its client is connected.
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
