//! `healthcheck`: asks a process on this machine whether it can serve.

use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::{config::Layers, local::reached_at};

const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks the process with this configuration.
///
/// # Errors
/// If it cannot serve, with what is missing, or does not answer.
pub async fn run(layers: &Layers) -> anyhow::Result<()> {
    let settings = layers.settings(None)?;
    // An error means that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().timeout(TIMEOUT).build()?;
    let url = format!("http://{}/readyz", reached_at(settings.ops_addr));
    let answer = http.get(&url).send().await;
    let answer = answer.with_context(|| format!("{url} does not answer"))?;
    let status = answer.status();
    if !status.is_success() {
        bail!("{url} answers {status}: {}", answer.text().await?);
    }
    Ok(())
}
