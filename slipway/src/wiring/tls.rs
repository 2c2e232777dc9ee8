//! Takes over changed certificates while the process runs.

use std::{sync::Arc, time::Duration};

use slipway_runtime::life::Background;
use tokio_util::sync::CancellationToken;

use crate::config::{Settings, Tls};

/// How often the files are looked at. Certificates are renewed days before they expire.
const EVERY: Duration = Duration::from_secs(5);

/// Uses the TLS files of `settings` in `tls` whenever they change. Connections that are open stay
/// open with the certificate that they began with.
pub(super) fn follow_files(settings: &Settings, tls: &Tls, background: &Background) {
    if tls.is_off() {
        return;
    }
    let (settings, tls) = (Arc::new(settings.clone()), tls.clone());
    background.spawn("tls-files", move |stop| {
        follow(Arc::clone(&settings), tls.clone(), stop)
    });
}

async fn follow(mut settings: Arc<Settings>, tls: Tls, stop: CancellationToken) {
    let mut wrong = None;
    while stop
        .run_until_cancelled(tokio::time::sleep(EVERY))
        .await
        .is_some()
    {
        let known = Arc::clone(&settings);
        match tokio::task::spawn_blocking(move || changed(&known)).await {
            Ok(Ok(None)) => wrong = None,
            Ok(Ok(Some((new, read)))) => {
                tls.replace_by(&read);
                settings = Arc::new(new);
                wrong = None;
                tracing::info!("TLS files have changed; new connections use them");
            }
            // A certificate and its key are seldom replaced in the same instant: it may be right
            // the next time.
            Ok(Err(error)) if wrong.as_ref() != Some(&error) => {
                tracing::warn!(
                    error,
                    "TLS files have changed and cannot be used; the earlier ones stay in use"
                );
                wrong = Some(error);
            }
            Ok(Err(_)) => {}
            Err(panic) => tracing::error!(%panic, "failed to read the TLS files"),
        }
    }
}

/// The settings with the changed files, and what was made of them.
fn changed(settings: &Settings) -> Result<Option<(Settings, Tls)>, String> {
    let Some(new) = settings.with_changed_tls()? else {
        return Ok(None);
    };
    let tls = new
        .tls()
        .map_err(|error| format!("a certificate, or the file with its key, {error}"))?;
    Ok(Some((new, tls)))
}
