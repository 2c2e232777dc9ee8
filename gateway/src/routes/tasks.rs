//! `/tasks…`.

use axum::{Json, extract::State};
use http::{HeaderMap, StatusCode};
use slipway_proto::release::v1::{
    self, CompleteTaskRequest, DeleteTaskRequest, GetTaskRequest, StartTaskRequest,
    UpdateTaskRequest,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::document::ForAdmins;
use crate::{
    app::AppState,
    etag::{Tagged, if_match},
    extract::{Caller, ListParams, PathId, Payload},
    model::{
        Id, MyTasksQuery, Page, Paging, Pause, Task, TaskChange, TaskView, TasksQuery, required,
    },
    problem::Problem,
};

/// The service's error code if `If-Match` does not match.
const CHANGED: &str = "TASK_CHANGED";

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(mine))
        .routes(routes!(get, update, delete))
        .routes(routes!(start))
        .routes(routes!(pause))
        .routes(routes!(complete))
}

/// All tasks: newest release first, in order within a release.
///
/// With any condition a page may have fewer than `limit`, or none, though `nextCursor` leads on.
#[utoipa::path(
    get,
    path = "/tasks",
    operation_id = "listTasks",
    tag = "tasks",
    params(TasksQuery, Paging),
    responses((status = 200, description = "A page of tasks", body = Page<Task>)),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn list(
    State(app): State<AppState>,
    caller: Caller,
    ListParams(query, paging): ListParams<TasksQuery>,
) -> Result<Json<Page<Task>>, Problem> {
    let request = caller.outbound.request(query.page(paging));
    let answer = app.tasks().list_tasks(request).await?.into_inner();
    Ok(Json(Page::new(answer.tasks, answer.next_page_token)?))
}

/// The caller's tasks: newest release first, in order within a release.
#[utoipa::path(
    get,
    path = "/tasks/my",
    operation_id = "listMyTasks",
    tag = "tasks",
    params(MyTasksQuery, Paging),
    responses((status = 200, description = "A page of tasks", body = Page<TaskView>)),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn mine(
    State(app): State<AppState>,
    caller: Caller,
    ListParams(query, paging): ListParams<MyTasksQuery>,
) -> Result<Json<Page<TaskView>>, Problem> {
    let request = caller.outbound.request(query.page(paging));
    let answer = app.tasks().list_my_tasks(request).await?.into_inner();
    Ok(Json(Page::new(answer.tasks, answer.next_page_token)?))
}

