//! The gRPC `TaskService`.

use std::sync::Arc;

use jiff::Timestamp;
use slipway_proto::release::v1::{
    Blocker, CompleteTaskRequest, CompleteTaskResponse, GetTaskRequest, GetTaskResponse,
    ListMyTasksRequest, ListMyTasksResponse, MyTask, StartTaskRequest, StartTaskResponse, Task,
    TaskStatus, task_service_server::TaskService,
};
use slipway_rpc::{access::principal, error::Fault, page};
use tonic::{Request, Response, Status};

use super::{id, translate};
use crate::{
    commands::{CommandContext, Commands, Target, refuse},
    identity::UserId,
    release::{Decision, PlacedTask, Refusal, Release, TaskId, TaskState},
    store::{AssignedTask, TaskFilter},
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
        let filter = match message.status() {
            TaskStatus::Unspecified if message.status != 0 => {
                let allowed = "must be TODO, IN_PROCESS or COMPLETED";
                return Err(Fault::invalid_field("status", allowed).into());
            }
            TaskStatus::Unspecified => None,
            TaskStatus::Todo => Some(TaskFilter::Todo),
            TaskStatus::InProcess => Some(TaskFilter::InProcess),
            TaskStatus::Completed => Some(TaskFilter::Completed),
        };
        let list = format!("tasks/my?{developer}&{filter:?}");
        let limit = page::limit(message.page_size, page::MAX_LIMIT)?;
        let after = page::decode_cursor(&list, &message.page_token)?;
        let work = self
            .commands
            .releases()
            .work_of(developer, filter, after, limit);
        let (found, active) = work.await.map_err(Fault::from)?;
        Ok(Response::new(ListMyTasksResponse {
            tasks: found
                .items
                .into_iter()
                .map(|task| my_task(task, active.as_ref()))
                .collect(),
            next_page_token: page::encode_cursor(&list, found.next.as_ref()),
        }))
    }

    async fn get_task(
        &self,
        request: Request<GetTaskRequest>,
    ) -> Result<Response<GetTaskResponse>, Status> {
        let id: TaskId = id("id", &request.get_ref().id)?;
        let found = self.commands.releases().task(id).await;
        let found = found
            .map_err(Fault::from)?
            .ok_or_else(|| refuse(Refusal::TaskNotFound(id)))?;
        Ok(Response::new(GetTaskResponse {
            task: Some(translate::placed_task(found)),
        }))
    }

    async fn start_task(
        &self,
        request: Request<StartTaskRequest>,
    ) -> Result<Response<StartTaskResponse>, Status> {
        let id = id("id", &request.get_ref().id)?;
        let stale = self.commands.stale;
        let start =
            |release: &Release, task, developer, now| release.start(task, developer, now, stale);
        let change = self.change(&request, id, start, |task| StartTaskResponse { task });
        Ok(Response::new(change.await?))
    }

    async fn complete_task(
        &self,
        request: Request<CompleteTaskRequest>,
    ) -> Result<Response<CompleteTaskResponse>, Status> {
        let id = id("id", &request.get_ref().id)?;
        let change = self.change(&request, id, Release::complete_task, |task| {
            CompleteTaskResponse { task }
        });
        Ok(Response::new(change.await?))
    }
}

impl Tasks {
    async fn change<M: Sync, R: prost::Message + Default>(
        &self,
        request: &Request<M>,
        task: TaskId,
        step: impl Fn(&Release, TaskId, UserId, Timestamp) -> Result<Decision, Refusal> + Send + Sync,
        respond: fn(Option<Task>) -> R,
    ) -> Result<R, Fault> {
        let by = CommandContext {
            principal: principal(request)?,
            repeatable: None,
        };
        let developer = by.user_id();
        self.commands
            .change(
                Target::Task(task),
                &by,
                |release, now| step(release, task, developer, now),
                |decision| {
                    let placed = decision.release.placed(task);
                    respond(placed.map(translate::placed_task))
                },
            )
            .await
    }
}

fn my_task(assigned: AssignedTask, active: Option<&PlacedTask>) -> MyTask {
    let is_todo = assigned.placed.task.state == TaskState::Todo;
    let predecessor = assigned.blocked_by.map(|task| ("TASK_OUT_OF_ORDER", task));
    let busy = || active.map(|task| ("DEVELOPER_BUSY", task.clone()));
    let blocker = match is_todo {
        true => predecessor.or_else(busy),
        false => None,
    };
    MyTask {
        can_start: is_todo && blocker.is_none(),
        blocked_by: blocker.map(|(code, task)| Blocker {
            code: code.to_owned(),
            task: Some(translate::placed_task(task)),
        }),
        task: Some(translate::placed_task(assigned.placed)),
    }
}
