//! Replays of dead letters.

use axum::response::Response;
use slipway_proto::notify::v1::{ReplayDeadLetterRequest, ReplayDeadLettersRequest};
use slipway_rpc::error::Fault;

use super::{Id, Sent};
use crate::pages::{self, dead_letters as page};

/// Replays one as it is.
pub(super) async fn replay(Id(id): Id, sent: Sent) -> Response {
    one(id, None, sent).await
}

/// Replays one with another payload.
pub(super) async fn edit(Id(id): Id, sent: Sent) -> Response {
    let payload = sent.fields.get("payload").to_owned();
    one(id, Some(payload), sent).await
}

async fn one(id: String, edited_payload: Option<String>, sent: Sent) -> Response {
    let request = sent.request(ReplayDeadLetterRequest { id, edited_payload });
    let letters = sent.services().dead_letters.clone();
    let answer = { letters }.replay_dead_letter(request).await;
    let outcome = answer.map(|_| sent.back()).map_err(Fault::from);
    sent.end(outcome).await
}

/// Replays those that the form selects, or tells how many they are. The answer is a page, which has
/// what only it can tell.
pub(super) async fn replay_many(sent: Sent) -> Response {
    let filter = match page::filter(&sent.fields) {
        Ok(filter) => filter,
        Err(fault) => return sent.end(Err(fault)).await,
    };
    let request = sent.request(ReplayDeadLettersRequest {
        filter: Some(filter),
        dry_run: sent.fields.get("dry") == "true",
        all: page::is_all(&sent.fields),
    });
    let letters = sent.services().dead_letters.clone();
    match { letters }.replay_dead_letters(request).await {
        Ok(answer) => {
            let back = sent.back();
            let news = page::replayed(&back, &sent.fields, answer.get_ref());
            pages::with_news(&back, sent.web, sent.visitor, &news).await
        }
        Err(status) => sent.end(Err(status.into())).await,
    }
}