/// One task, and whether the caller could start it.
///
/// `canStart` and `blockedBy` are the caller's view. They also depend on the caller's task in process
/// in any release, so they can change while the `ETag` stays.
#[utoipa::path(
    get,
    path = "/tasks/{id}",
    operation_id = "getTask",
    tag = "tasks",
    params(("id" = Id, Path, description = "Id of the task")),
    responses(
        (
            status = 200,
            description = "The task",
            body = TaskView,
            headers(("ETag" = String, description = "Its revision, for `If-Match`")),
        ),
        (status = 404, description = "`TASK_NOT_FOUND`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn get(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Tagged<TaskView>, Problem> {
    let request = caller
        .outbound
        .request(GetTaskRequest { id: id.to_string() });
    let answer = app.tasks().get_task(request).await?.into_inner();
    let readiness = required("readiness", answer.readiness)?;
    let body = TaskView::of(required("task", answer.task)?, readiness)?;
    Ok(Tagged {
        revision: body.task.revision,
        body,
    })
}

/// Changes a task, by an admin; its assignee may change `remindBeforeMinutes`.
///
/// The assignee and the order index can be changed while the task is TODO, the other fields in any
/// state. What is left out stays as it is. A request that changes nothing has no effect. With
/// `If-Match` only if the task is still at that revision.
#[utoipa::path(
    patch,
    path = "/tasks/{id}",
    operation_id = "updateTask",
    tag = "tasks",
    params(
        ("id" = Id, Path, description = "Id of the task"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what is changed"),
    ),
    request_body(
        content = TaskChange,
        example = json!({"title": "Test the upgrade from 1.0", "tags": ["upgrade"], "dueAt": null}),
    ),
    responses(
        (
            status = 200,
            description = "The changed task",
            body = Task,
            headers(("ETag" = String, description = "Its revision")),
        ),
        (status = 403, description = "`NOT_ASSIGNEE`, `ADMIN_REQUIRED`"),
        (status = 404, description = "`TASK_NOT_FOUND`"),
        (
            status = 409,
            description = "`TASK_STARTED`, `ORDER_INDEX_TAKEN`, `ORDER_INDEX_PASSED`, \
                `INVALID_RECURRENCE`, `RELEASE_FULL`, `CONTENDED` (others keep changing its release)",
        ),
        (status = 412, description = "`TASK_CHANGED`: changed meanwhile; see `revision`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn update(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    headers: HeaderMap,
    Payload(change): Payload<TaskChange>,
) -> Result<Tagged<Task>, Problem> {
    let condition = if_match(&headers, 1)?;
    let update = change.of(id)?;
    let answer = condition.guard(CHANGED, |revision| {
        let request = caller.outbound.request(UpdateTaskRequest {
            revision: revision.unwrap_or_default(),
            ..update.clone()
        });
        let mut service = app.tasks();
        async move { service.update_task(request).await }
    });
    tagged(answer.await?.into_inner().task)
}

/// Deletes a task that is TODO.
///
/// The other tasks stay where they are. With `If-Match` only if the task is still at that revision.
#[utoipa::path(
    delete,
    path = "/tasks/{id}",
    operation_id = "deleteTask",
    tag = "tasks",
    params(
        ("id" = Id, Path, description = "Id of the task"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what is deleted"),
    ),
    responses(
        (status = 204, description = "Deleted"),
        ForAdmins,
        (status = 404, description = "`TASK_NOT_FOUND`"),
        (
            status = 409,
            description = "`TASK_STARTED`, `CONTENDED` (others keep changing its release)",
        ),
        (status = 412, description = "`TASK_CHANGED`: changed meanwhile; see `revision`"),
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
        let request = caller.outbound.request(DeleteTaskRequest {
            id: id.to_string(),
            revision: revision.unwrap_or_default(),
        });
        let mut service = app.tasks();
        async move { service.delete_task(request).await }
    });
    answer.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Starts a task, by its assignee.
#[utoipa::path(
    patch,
    path = "/tasks/{id}/start",
    operation_id = "startTask",
    tag = "tasks",
    params(("id" = Id, Path, description = "Id of the task")),
    responses(
        (status = 200, description = "The started task", body = Task),
        (status = 403, description = "`NOT_ASSIGNEE`"),
        (status = 404, description = "`TASK_NOT_FOUND`"),
        (
            status = 409,
            description = "`TASK_OUT_OF_ORDER` with `blockedBy`, `DEVELOPER_BUSY` with \
                `activeTask`, `INVALID_TRANSITION`",
        ),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn start(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<Task>, Problem> {
    let request = caller
        .outbound
        .request(StartTaskRequest { id: id.to_string() });
    let answer = app.tasks().start_task(request).await?.into_inner();
    Ok(Json(required("task", answer.task)?.try_into()?))
}

/// Hands a started task back: it is TODO again. By its assignee or an admin.
///
/// The time worked on it is kept, and its assignee can start another task.
#[utoipa::path(
    patch,
    path = "/tasks/{id}/pause",
    operation_id = "pauseTask",
    tag = "tasks",
    params(("id" = Id, Path, description = "Id of the task")),
    request_body(content = Pause, example = json!({"reason": "Ada is ill this week."})),
    responses(
        (status = 200, description = "The paused task", body = Task),
        (status = 403, description = "`NOT_ASSIGNEE`"),
        (status = 404, description = "`TASK_NOT_FOUND`"),
        (status = 409, description = "`INVALID_TRANSITION`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn pause(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    Payload(pause): Payload<Pause>,
) -> Result<Json<Task>, Problem> {
    let request = caller.outbound.request(pause.of(id));
    let answer = app.tasks().pause_task(request).await?.into_inner();
    Ok(Json(required("task", answer.task)?.try_into()?))
}

/// Completes a task, by its assignee.
#[utoipa::path(
    patch,
    path = "/tasks/{id}/complete",
    operation_id = "completeTask",
    tag = "tasks",
    params(("id" = Id, Path, description = "Id of the task")),
    responses(
        (status = 200, description = "The completed task", body = Task),
        (status = 403, description = "`NOT_ASSIGNEE`"),
        (status = 404, description = "`TASK_NOT_FOUND`"),
        (status = 409, description = "`INVALID_TRANSITION`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn complete(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<Task>, Problem> {
    let request = caller
        .outbound
        .request(CompleteTaskRequest { id: id.to_string() });
    let answer = app.tasks().complete_task(request).await?.into_inner();
    Ok(Json(required("task", answer.task)?.try_into()?))
}

fn tagged(task: Option<v1::Task>) -> Result<Tagged<Task>, Problem> {
    let body = Task::try_from(required("task", task)?)?;
    Ok(Tagged {
        revision: body.revision,
        body,
    })
}
