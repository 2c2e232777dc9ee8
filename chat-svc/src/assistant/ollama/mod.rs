//! A language model behind Ollama's API: `POST /api/chat`, answered by a stream of JSON
//! lines.
//!
//! Read by a small reader of our own. The usual crate for Ollama loses errors in
//! mid-stream and characters that are split between two chunks, and brings a second
//! version of the HTTP client.

mod lines;
mod wire;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use reqwest::{Client, Response, StatusCode, Url, redirect};

use self::{
    lines::Lines,
    wire::{ChatRequest, Line},
};
use super::{Answering, Assistant, Failure, Piece};
use crate::{chat::Tokens, prompt::Prompt};

/// How a model is reached.
#[derive(Debug, Clone)]
pub struct OllamaConfig {
    /// Where Ollama is: `http://127.0.0.1:11434`.
    pub url: String,
    /// The model's name there.
    pub model: String,
    /// The context window to ask for, in tokens.
    pub window: u32,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long the first text may take: a model may have to be loaded.
    pub first_token_timeout: Duration,
    /// How long it may be silent after that.
    pub idle_timeout: Duration,
    /// How long the server keeps the model in memory afterwards.
    pub keep_alive: Duration,
}

impl OllamaConfig {
    /// A model at `url`, with the times that apply unless somebody knows better.
    #[must_use]
    pub fn new(url: impl Into<String>, model: impl Into<String>, window: u32) -> Self {
        Self {
            url: url.into(),
            model: model.into(),
            window,
            connect_timeout: Duration::from_secs(2),
            first_token_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(20),
            keep_alive: Duration::from_secs(30 * 60),
        }
    }
}

/// Ollama's address cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the address of Ollama cannot be used: {0}")]
pub struct InvalidUrl(String);

/// The adapter.
pub struct Ollama {
    http: Client,
    endpoint: Url,
    config: OllamaConfig,
}

impl Ollama {
    /// An adapter; it connects when it is first used.
    ///
    /// # Errors
    /// If the URL is malformed.
    pub fn new(config: OllamaConfig) -> Result<Self, InvalidUrl> {
        // Fails if it was done before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let endpoint = format!("{}/api/chat", config.url.trim_end_matches('/'));
        let endpoint = Url::parse(&endpoint).map_err(|error| InvalidUrl(error.to_string()))?;
        let http = Client::builder()
            .connect_timeout(config.connect_timeout)
            // A server that moved is not one to send conversations to.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| InvalidUrl(error.to_string()))?;
        Ok(Self {
            http,
            endpoint,
            config,
        })
    }

    async fn ask(&self, prompt: &Prompt) -> Result<Response, Failure> {
        let request = ChatRequest::new(&self.config, prompt);
        let request = self.http.post(self.endpoint.clone()).json(&request);
        let answer = request.send().await.map_err(|error| unreachable(&error))?;
        if answer.status().is_success() {
            Ok(answer)
        } else {
            Err(refusal(answer).await)
        }
    }
}

#[async_trait]
impl Assistant for Ollama {
    fn model(&self) -> &str {
        &self.config.model
    }

    fn window(&self) -> u32 {
        self.config.window
    }

    async fn answer(&self, prompt: &Prompt) -> Result<Answering, Failure> {
        // The head comes with the first text.
        let head = tokio::time::timeout(self.config.first_token_timeout, self.ask(prompt));
        let answer = head.await.map_err(|_| SILENT)??;
        let reading = Reading {
            body: answer.bytes_stream().boxed(),
            lines: Lines::default(),
            idle: self.config.idle_timeout,
            patience: self.config.first_token_timeout,
            done: None,
            ended: false,
            over: false,
        };
        let pieces = stream::unfold(reading, |mut reading| async move {
            if reading.over {
                return None;
            }
            let piece = reading.next().await;
            reading.over = !matches!(piece, Ok(Piece::Text(_)));
            Some((piece, reading))
        });
        Ok(pieces.boxed())
    }
}

const SILENT: Failure = Failure::Timeout("it was silent for too long");

/// An answer that is being read.
struct Reading {
    body: BoxStream<'static, Result<Bytes, reqwest::Error>>,
    lines: Lines,
    idle: Duration,
    /// How long the next bytes may take.
    patience: Duration,
    /// What follows the text that was returned last.
    done: Option<Piece>,
    /// Whether the body has ended.
    ended: bool,
    /// Whether there is nothing more to say.
    over: bool,
}

impl Reading {
    async fn next(&mut self) -> Result<Piece, Failure> {
        loop {
            if let Some(done) = self.done.take() {
                return Ok(done);
            }
            while let Some(line) = self.lines.next(self.ended) {
                match read(&line)? {
                    [Some(text), done] => {
                        self.done = done;
                        return Ok(text);
                    }
                    [None, Some(done)] => return Ok(done),
                    [None, None] => {}
                }
            }
            if self.ended {
                let text = "the stream ended without saying that it is done";
                return Err(Failure::Truncated(text.to_owned()));
            }
            let bytes = tokio::time::timeout(self.patience, self.body.next());
            match bytes.await.map_err(|_| SILENT)? {
                Some(Ok(bytes)) => {
                    self.patience = self.idle;
                    self.lines.push(&bytes).map_err(Failure::Malformed)?;
                }
                Some(Err(error)) => return Err(Failure::Truncated(chain(&error))),
                None => self.ended = true,
            }
        }
    }
}

/// What a line says: a text, that it is done, both, or nothing.
fn read(line: &[u8]) -> Result<[Option<Piece>; 2], Failure> {
    let line: Line =
        serde_json::from_slice(line).map_err(|error| Failure::Malformed(error.to_string()))?;
    if let Some(error) = line.error {
        return Err(Failure::ServerError(error));
    }
    let text = line.message.map(|message| message.content);
    let done = Piece::Done(Tokens {
        prompt: line.prompt_eval_count,
        answer: line.eval_count,
    });
    Ok([
        text.filter(|text| !text.is_empty()).map(Piece::Text),
        line.done.then_some(done),
    ])
}

fn unreachable(error: &reqwest::Error) -> Failure {
    if error.is_builder() {
        Failure::Malformed(chain(error))
    } else {
        Failure::Unavailable(chain(error))
    }
}

async fn refusal(answer: Response) -> Failure {
    let status = answer.status();
    let body = answer.bytes().await.unwrap_or_default();
    let said = serde_json::from_slice::<Line>(&body).ok();
    let said = said.and_then(|line| line.error);
    match (status, said) {
        (StatusCode::NOT_FOUND, Some(error)) => Failure::ModelMissing(error),
        (StatusCode::SERVICE_UNAVAILABLE, error) => {
            Failure::Unavailable(error.unwrap_or_else(|| status.to_string()))
        }
        (_, Some(error)) => Failure::ServerError(format!("{status}: {error}")),
        (_, None) => Failure::ServerError(status.to_string()),
    }
}

/// An error with what caused it: the client's own text names the URL only.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
