//! What is mailed, and when.

use axum::response::Response;
use slipway_proto::notify::v1::{Preferences, QuietHours, QuietMode, UpdatePreferencesRequest};

use super::Sent;

/// Replaces the preferences. Types that the page had are muted if they were not ticked.
pub(super) async fn save(sent: Sent) -> Response {
    let fields = &sent.fields;
    let is_wanted = |kind: &str| fields.all("wanted").any(|wanted| wanted == kind);
    let muted = fields.all("type").filter(|kind| !is_wanted(kind));
    let mode = match fields.get("mode") {
        "skip" => QuietMode::Skip,
        _ => QuietMode::Defer,
    };
    let preferences = Preferences {
        email: fields.get("email") == "true",
        muted: muted.map(str::to_owned).collect(),
        quiet_hours: Some(QuietHours {
            enabled: fields.get("quiet") == "true",
            start: sent.line("start"),
            end: sent.line("end"),
            time_zone: sent.line("quiet_zone"),
            mode: mode.into(),
        }),
        time_zone: sent.line("zone"),
        wanted: Vec::new(),
    };
    let outcome = async {
        let request = sent.request(UpdatePreferencesRequest {
            preferences: Some(preferences),
            revision: Some(sent.revision()?),
        });
        let service = sent.services().preferences.clone();
        { service }.update_preferences(request).await?;
        Ok(sent.back())
    };
    let outcome = outcome.await;
    sent.end(outcome).await
}
