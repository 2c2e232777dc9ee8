//! A language model behind Ollama's API: `POST /api/chat`, answered by a stream of JSON
//! lines.
//!
//! Requests are `ollama-rs`'s. Its readers of answers are not used: they read whatever the
//! server sends to the end, and lose errors in mid-stream, characters that are split between
//! two chunks, and why an answer ended. Ours are in [`reading`] and [`catalogue`].
//!
//! Models that think before they answer are asked not to, where the server says that they
//! can be; what they think all the same is dropped.

mod catalogue;
mod lines;
mod reading;
mod wire;

use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use reqwest_of_ollama_rs::{Client, Error, Response, StatusCode, Url, redirect};
use slipway_runtime::life::{Check, Problem};

use self::{catalogue::Catalogue, reading::Reading, wire::Line};
use super::{Answering, Assistant, Failure, Piece};
use crate::prompt::Prompt;

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
    /// How long the server may take to say what models it has.
    pub catalogue_timeout: Duration,
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
            catalogue_timeout: Duration::from_secs(5),
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
    catalogue: Catalogue,
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
        let invalid = |error: &dyn std::error::Error| InvalidUrl(error.to_string());
        // Paths are put behind it as they are.
        let base = format!("{}/", config.url.trim_end_matches('/'));
        let base = Url::parse(&base).map_err(|error| invalid(&error))?;
        let endpoint = base.join("api/chat").map_err(|error| invalid(&error))?;
        let http = Client::builder()
            .connect_timeout(config.connect_timeout)
            // A server that moved is not one to send conversations to.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| invalid(&error))?;
        Ok(Self {
            catalogue: Catalogue::new(base, http.clone(), &config),
            http,
            endpoint,
            config,
        })
    }

    async fn ask(&self, prompt: &Prompt) -> Result<Response, Failure> {
        let quiet = self.catalogue.can_think().await;
        let mut answer = self.post(prompt, quiet).await?;
        if quiet && answer.status() == StatusCode::BAD_REQUEST {
            // It may be able to think and unable not to.
            answer = self.post(prompt, false).await?;
            if answer.status().is_success() {
                let model = &self.config.model;
                tracing::info!(model, "Ollama cannot disable this model's thinking");
                self.catalogue.remember(false);
            }
        }
        if answer.status().is_success() {
            Ok(answer)
        } else {
            Err(refusal(answer).await)
        }
    }

    async fn post(&self, prompt: &Prompt, quiet: bool) -> Result<Response, Failure> {
        let request = wire::request(&self.config, prompt, quiet);
        let request = self.http.post(self.endpoint.clone()).json(&request);
        request.send().await.map_err(|error| unreachable(&error))
    }
}

/// Whether the server is there and has the model.
#[async_trait]
impl Check for Ollama {
    async fn check(&self) -> Result<(), Problem> {
        self.catalogue.check().await.map_err(Problem::Away)
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
        let head = head.await.unwrap_or(Err(SILENT));
        // Whatever is wrong with it, what is known of the model may be as well.
        let answer = head.inspect_err(|_| self.catalogue.forget())?;
        let reading = Reading::new(answer, &self.config);
        let pieces = stream::unfold(Some(reading), |reading| async {
            let mut reading = reading?;
            let piece = reading.next().await;
            let goes_on = matches!(piece, Ok(Piece::Text(_)));
            Some((piece, goes_on.then_some(reading)))
        });
        Ok(pieces.boxed())
    }
}

const SILENT: Failure = Failure::Timeout("it was silent for too long");

fn unreachable(error: &Error) -> Failure {
    if error.is_builder() {
        Failure::Malformed(chain(error))
    } else {
        Failure::Unavailable(chain(error))
    }
}

/// Bytes of a refusal that are read at most: it is a sentence.
const LONGEST_REFUSAL: usize = 16 * 1024;

/// The beginning of a body: as much as there may be, or as came.
async fn first_bytes(mut answer: Response, most: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        let room = most - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == most {
            break;
        }
    }
    body
}

async fn refusal(answer: Response) -> Failure {
    let status = answer.status();
    let body = first_bytes(answer, LONGEST_REFUSAL).await;
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
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
