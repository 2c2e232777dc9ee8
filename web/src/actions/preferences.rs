//! What is mailed, and when.

use axum::response::Response;
use slipway_proto::notify::v1::{Preferences, QuietHours, QuietMode, UpdatePreferencesRequest};
use slipway_rpc::error::Fault;

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
    let request = sent.request(UpdatePreferencesRequest {
        preferences: Some(preferences),
        revision: fields.get("revision").parse().ok(),
    });
    let answer = sent
        .services()
        .preferences
        .clone()
        .update_preferences(request)
        .await;
    let outcome = answer.map(|_| sent.back()).map_err(Fault::from);
    sent.end(outcome).await
}
