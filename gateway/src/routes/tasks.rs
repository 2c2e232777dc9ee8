//! `/tasks…`.

use axum::{Json, extract::State};
use slipway_proto::release::v1::{CompleteTaskRequest, GetTaskRequest, StartTaskRequest};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    extract::{Caller, ListParams, PathId},
    model::{Id, MyTask, MyTasksQuery, Page, Paging, Task, required},
    problem::Problem,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(mine))
        .routes(routes!(get))
        .routes(routes!(start))
        .routes(routes!(complete))
}

/// The caller's tasks: newest release first, in order within a release.
#[utoipa::path(
    get,
    path = "/tasks/my",
    operation_id = "listMyTasks",
    tag = "tasks",
    params(MyTasksQuery, Paging),
    responses((status = 200, description = "A page of tasks", body = Page<MyTask>)),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn mine(
    State(app): State<AppState>,
    caller: Caller,
    ListParams(query, paging): ListParams<MyTasksQuery>,
) -> Result<Json<Page<MyTask>>, Problem> {
    let request = caller.outbound.request(query.page(paging));
    let answer = app.tasks().list_my_tasks(request).await?.into_inner();
    Ok(Json(Page::new(answer.tasks, answer.next_page_token)?))
}

/// One task.
#[utoipa::path(
    get,
    path = "/tasks/{id}",
    operation_id = "getTask",
    tag = "tasks",
    params(("id" = Id, Path, description = "Id of the task")),
    responses(
        (status = 200, description = "The task", body = Task),
        (status = 404, description = "`TASK_NOT_FOUND`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn get(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<Task>, Problem> {
    let request = caller
        .outbound
        .request(GetTaskRequest { id: id.to_string() });
    let answer = app.tasks().get_task(request).await?.into_inner();
    Ok(Json(required("task", answer.task)?.try_into()?))
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
    security(("bearer" = [])),
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
    security(("bearer" = [])),
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
