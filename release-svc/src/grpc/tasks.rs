//! The gRPC `TaskService`.

use std::sync::Arc;

use jiff::Timestamp;
use slipway_proto::release::v1::{
    CompleteTaskRequest, CompleteTaskResponse, DeleteTaskRequest, DeleteTaskResponse,
    GetTaskRequest, GetTaskResponse, ListMyTasksRequest, ListMyTasksResponse, ListTasksRequest,
    ListTasksResponse, MyTask, PauseTaskRequest, PauseTaskResponse, StartTaskRequest,
    StartTaskResponse, Task, UpdateTaskRequest, UpdateTaskResponse,
    task_service_server::TaskService,
};
use slipway_rpc::{access::principal, error::Fault, page};
use tonic::{Request, Response, Status};

use super::{conditions, drafts, id, revision, translate};
use crate::{
    commands::{CommandContext, Commands, Target, refuse},
    identity::{By, UserId},
    release::{Decision, PlacedTask, Readiness, Refusal, Release, TaskId, Text},
    store::AssignedTask,
};

pub(crate) struct Tasks {
    pub(crate) commands: Arc<Commands>,
}

#[tonic::async_trait]
impl TaskService for Tasks {
    async fn list_my_tasks(
        &self,
        request: Request<ListMyTasksRequest>,
    ) -> Result<Response<ListMyTasksResponse>, Status> {
        let developer = UserId(principal(&request)?.user_id);
        let message = request.into_inner();
        let conditions = conditions::of(message.status, message.conditions)?;
        let list = format!("tasks/my?{developer}&{conditions:?}");
        let limit = page::limit(message.page_size, page::MAX_LIMIT)?;
        let after = page::decode_cursor(&list, &message.page_token)?;
        let work = self
            .commands
            .releases()
            .work_of(developer, &conditions, after, limit);
        let (found, active) = work.await.map_err(Fault::from)?;
        Ok(Response::new(ListMyTasksResponse {
            tasks: found
                .items
                .into_iter()
                .map(|task| my_task(task, developer, active.as_ref()))
                .collect(),
            next_page_token: page::encode_cursor(&list, found.next.as_ref()),
        }))
    }

    async fn list_tasks(
        &self,
        request: Request<ListTasksRequest>,
    ) -> Result<Response<ListTasksResponse>, Status> {
        let message = request.into_inner();
        let assignee = conditions::assignee(&self.commands.stores.users, &message.assignee);
        let assignee = assignee.await?;
        let conditions = conditions::of(message.status, message.conditions)?;
        let list = format!("tasks?{assignee:?}&{conditions:?}");
        let limit = page::limit(message.page_size, page::MAX_LIMIT)?;
        let after = page::decode_cursor(&list, &message.page_token)?;
        let releases = self.commands.releases();
        let found = releases.tasks(assignee, &conditions, after, limit).await;
        let found = found.map_err(Fault::from)?;
        Ok(Response::new(ListTasksResponse {
            next_page_token: page::encode_cursor(&list, found.next.as_ref()),
            tasks: found
                .items
                .into_iter()
                .map(translate::placed_task)
                .collect(),
        }))
    }

    async fn get_task(
        &self,
        request: Request<GetTaskRequest>,
    ) -> Result<Response<GetTaskResponse>, Status> {
        let developer = UserId(principal(&request)?.user_id);
        let id: TaskId = id("id", &request.get_ref().id)?;
        let releases = self.commands.releases();
        let found = releases.release_of(id).await.map_err(Fault::from)?;
        let placed = found.as_ref().and_then(|release| release.placed(id));
        let (Some(release), Some(placed)) = (found, placed) else {
            return Err(refuse(Refusal::TaskNotFound(id)).into());
        };
        let active = releases.work_beside(&release, developer).await;
        let active = active.map_err(Fault::from)?;
        let readiness = release.readiness_of(id, developer, active.as_ref());
        Ok(Response::new(GetTaskResponse {
            task: Some(translate::placed_task(placed)),
            readiness: readiness.map(translate::readiness),
        }))
    }

    async fn start_task(
        &self,
        request: Request<StartTaskRequest>,
    ) -> Result<Response<StartTaskResponse>, Status> {
        let id = id("id", &request.get_ref().id)?;
        let stale = self.commands.stale;
        let step = move |release: &Release, by: By, now| release.start(id, by.user, now, stale);
        let change = self.change(&request, id, step, |task| StartTaskResponse { task });
        Ok(Response::new(change.await?))
    }

    async fn complete_task(
        &self,
        request: Request<CompleteTaskRequest>,
    ) -> Result<Response<CompleteTaskResponse>, Status> {
        let id = id("id", &request.get_ref().id)?;
        let step = |release: &Release, by: By, now| release.complete_task(id, by.user, now);
        let change = self.change(&request, id, step, |task| CompleteTaskResponse { task });
        Ok(Response::new(change.await?))
    }

    async fn pause_task(
        &self,
        request: Request<PauseTaskRequest>,
    ) -> Result<Response<PauseTaskResponse>, Status> {
        let message = request.get_ref();
        let id = id("id", &message.id)?;
        let reason = Text::reason(&message.reason);
        let reason = reason.map_err(|wrong| Fault::invalid_field("reason", wrong))?;
        let step = |release: &Release, by, now| release.pause(id, by, reason.clone(), now);
        let change = self.change(&request, id, step, |task| PauseTaskResponse { task });
        Ok(Response::new(change.await?))
    }

    async fn update_task(
        &self,
        request: Request<UpdateTaskRequest>,
    ) -> Result<Response<UpdateTaskResponse>, Status> {
        let message = request.get_ref();
        let (id, on) = (id("id", &message.id)?, revision(message.revision));
        let change = drafts::task_change(&self.commands.stores, message.clone()).await?;
        let step =
            |release: &Release, by, now| release.change_task(id, by, on, change.clone(), now);
        let change = self.change(&request, id, step, |task| UpdateTaskResponse { task });
        Ok(Response::new(change.await?))
    }

    async fn delete_task(
        &self,
        request: Request<DeleteTaskRequest>,
    ) -> Result<Response<DeleteTaskResponse>, Status> {
        let message = request.get_ref();
        let (id, on) = (id("id", &message.id)?, revision(message.revision));
        let step = |release: &Release, _, _| release.delete_task(id, on);
        let change = self.change(&request, id, step, |_| DeleteTaskResponse {});
        Ok(Response::new(change.await?))
    }
}

impl Tasks {
    async fn change<M: Sync, R: prost::Message + Default>(
        &self,
        request: &Request<M>,
        task: TaskId,
        step: impl Fn(&Release, By, Timestamp) -> Result<Decision, Refusal> + Send + Sync,
        respond: fn(Option<Task>) -> R,
    ) -> Result<R, Fault> {
        let by = CommandContext {
            principal: principal(request)?,
            repeatable: None,
        };
        let user = By {
            user: by.user_id(),
            role: by.principal.role,
        };
        self.commands
            .change(
                Target::Task(task),
                &by,
                |release, now| step(release, user, now),
                |decision| {
                    let placed = decision.release.placed(task);
                    respond(placed.map(translate::placed_task))
                },
            )
            .await
    }
}

fn my_task(assigned: AssignedTask, developer: UserId, active: Option<&PlacedTask>) -> MyTask {
    let AssignedTask { placed, blocked_by } = assigned;
    let readiness = Readiness::of(&placed.task, developer, blocked_by, active);
    let readiness = translate::readiness(readiness);
    MyTask {
        task: Some(translate::placed_task(placed)),
        can_start: readiness.can_start,
        blocked_by: readiness.blocked_by,
    }
}
