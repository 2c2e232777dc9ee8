//! `/admin/audit` and `/releases/{id}/evidence`: the audit trail.

use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use http::header::CONTENT_TYPE;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::document::ForAdmins;
use crate::{
    app::AppState,
    evidence::{Pages, document},
    extract::{Caller, ListParams, PathId},
    model::{AuditEntry, AuditQuery, Evidence, Id, Page, Paging},
    problem::Problem,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(evidence))
}

/// Every change with its actor, its address and its hash, newest first.
///
/// Each entry has the hash of the one before, so that none can be changed or removed without a
/// trace. A search looks at 10,000 entries a page: a page may have fewer than `limit`, or none,
/// though `nextCursor` leads on.
#[utoipa::path(
    get,
    path = "/admin/audit",
    operation_id = "listAuditEntries",
    tag = "administration",
    params(AuditQuery, Paging),
    responses(
        (status = 200, description = "A page of entries", body = Page<AuditEntry>),
        ForAdmins,
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn list(
    State(app): State<AppState>,
    caller: Caller,
    ListParams(query, paging): ListParams<AuditQuery>,
) -> Result<Json<Page<AuditEntry>>, Problem> {
    let request = caller.outbound.request(query.page(paging));
    let answer = app.audit().list_audit_entries(request).await?.into_inner();
    Ok(Json(Page::new(answer.entries, answer.next_page_token)?))
}

/// The whole history of a release with its hashes, as one document that can be verified offline.
///
/// `slipway audit verify FILE` verifies it. A release that was deleted has its history, too. A
/// change is in it when its event has arrived, usually within a second.
#[utoipa::path(
    get,
    path = "/releases/{id}/evidence",
    operation_id = "getReleaseEvidence",
    tag = "administration",
    params(("id" = Id, Path, description = "Id of the release")),
    responses(
        (status = 200, description = "The document", body = Evidence),
        ForAdmins,
        (status = 404, description = "`RELEASE_NOT_FOUND`: nothing is recorded of it"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn evidence(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Response, Problem> {
    let mut pages = Pages::new(app.audit(), caller.outbound, id);
    // Before the head of the response, so that a refusal has its status.
    let first = pages.next().await?;
    let document = document(pages, first, app.clock.now());
    let headers = [(CONTENT_TYPE, "application/json")];
    Ok((headers, Body::from_stream(document)).into_response())
}
