//! Asks the server about its models: whether it has the configured one, and whether that one
//! thinks.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest_of_ollama_rs::{Client, RequestBuilder, Url};
use serde::de::DeserializeOwned;
use serde_json::json;
use slipway_runtime::text::clean_line;

use super::{
    Failure, OllamaConfig, SILENT, first_bytes, refusal, unreachable,
    wire::{Model, Models, Shown},
};

/// How long the result is cached: a model may be replaced by another version.
const KNOWN_FOR: Duration = Duration::from_secs(10 * 60);

/// Maximum number of bytes to read of a model's description, which includes its licence and its
/// template.
const LONGEST: usize = 4 * 1024 * 1024;

/// Maximum number of model names in an error message.
const MAX_NAMES: usize = 5;

/// Client for the server's model catalogue.
pub(super) struct Catalogue {
    http: Client,
    base: Url,
    model: String,
    timeout: Duration,
    known: Mutex<Option<Known>>,
}

/// The cached capability of the model.
#[derive(Clone, Copy)]
struct Known {
    can_think: bool,
    at: Instant,
}

impl Catalogue {
    /// A catalogue of the server at `base`, which ends with a slash.
    pub(super) fn new(base: Url, http: Client, config: &OllamaConfig) -> Self {
        Self {
            http,
            base,
            model: config.model.clone(),
            timeout: config.catalogue_timeout,
            known: Mutex::new(None),
        }
    }

    /// Whether the model can think before it answers, and can be asked not to. `false` if the
    /// server does not say.
    pub(super) async fn can_think(&self) -> bool {
        let known = *self.known.lock();
        if let Some(known) = known.filter(|known| known.at.elapsed() < KNOWN_FOR) {
            return known.can_think;
        }
        let shown = tokio::time::timeout(self.timeout, self.show()).await;
        let can_think = shown.is_ok_and(|shown| {
            shown.is_ok_and(|info| info.capabilities.iter().any(|can| can == "thinking"))
        });
        self.remember(can_think);
        can_think
    }

    /// Caches whether the model can think.
    pub(super) fn remember(&self, can_think: bool) {
        let at = Instant::now();
        *self.known.lock() = Some(Known { can_think, at });
    }

    /// Clears the cache.
    pub(super) fn forget(&self) {
        *self.known.lock() = None;
    }

    /// Checks whether the server is reachable and has the model.
    ///
    /// # Errors
    /// What is wrong, for operators.
    pub(super) async fn check(&self) -> Result<(), String> {
        let look = tokio::time::timeout(self.timeout, self.look());
        look.await.unwrap_or_else(|_| Err(SILENT.to_string()))
    }

    async fn look(&self) -> Result<(), String> {
        let refused = match self.show().await {
            Ok(_) => return Ok(()),
            Err(Failure::Unavailable(text)) => return Err(format!("it cannot be reached: {text}")),
            Err(error) => error,
        };
        // It does not have the model, or does not support this call.
        let models = self.ask::<Models>("api/tags", Client::get).await;
        let models = models.map_err(|_| format!("it refuses: {}", server_message(&refused)))?;
        let models = models.models;
        if models.iter().any(|model| self.is_ours(model)) {
            return Ok(());
        }
        let model = &self.model;
        Err(format!(
            "it does not have {model}; it has {}",
            names(&models)
        ))
    }

    async fn show(&self) -> Result<Shown, Failure> {
        let request = json!({"name": self.model});
        self.ask("api/show", |http, url| http.post(url).json(&request))
            .await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        request: impl FnOnce(&Client, Url) -> RequestBuilder,
    ) -> Result<T, Failure> {
        let malformed = |error: &dyn std::error::Error| Failure::Malformed(error.to_string());
        let url = self.base.join(path).map_err(|error| malformed(&error))?;
        let answer = request(&self.http, url).send().await;
        let answer = answer.map_err(|error| unreachable(&error))?;
        if !answer.status().is_success() {
            return Err(refusal(answer).await);
        }
        let body = first_bytes(answer, LONGEST).await;
        serde_json::from_slice(&body).map_err(|error| malformed(&error))
    }

    /// A name without a tag means the tag `latest`.
    fn is_ours(&self, model: &Model) -> bool {
        let name = model.name.strip_suffix(":latest").unwrap_or(&model.name);
        let ours = self.model.strip_suffix(":latest").unwrap_or(&self.model);
        name.eq_ignore_ascii_case(ours)
    }
}

/// The server's error message.
fn server_message(failure: &Failure) -> String {
    let text = match failure {
        Failure::ModelMissing(text) | Failure::ServerError(text) => text.clone(),
        other => other.to_string(),
    };
    clean_line(&text).chars().take(200).collect()
}

fn names(models: &[Model]) -> String {
    if models.is_empty() {
        return "no models".to_owned();
    }
    let names = models.iter().take(MAX_NAMES);
    let mut names: Vec<String> = names.map(|model| clean_line(&model.name)).collect();
    if let Some(more @ 1..) = models.len().checked_sub(MAX_NAMES) {
        names.push(format!("{more} more"));
    }
    names.join(", ")
}
