//! `/releases…`.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, StatusCode,
    header::{ETAG, LOCATION},
};
use slipway_proto::release::v1::{
    AddTaskRequest, CompleteReleaseRequest, DeleteReleaseRequest, GetReleaseRequest,
    UpdateReleaseRequest,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::document::{ForAdmins, Repeatable};
use crate::{
    app::AppState,
    etag::{Tagged, etag_for, has_tag, if_match},
    extract::{Caller, ListParams, PathId, Payload},
    model::{
        Id, NewRelease, NewTask, Page, Paging, Release, ReleaseChange, ReleaseQuery,
        ReleaseSummary, ReleaseView, Task, required,
    },
    problem::Problem,
};

/// The service's error code if `If-Match` does not match.
const CHANGED: &str = "RELEASE_CHANGED";

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, update, delete))
        .routes(routes!(add_task))
        .routes(routes!(complete))
}

/// Plans a release, with its first tasks if any: all or nothing.
#[utoipa::path(
    post,
    path = "/releases",
    operation_id = "createRelease",
    tag = "releases",
    params(Repeatable),
    request_body(
        content = NewRelease,
        example = json!({
            "name": "Spring",
            "version": "2.0",
            "tasks": [
                {"title": "Build the images", "assignee": "ada", "dueAt": "2026-12-01T17:00:00Z"},
                {"title": "Publish the notes", "assignee": "ada"}
            ]
        }),
    ),
    responses(
        (
            status = 201,
            description = "Created",
            body = Release,
            headers(("Location" = String, description = "Its address")),
        ),
        ForAdmins,
        (
            status = 409,
            description = "`RELEASE_FULL`, `INVALID_HOTFIX`, `IDEMPOTENCY_KEY_REUSED`, \
                `RELEASE_EXISTS`",
        ),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn create(
    State(app): State<AppState>,
    caller: Caller,
    Payload(release): Payload<NewRelease>,
) -> Result<impl IntoResponse, Problem> {
    let request = caller.outbound.request(release.try_into()?);
    let answer = app.releases().create_release(request).await?.into_inner();
    let release = Release::try_from(required("release", answer.release)?)?;
    let location = format!("/releases/{}", release.summary.id);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(release)))
}

/// Releases, newest first, without their tasks.
#[utoipa::path(
    get,
    path = "/releases",
    operation_id = "listReleases",
    tag = "releases",
    params(ReleaseQuery, Paging),
    responses((status = 200, description = "A page of releases", body = Page<ReleaseSummary>)),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn list(
    State(app): State<AppState>,
    caller: Caller,
    ListParams(query, paging): ListParams<ReleaseQuery>,
) -> Result<Json<Page<ReleaseSummary>>, Problem> {
    let request = caller.outbound.request(query.page(paging));
    let answer = app.releases().list_releases(request).await?.into_inner();
    Ok(Json(Page::new(answer.releases, answer.next_page_token)?))
}

