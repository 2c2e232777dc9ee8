//! `/activity…`: the activity list and stream.

use axum::{Json, extract::State, response::IntoResponse};
use http::HeaderMap;
use slipway_proto::{
    notify::v1::{ActivityFilter, ActivityServiceListRequest},
    release::v1::GetReleaseRequest,
};
use slipway_rpc::error::Fault;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    activity::Session,
    app::AppState,
    extract::{Caller, ListParams, Params},
    model::{ActivityEntry, ActivityQuery, Id, NoNumber, Page, Paging, Sequence, StreamQuery},
    problem::Problem,
    sse::EventStream,
};

/// The header with the last entry that an `EventSource` has received.
const LAST_EVENT_ID: &str = "last-event-id";

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(stream))
}

/// Everything that happened, as a list.
#[utoipa::path(
    get,
    path = "/activity",
    operation_id = "listActivity",
    tag = "activity",
    params(ActivityQuery, Paging),
    responses(
        (status = 200, description = "A page of entries", body = Page<ActivityEntry>),
        (status = 404, description = "`RELEASE_NOT_FOUND`: there is no release `releaseId`, and no \
            entry about it"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn list(
    State(app): State<AppState>,
    caller: Caller,
    ListParams(query, paging): ListParams<ActivityQuery>,
) -> Result<Json<Page<ActivityEntry>>, Problem> {
    let release = query.release_id;
    let request = caller.outbound.request(query.page(paging)?);
    let answer = app.activity().list(request).await?.into_inner();
    if let Some(release) = release.filter(|_| answer.entries.is_empty()) {
        ensure_known(&app, &caller, release).await?;
    }
    Ok(Json(Page::new(answer.entries, answer.next_page_token)?))
}

/// Everything that happens, as server-sent events.
///
/// `id` is the number of the entry, `event` its type, `data` an `ActivityEntry`. With
/// `Last-Event-ID`, `lastEventId` or `after` (the first of them counts) the stream starts with
/// all entries since then. Entries that no longer exist, or do not exist yet, are reported as
/// `event: gap` with `{"from": …, "to": …}`; if they do not exist yet, `id` is the number of the
/// newest entry, which is below `from`. After 15 s without an entry there is a comment line. When
/// the server ends the stream it sends `event: goodbye` with `{"reason": "shutdown"}`,
/// `{"reason": "token_expired"}` or `{"reason": "session_ended"}`. A reader that cannot keep up is disconnected and can resume.
/// Before the first entry there is a block with `retry` and the `id` to resume from. An account
/// may have 20 open streams, unless the operator sets another limit.
#[utoipa::path(
    get,
    path = "/activity/stream",
    operation_id = "streamActivity",
    tag = "activity",
    params(
        StreamQuery,
        ("Last-Event-ID" = Option<u64>, Header, description = "The last number that was seen; \
            empty is as if it were not sent"),
    ),
    responses(
        (
            status = 200,
            description = "The stream",
            body = String,
            content_type = "text/event-stream",
        ),
        (status = 404, description = "`RELEASE_NOT_FOUND`: there is no release `releaseId`, and no \
            entry about it"),
        (status = 429, description = "`TOO_MANY_STREAMS`: of this account"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn stream(
    State(app): State<AppState>,
    caller: Caller,
    Params(query): Params<StreamQuery>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let after = query.after(last_event_id(&headers)?);
    let filter = query.filter()?;
    if let Some(release) = filter.release() {
        ensure_known(&app, &caller, release).await?;
    }
    let session = Session::open(app, caller, after, filter).await?;
    Ok(EventStream(session.into_stream()))
}

/// Refuses a release that does not exist and of which the log knows nothing: a client with a wrong
/// id would wait for ever. A deleted release stays in the log as long as its entries.
async fn ensure_known(app: &AppState, caller: &Caller, release: Id) -> Result<(), Problem> {
    let entry = ActivityServiceListRequest {
        filter: Some(ActivityFilter {
            release_id: release.to_string(),
            ..ActivityFilter::default()
        }),
        page_size: 1,
        ..ActivityServiceListRequest::default()
    };
    let found = app.activity().list(caller.outbound.request(entry)).await?;
    if found.into_inner().entries.is_empty() {
        let id = release.to_string();
        let release = caller.outbound.request(GetReleaseRequest { id });
        app.releases().get_release(release).await?;
    }
    Ok(())
}

/// The value of `Last-Event-ID`. An empty value counts as absent: clients send it before their
/// first entry.
fn last_event_id(headers: &HeaderMap) -> Result<Option<Sequence>, Fault> {
    let mut values = headers.get_all(LAST_EVENT_ID).iter();
    let value = values.next().filter(|value| !value.is_empty());
    if values.next().is_some() {
        return Err(Fault::invalid_field("Last-Event-ID", "must be given once"));
    }
    let Some(value) = value else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    text.parse()
        .map(Some)
        .map_err(|error: NoNumber| Fault::invalid_field("Last-Event-ID", error.to_string()))
}
