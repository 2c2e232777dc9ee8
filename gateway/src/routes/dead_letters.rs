//! `/admin/dead-letters…`: events that consumers could not handle.

use axum::{Json, extract::State};
use slipway_proto::notify::v1::GetDeadLetterRequest;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::document::{ForAdmins, Repeatable};
use crate::{
    app::AppState,
    extract::{Caller, ListParams, PathId, Payload},
    model::{
        DeadLetter, DeadLetterSummary, DeadLettersQuery, Id, Page, Paging, Replay, ReplayMany,
        ReplayedMany, required,
    },
    problem::Problem,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(replay))
        .routes(routes!(replay_many))
}

/// Events that a consumer group could not handle, newest first.
#[utoipa::path(
    get,
    path = "/admin/dead-letters",
    operation_id = "listDeadLetters",
    tag = "administration",
    params(DeadLettersQuery, Paging),
    responses(
        (status = 200, description = "A page of dead letters", body = Page<DeadLetterSummary>),
        ForAdmins,
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn list(
    State(app): State<AppState>,
    caller: Caller,
    ListParams(query, paging): ListParams<DeadLettersQuery>,
) -> Result<Json<Page<DeadLetterSummary>>, Problem> {
    let request = caller.outbound.request(query.page(paging));
    let answer = app.dead_letters().list_dead_letters(request).await?;
    let answer = answer.into_inner();
    Ok(Json(Page::new(
        answer.dead_letters,
        answer.next_page_token,
    )?))
}

/// One dead letter, with its payload and its history.
#[utoipa::path(
    get,
    path = "/admin/dead-letters/{id}",
    operation_id = "getDeadLetter",
    tag = "administration",
    params(("id" = Id, Path, description = "Id of the dead letter")),
    responses(
        (status = 200, description = "The dead letter", body = DeadLetter),
        ForAdmins,
        (status = 404, description = "`DEAD_LETTER_NOT_FOUND`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn get(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<DeadLetter>, Problem> {
    let id = id.to_string();
    let request = caller.outbound.request(GetDeadLetterRequest { id });
    let answer = app.dead_letters().get_dead_letter(request).await?;
    let letter = answer.into_inner().dead_letter;
    Ok(Json(required("dead_letter", letter)?.try_into()?))
}

/// Sends a dead letter back to its group and to no other, once.
///
/// If it fails again, it becomes another dead letter with its history. Without a body it is
/// replayed as it was published.
#[utoipa::path(
    post,
    path = "/admin/dead-letters/{id}/replay",
    operation_id = "replayDeadLetter",
    tag = "administration",
    params(
        ("id" = Id, Path, description = "Id of the dead letter"),
        Repeatable,
    ),
    request_body(
        content = Option<Replay>,
        example = json!({}),
    ),
    responses(
        (status = 200, description = "The dead letter as it is now", body = DeadLetter),
        ForAdmins,
        (status = 404, description = "`DEAD_LETTER_NOT_FOUND`"),
        (
            status = 409,
            description = "`ALREADY_REPLAYED`; `GROUP_GONE`: the group no longer exists; \
                `IDEMPOTENCY_KEY_REUSED`",
        ),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn replay(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    replay: Option<Payload<Replay>>,
) -> Result<Json<DeadLetter>, Problem> {
    let Payload(replay) = replay.unwrap_or_default();
    let request = caller.outbound.request(replay.of(id));
    let answer = app.dead_letters().replay_dead_letter(request).await?;
    let letter = answer.into_inner().dead_letter;
    Ok(Json(required("dead_letter", letter)?.try_into()?))
}

/// Sends back all waiting dead letters that match a filter, at most 1,000 at once.
#[utoipa::path(
    post,
    path = "/admin/dead-letters/replay",
    operation_id = "replayDeadLetters",
    tag = "administration",
    request_body(
        content = ReplayMany,
        example = json!({
            "filter": {"group": "activity", "from": "2026-03-01T10:00:00Z"},
            "dryRun": true
        }),
    ),
    responses(
        (status = 200, description = "Which were replayed, or would be", body = ReplayedMany),
        ForAdmins,
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn replay_many(
    State(app): State<AppState>,
    caller: Caller,
    Payload(many): Payload<ReplayMany>,
) -> Result<Json<ReplayedMany>, Problem> {
    let dry_run = many.dry_run;
    let request = caller.outbound.request(many.into());
    let answer = app.dead_letters().replay_dead_letters(request).await?;
    Ok(Json(ReplayedMany::new(&answer.into_inner(), dry_run)?))
}