/// One release with its tasks in order, and which of them the caller could start.
///
/// `canStart` and `blockedBy` of the tasks are the caller's view: they also depend on the caller's
/// task in process in any release. The `ETag` covers both, the revision and this view.
#[utoipa::path(
    get,
    path = "/releases/{id}",
    operation_id = "getRelease",
    tag = "releases",
    params(
        ("id" = Id, Path, description = "Id of the release"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` that the client has"),
    ),
    responses(
        (
            status = 200,
            description = "The release",
            body = ReleaseView,
            headers(("ETag" = String, description = "Its revision and what the caller could start")),
        ),
        (status = 304, description = "Not changed"),
        (status = 404, description = "`RELEASE_NOT_FOUND`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn get(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let request = caller
        .outbound
        .request(GetReleaseRequest { id: id.to_string() });
    let answer = app.releases().get_release(request).await?.into_inner();
    let release = ReleaseView::try_from(answer)?;
    let tag = etag_for(release.summary.revision, &release.view());
    let known = has_tag(&headers, &tag);
    let validators = [(ETAG, tag)];
    Ok(if known {
        (StatusCode::NOT_MODIFIED, validators).into_response()
    } else {
        (validators, Json(release)).into_response()
    })
}

/// Changes the name, description or version of a release.
///
/// With `If-Match` only if it is still at that revision. Every change of one of its tasks changes
/// its revision too.
#[utoipa::path(
    patch,
    path = "/releases/{id}",
    operation_id = "updateRelease",
    tag = "releases",
    params(
        ("id" = Id, Path, description = "Id of the release"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what is changed"),
    ),
    request_body(content = ReleaseChange, example = json!({"name": "Spring", "version": "2.0.1"})),
    responses(
        (
            status = 200,
            description = "The changed release",
            body = Release,
            headers(("ETag" = String, description = "Its revision")),
        ),
        ForAdmins,
        (status = 404, description = "`RELEASE_NOT_FOUND`"),
        (status = 409, description = "`RELEASE_FULL`, `CONTENDED` (others keep changing it)"),
        (status = 412, description = "`RELEASE_CHANGED`: changed meanwhile; see `revision`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn update(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    headers: HeaderMap,
    Payload(change): Payload<ReleaseChange>,
) -> Result<Tagged<Release>, Problem> {
    let condition = if_match(&headers, 1)?;
    let update = change.of(id);
    let answer = condition.guard(CHANGED, |revision| {
        let request = caller.outbound.request(UpdateReleaseRequest {
            revision: revision.unwrap_or_default(),
            ..update.clone()
        });
        let mut service = app.releases();
        async move { service.update_release(request).await }
    });
    let release = answer.await?.into_inner().release;
    let body = Release::try_from(required("release", release)?)?;
    Ok(Tagged {
        revision: body.summary.revision,
        body,
    })
}

/// Deletes a release with its tasks, all of which must be TODO.
///
/// With `If-Match` only if it is still at that revision.
#[utoipa::path(
    delete,
    path = "/releases/{id}",
    operation_id = "deleteRelease",
    tag = "releases",
    params(
        ("id" = Id, Path, description = "Id of the release"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what is deleted"),
    ),
    responses(
        (status = 204, description = "Deleted"),
        ForAdmins,
        (status = 404, description = "`RELEASE_NOT_FOUND`"),
        (
            status = 409,
            description = "`RELEASE_STARTED` with `startedTask`, `CONTENDED` (others keep \
                changing it)",
        ),
        (status = 412, description = "`RELEASE_CHANGED`: changed meanwhile; see `revision`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn delete(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let condition = if_match(&headers, 1)?;
    let answer = condition.guard(CHANGED, |revision| {
        let request = caller.outbound.request(DeleteReleaseRequest {
            id: id.to_string(),
            revision: revision.unwrap_or_default(),
        });
        let mut service = app.releases();
        async move { service.delete_release(request).await }
    });
    answer.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Adds a task.
///
/// Without `orderIndex` it comes after the last one. On a completed release this is a
/// hotfix: the release reopens. Until it is completed again every task that is added is a
/// hotfix, unless `hotfix` is `false`.
#[utoipa::path(
    post,
    path = "/releases/{id}/tasks",
    operation_id = "addTask",
    tag = "releases",
    params(
        ("id" = Id, Path, description = "Id of the release"),
        Repeatable,
    ),
    request_body(
        content = NewTask,
        example = json!({
            "title": "Test the upgrade",
            "description": "From each version that is supported.",
            "assignee": "ada",
            "dueAt": "2026-12-02T17:00:00Z",
            "priority": "HIGH",
            "tags": ["upgrade"],
            "remindBeforeMinutes": 60
        }),
    ),
    responses(
        (
            status = 201,
            description = "Added",
            body = Task,
            headers(("Location" = String, description = "Its address")),
        ),
        ForAdmins,
        (status = 404, description = "`RELEASE_NOT_FOUND`"),
        (
            status = 409,
            description = "`ORDER_INDEX_TAKEN`, `ORDER_INDEX_PASSED`, `RELEASE_FULL`, \
                `INVALID_HOTFIX`, `IDEMPOTENCY_KEY_REUSED`",
        ),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn add_task(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    Payload(task): Payload<NewTask>,
) -> Result<impl IntoResponse, Problem> {
    let request = caller.outbound.request(AddTaskRequest {
        release_id: id.to_string(),
        task: Some(task.into_proto("")?),
    });
    let answer = app.releases().add_task(request).await?.into_inner();
    let task = Task::try_from(required("task", answer.task)?)?;
    let location = format!("/tasks/{}", task.id);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(task)))
}

/// Completes a release, all tasks of which must be completed.
#[utoipa::path(
    patch,
    path = "/releases/{id}/complete",
    operation_id = "completeRelease",
    tag = "releases",
    params(("id" = Id, Path, description = "Id of the release")),
    responses(
        (status = 200, description = "The completed release", body = Release),
        ForAdmins,
        (status = 404, description = "`RELEASE_NOT_FOUND`"),
        (status = 409, description = "`RELEASE_INCOMPLETE`, `RELEASE_EMPTY`, `INVALID_TRANSITION`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn complete(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<Release>, Problem> {
    let request = caller
        .outbound
        .request(CompleteReleaseRequest { id: id.to_string() });
    let answer = app.releases().complete_release(request).await?.into_inner();
    Ok(Json(required("release", answer.release)?.try_into()?))
}
