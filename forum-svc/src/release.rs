//! What the forum asks of release-svc, with the caller's token: whether a task exists and
//! what it is called, and who the users are that a comment mentions.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use quick_cache::sync::Cache;
use slipway_proto::{
    common::v1 as common,
    events::{CommentedTask, UserRef},
    identity::v1::{ResolveUsersRequest, identity_service_client::IdentityServiceClient},
    release::v1::{GetTaskRequest, task_service_client::TaskServiceClient},
};
use slipway_rpc::{
    error::{Fault, Kind},
    grpc::{Link, Outbound},
};
use slipway_runtime::clock::SharedClock;
use tonic::Status;
use uuid::Uuid;

use crate::comment::TaskId;

/// How long release-svc may take: it is asked within a request.
const DEADLINE: Duration = Duration::from_secs(2);

/// How long a task is taken for what it was. That it exists does not change: tasks are not
/// deleted.
const FRESH: SignedDuration = SignedDuration::from_secs(60);

/// Tasks that are remembered.
const REMEMBERED: usize = 10_000;

/// What goes along with what is asked to answer `request`: its caller's token.
pub(crate) fn on_behalf_of<T>(request: &tonic::Request<T>) -> Outbound {
    Outbound {
        deadline: Some(DEADLINE),
        ..Outbound::on_behalf_of(request)
    }
}

/// release-svc, as the forum sees it. Every signed-in user may read every task, so what one
/// of them was answered is good for all. That there is no such task is not remembered.
pub(crate) struct Release {
    tasks: TaskServiceClient<Link>,
    identity: IdentityServiceClient<Link>,
    known: Cache<TaskId, (Timestamp, Arc<CommentedTask>)>,
    clock: SharedClock,
}

impl Release {
    pub(crate) fn new(link: Link, clock: SharedClock) -> Self {
        Self {
            tasks: TaskServiceClient::new(link.clone()),
            identity: IdentityServiceClient::new(link),
            known: Cache::new(REMEMBERED),
            clock,
        }
    }

    /// The task.
    ///
    /// # Errors
    /// `TASK_NOT_FOUND`; `UNAVAILABLE` if release-svc is away.
    pub(crate) async fn task(
        &self,
        id: TaskId,
        asker: &Outbound,
    ) -> Result<Arc<CommentedTask>, Fault> {
        let now = self.clock.now();
        if let Some((since, task)) = self.known.get(&id)
            && now.duration_since(since) < FRESH
        {
            return Ok(task);
        }
        let request = asker.request(GetTaskRequest { id: id.to_string() });
        let answer = within(self.tasks.clone().get_task(request)).await?;
        let task = answer.into_inner().task.and_then(commented_task);
        let task = Arc::new(task.ok_or_else(|| malformed("task"))?);
        self.known.insert(id, (now, Arc::clone(&task)));
        Ok(task)
    }

    /// Those of these usernames that are users, in the order of the names.
    ///
    /// # Errors
    /// `UNAVAILABLE` if release-svc is away.
    pub(crate) async fn users(
        &self,
        names: Vec<String>,
        asker: &Outbound,
    ) -> Result<Vec<UserRef>, Fault> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let request = asker.request(ResolveUsersRequest {
            usernames: names.clone(),
        });
        let answer = within(self.identity.clone().resolve_users(request)).await?;
        let mut users = Vec::new();
        for user in answer.into_inner().users {
            users.push(UserRef {
                id: uuid(&user.id).ok_or_else(|| malformed("user"))?,
                username: user.username,
            });
        }
        users.sort_by_key(|user| {
            let name = user.username.to_lowercase();
            names.iter().position(|wanted| *wanted == name)
        });
        Ok(users)
    }
}

/// Waits for an answer no longer than it may take, also when release-svc does not keep to
/// the deadline.
async fn within<T>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Fault> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(status)) => {
            let fault = Fault::from(status);
            Err(match fault.kind {
                Kind::Unavailable | Kind::Deadline => away(fault.detail),
                _ => fault,
            })
        }
        Err(_elapsed) => Err(away("no answer in time")),
    }
}

fn away(cause: impl std::fmt::Display) -> Fault {
    Fault::unavailable("The release service", cause)
}

fn malformed(what: &str) -> Fault {
    Fault::internal(format_args!("release-svc answered without a valid {what}"))
}

fn uuid(text: &str) -> Option<Uuid> {
    slipway_runtime::id::parse(text).ok()
}

fn commented_task(task: slipway_proto::release::v1::Task) -> Option<CommentedTask> {
    let common::UserRef { id, username } = task.assignee?;
    Some(CommentedTask {
        id: uuid(&task.id)?,
        title: task.title,
        release_id: uuid(&task.release_id)?,
        release_name: task.release_name,
        assignee: UserRef {
            id: uuid(&id)?,
            username,
        },
    })
}
