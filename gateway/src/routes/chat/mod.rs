//! `/chat…`: the assistant.

mod answer;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use slipway_proto::chat::v1::{self, DeleteSessionRequest, RenameSessionRequest};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::answer::{frames, whole};
use super::document::Repeatable;
use crate::{
    app::AppState,
    etag::{Tagged, if_match},
    extract::{Caller, ListParams, PathId, Payload},
    model::{
        AssistantAnswer, ChatMessage, ChatSession, HistoryQuery, Id, NewSession, Page, Paging,
        Said, SessionTitle, SessionsQuery, required,
    },
    problem::Problem,
    sse::{EventStream, wants_stream},
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(sessions))
        .routes(routes!(rename, delete))
        .routes(routes!(ask))
        .routes(routes!(history))
}

/// Begins a conversation with the assistant.
#[utoipa::path(
    post,
    path = "/chat/session",
    operation_id = "createChatSession",
    tag = "assistant",
    params(Repeatable),
    request_body(
        content = NewSession,
        example = json!({"title": "Shipping Spring"}),
    ),
    responses(
        (
            status = 201,
            description = "The session",
            body = ChatSession,
            headers(("ETag" = String, description = "Its revision, for `If-Match`")),
        ),
        (status = 409, description = "`IDEMPOTENCY_KEY_REUSED`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn create(
    State(app): State<AppState>,
    caller: Caller,
    Payload(session): Payload<NewSession>,
) -> Result<impl IntoResponse, Problem> {
    let request = caller.outbound.request(session.into());
    let answer = app.chat().create_session(request).await?.into_inner();
    Ok((StatusCode::CREATED, tagged(answer.session)?))
}

/// Gives a conversation another title.
///
/// With `If-Match` only if it is still at that revision.
#[utoipa::path(
    patch,
    path = "/chat/{sessionId}",
    operation_id = "renameChatSession",
    tag = "assistant",
    params(
        ("sessionId" = Id, Path, description = "Id of the session"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what is renamed"),
    ),
    request_body(
        content = SessionTitle,
        example = json!({"title": "Shipping Spring 2.0"}),
    ),
    responses(
        (
            status = 200,
            description = "The renamed session",
            body = ChatSession,
            headers(("ETag" = String, description = "Its revision")),
        ),
        (status = 404, description = "`SESSION_NOT_FOUND`: unknown, or not yours"),
        (status = 412, description = "`SESSION_CHANGED`: renamed meanwhile; see `revision`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn rename(
    State(app): State<AppState>,
    caller: Caller,
    PathId(session): PathId,
    headers: HeaderMap,
    Payload(title): Payload<SessionTitle>,
) -> Result<impl IntoResponse, Problem> {
    let condition = if_match(&headers, 1)?;
    let renaming = title.of(session);
    let answer = condition.guard(CHANGED, |revision| {
        let request = caller.outbound.request(RenameSessionRequest {
            revision: revision.unwrap_or_default(),
            ..renaming.clone()
        });
        let mut service = app.chat();
        async move { service.rename_session(request).await }
    });
    tagged(answer.await?.into_inner().session)
}

/// Erases a conversation with all its messages.
///
/// An answer that is being written is stopped; the request that waits for it gets 404. Deleting a
/// conversation again is allowed.
#[utoipa::path(
    delete,
    path = "/chat/{sessionId}",
    operation_id = "deleteChatSession",
    tag = "assistant",
    params(("sessionId" = Id, Path, description = "Id of the session")),
    responses(
        (status = 204, description = "Erased"),
        (status = 404, description = "`SESSION_NOT_FOUND`: unknown, or not yours"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn delete(
    State(app): State<AppState>,
    caller: Caller,
    PathId(session): PathId,
) -> Result<StatusCode, Problem> {
    let request = caller.outbound.request(DeleteSessionRequest {
        session_id: session.to_string(),
    });
    app.chat().delete_session(request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The caller's conversations, newest first.
#[utoipa::path(
    get,
    path = "/chat/sessions",
    operation_id = "listChatSessions",
    tag = "assistant",
    params(Paging),
    responses((status = 200, description = "A page of sessions", body = Page<ChatSession>)),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn sessions(
    State(app): State<AppState>,
    caller: Caller,
    ListParams(query, paging): ListParams<SessionsQuery>,
) -> Result<Json<Page<ChatSession>>, Problem> {
    let request = caller.outbound.request(query.page(paging));
    let answer = app.chat().list_sessions(request).await?.into_inner();
    Ok(Json(Page::new(answer.sessions, answer.next_page_token)?))
}

/// The messages of a conversation, oldest first.
#[utoipa::path(
    get,
    path = "/chat/{sessionId}/history",
    operation_id = "getChatHistory",
    tag = "assistant",
    params(("sessionId" = Id, Path, description = "Id of the session"), Paging),
    responses(
        (status = 200, description = "A page of messages", body = Page<ChatMessage>),
        (status = 404, description = "`SESSION_NOT_FOUND`: unknown, or not yours"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn history(
    State(app): State<AppState>,
    caller: Caller,
    PathId(session): PathId,
    ListParams(query, paging): ListParams<HistoryQuery>,
) -> Result<Json<Page<ChatMessage>>, Problem> {
    let request = caller.outbound.request(query.page(session, paging));
    let answer = app.chat().get_history(request).await?.into_inner();
    Ok(Json(Page::new(answer.messages, answer.next_page_token)?))
}

/// Asks the assistant.
///
/// The answer is one JSON object; or, if `Accept` names `text/event-stream` with no lower `q` than
/// JSON, a stream: `event: token` with `{"text": …}`, and at the end `event: done` with the same
/// object as the JSON answer. If there is no answer, the stream has `event: error` with a problem;
/// an error before the question is stored has an HTTP status. After 15 s of silence there is a
/// comment line. A client that disconnects before the end stops the answer; its question stays in
/// the history, unanswered.
#[utoipa::path(
    post,
    path = "/chat/{sessionId}/message",
    operation_id = "askAssistant",
    tag = "assistant",
    params(
        ("sessionId" = Id, Path, description = "Id of the session"),
        Repeatable,
    ),
    request_body(
        content = Said,
        example = json!({"message": "What can I work on next?"}),
    ),
    responses(
        (
            status = 200,
            description = "The answer",
            content(
                (AssistantAnswer = "application/json"),
                (String = "text/event-stream"),
            ),
        ),
        (status = 404, description = "`SESSION_NOT_FOUND`: unknown, or not yours"),
        (
            status = 409,
            description = "`CHAT_BUSY`: another question of the session is being answered; \
                `IDEMPOTENCY_KEY_REUSED`",
        ),
        (status = 429, description = "`QUOTA_EXCEEDED`: 40 questions a minute"),
        (
            status = 503,
            description = "`ASSISTANT_UNAVAILABLE`, with the `reason`: the question is kept, \
                unanswered; `ASSISTANT_BUSY`: too many questions wait; `ANSWER_INTERRUPTED`; \
                `UNAVAILABLE`: a service is unavailable",
        ),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn ask(
    State(app): State<AppState>,
    caller: Caller,
    PathId(session): PathId,
    headers: HeaderMap,
    Payload(said): Payload<Said>,
) -> Result<Response, Problem> {
    let request = caller.outbound.request(said.asked_in(session));
    let pieces = app.chat().stream_message(request).await;
    let pieces = pieces.map_err(|status| Problem::naming(status, "content", "message"))?;
    let pieces = pieces.into_inner();
    if !wants_stream(&headers) {
        return Ok(Json(whole(pieces).await?).into_response());
    }
    let frames = frames(pieces, app.stream.heartbeat);
    Ok(EventStream(frames).into_response())
}

/// The service's error code if `If-Match` does not match.
const CHANGED: &str = "SESSION_CHANGED";

fn tagged(session: Option<v1::Session>) -> Result<Tagged<ChatSession>, Problem> {
    let session: ChatSession = required("session", session)?.try_into()?;
    Ok(Tagged {
        revision: session.revision,
        body: session,
    })
}
