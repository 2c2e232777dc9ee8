//! What the server says of its models: whether it has ours, and whether that one thinks.

use std::time::{Duration, Instant};

use ollama_rs::{
    Ollama as Api,
    error::{OllamaError, Result},
    models::{LocalModel, ModelInfo},
};
use parking_lot::Mutex;
use reqwest_of_ollama_rs::{Client, Url};
use slipway_runtime::text::clean_line;

use super::{OllamaConfig, SILENT, chain, wire::Line};

/// A model may be replaced by another version: it is asked for again after this time.
const KNOWN_FOR: Duration = Duration::from_secs(10 * 60);

/// Names of models that are told at most.
const MAX_NAMES: usize = 5;

/// Asks the server.
pub(super) struct Catalogue {
    api: Api,
    model: String,
    timeout: Duration,
    known: Mutex<Option<Known>>,
}

/// What was found out about the model.
#[derive(Clone, Copy)]
struct Known {
    can_think: bool,
    at: Instant,
}

impl Catalogue {
    /// Of the server at `base`.
    pub(super) fn new(base: Url, http: Client, config: &OllamaConfig) -> Self {
        Self {
            api: Api::builder().url(base).reqwest_client(http).build(),
            model: config.model.clone(),
            timeout: config.catalogue_timeout,
            known: Mutex::new(None),
        }
    }

    /// Whether the model can think before it answers, and can be asked not to. If it cannot
    /// be found out now: no.
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

    /// Remembers whether it can.
    pub(super) fn remember(&self, can_think: bool) {
        let at = Instant::now();
        *self.known.lock() = Some(Known { can_think, at });
    }

    /// Has it found out again.
    pub(super) fn forget(&self) {
        *self.known.lock() = None;
    }

    /// Whether the server is there and has the model.
    ///
    /// # Errors
    /// What is wrong, for operators.
    pub(super) async fn check(&self) -> std::result::Result<(), String> {
        let look = tokio::time::timeout(self.timeout, self.look());
        look.await.unwrap_or_else(|_| Err(SILENT.to_string()))
    }

    async fn look(&self) -> std::result::Result<(), String> {
        let Err(error) = self.show().await else {
            return Ok(());
        };
        if let OllamaError::ReqwestError(error) = &error {
            return Err(format!("it cannot be reached: {}", chain(error)));
        }
        // It does not have the model, or does not know this call.
        let models = self.api.list_local_models().await;
        let models = models.map_err(|_| format!("it refuses: {}", said(&error)))?;
        if models.iter().any(|model| self.is_ours(model)) {
            return Ok(());
        }
        let model = &self.model;
        Err(format!(
            "it does not have {model}; it has {}",
            names(&models)
        ))
    }

    async fn show(&self) -> Result<ModelInfo> {
        self.api.show_model_info(self.model.clone()).await
    }

    /// A name without a tag means the tag `latest`.
    fn is_ours(&self, model: &LocalModel) -> bool {
        let name = model.name.strip_suffix(":latest").unwrap_or(&model.name);
        let ours = self.model.strip_suffix(":latest").unwrap_or(&self.model);
        name.eq_ignore_ascii_case(ours)
    }
}

/// What the server said when it refused.
fn said(error: &OllamaError) -> String {
    let text = error.to_string();
    let line = serde_json::from_str::<Line>(&text).ok();
    let text = line.and_then(|line| line.error).unwrap_or(text);
    clean_line(&text).chars().take(200).collect()
}

fn names(models: &[LocalModel]) -> String {
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
