//! Adapter for a language model behind Ollama's API: `POST /api/chat`, which answers with a stream
//! of JSON lines.
//!
//! Requests use the types of `ollama-rs`. Its response parsers are not used: they read without a
//! size limit, and lose errors within the stream, characters that are split between two chunks, and
//! the reason why an answer ended. Ours are in [`reading`] and [`catalogue`].
//!
//! Models that can think before they answer are asked not to, if the server supports that. Thinking
//! in an answer is dropped.

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
use crate::prompt::{PROMPT_RELEASES, Prompt};

/// Connection settings of a model.
#[derive(Debug, Clone)]
pub struct OllamaConfig {
    /// Base URL of Ollama: `http://127.0.0.1:11434`.
    pub url: String,
    /// The model's name in Ollama.
    pub model: String,
    /// The context window to request, in tokens.
    pub window: u32,
    /// Time limit for connecting.
    pub connect_timeout: Duration,
    /// Time limit for listing or describing models.
    pub catalogue_timeout: Duration,
    /// Time limit for the first text: the model may have to be loaded.
    pub first_token_timeout: Duration,
    /// Time limit for each further text.
    pub idle_timeout: Duration,
    /// How long the server keeps the model in memory after an answer.
    pub keep_alive: Duration,
}

impl OllamaConfig {
    /// A model at `url`, with default time limits.
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

/// The URL of Ollama is invalid.
#[derive(Debug, thiserror::Error)]
#[error("the address of Ollama cannot be used: {0}")]
pub struct InvalidUrl(String);

/// The adapter for Ollama.
pub struct Ollama {
    http: Client,
    endpoint: Url,
    catalogue: Catalogue,
    config: OllamaConfig,
}

impl Ollama {
    /// Creates an adapter, which connects on first use.
    ///
    /// # Errors
    /// If the URL is malformed.
    pub fn new(config: OllamaConfig) -> Result<Self, InvalidUrl> {
        // Fails if a provider is already installed, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let invalid = |error: &dyn std::error::Error| InvalidUrl(error.to_string());
        // `join` would drop a last path segment without a slash.
        let base = format!("{}/", config.url.trim_end_matches('/'));
        let base = Url::parse(&base).map_err(|error| invalid(&error))?;
        let endpoint = base.join("api/chat").map_err(|error| invalid(&error))?;
        let http = Client::builder()
            .connect_timeout(config.connect_timeout)
            // Conversations are not sent to a server that we are redirected to.
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
            // Some models can think but cannot turn it off.
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

/// Checks whether the server is reachable and has the model.
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

    fn releases(&self) -> usize {
        PROMPT_RELEASES
    }

    async fn answer(&self, prompt: &Prompt) -> Result<Answering, Failure> {
        // The response headers come with the first text.
        let head = tokio::time::timeout(self.config.first_token_timeout, self.ask(prompt));
        let head = head.await.unwrap_or(Err(SILENT));
        // After any failure, the cached capability may be wrong too.
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

/// Maximum number of bytes to read of an error response, which is one sentence.
const LONGEST_REFUSAL: usize = 16 * 1024;

/// The beginning of a body, at most `most` bytes.
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
    let message = serde_json::from_slice::<Line>(&body).ok();
    let message = message.and_then(|line| line.error);
    match (status, message) {
        (StatusCode::NOT_FOUND, Some(error)) => Failure::ModelMissing(error),
        (StatusCode::SERVICE_UNAVAILABLE, error) => {
            Failure::Unavailable(error.unwrap_or_else(|| status.to_string()))
        }
        (_, Some(error)) => Failure::ServerError(format!("{status}: {error}")),
        (_, None) => Failure::ServerError(status.to_string()),
    }
}

/// An error with its causes: the client's own text has only the URL.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
