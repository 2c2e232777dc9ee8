//! What the visitor changes of the own account, its password aside.

use axum::response::Response;
use slipway_proto::{
    identity::v1::UpdateMeRequest,
    notify::v1::{GetPreferencesRequest, UpdatePreferencesRequest},
};
use slipway_rpc::error::Fault;

use super::Sent;

/// Changes the name and the time zone. The zone is one of the preferences.
pub(super) async fn save(sent: Sent) -> Response {
    let outcome = async {
        let request = sent.request(UpdateMeRequest {
            display_name: Some(sent.line("display_name")),
            revision: sent.revision()?,
            ..UpdateMeRequest::default()
        });
        let identity = sent.services().identity.clone();
        { identity }.update_me(request).await?;
        save_zone(&sent).await?;
        Ok(sent.back())
    };
    let outcome = outcome.await;
    sent.end(outcome).await
}

async fn save_zone(sent: &Sent) -> Result<(), Fault> {
    // Without it the page did not know the preferences.
    let Some(zone) = sent.fields.filled("zone").map(str::trim) else {
        return Ok(());
    };
    let mut service = sent.services().preferences.clone();
    let request = sent.request(GetPreferencesRequest {});
    let stored = service.get_preferences(request).await?.into_inner();
    let stored = stored.preferences.unwrap_or_default();
    let mut preferences = stored.preferences.unwrap_or_default();
    if preferences.time_zone == zone {
        return Ok(());
    }
    zone.clone_into(&mut preferences.time_zone);
    let request = sent.request(UpdatePreferencesRequest {
        preferences: Some(preferences),
        // Of the rest only what was read is written again.
        revision: Some(stored.revision),
    });
    service.update_preferences(request).await?;
    Ok(())
}

/// Asks for another email address.
pub(super) async fn change_email(sent: Sent) -> Response {
    let request = sent.request(UpdateMeRequest {
        email: Some(sent.line("email")),
        current_password: sent.fields.get("current").to_owned(),
        ..UpdateMeRequest::default()
    });
    let identity = sent.services().identity.clone();
    let answer = { identity }.update_me(request).await;
    let outcome = answer.map(|_| sent.back()).map_err(Fault::from);
    sent.end(outcome).await
}
