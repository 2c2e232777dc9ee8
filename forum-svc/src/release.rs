//! Calls to release-svc with the caller's token: look up a task, and resolve the mentioned users.

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

/// Deadline of a call to release-svc. Short, because the call is part of a request.
const DEADLINE: Duration = Duration::from_secs(2);

/// How long a cached task is used. For this long a deleted task still has its discussion, and a
/// comment can be announced to the owner before. A busy discussion asks once in this time.
const FRESH: SignedDuration = SignedDuration::from_secs(1);

/// Tasks in the cache at most.
const CACHED_TASKS: usize = 10_000;

/// Metadata for calls on behalf of the caller of `request`: the caller's token and a deadline.
pub(crate) fn on_behalf_of<T>(request: &tonic::Request<T>) -> Outbound {
    Outbound {
        deadline: Some(DEADLINE),
        ..Outbound::on_behalf_of(request)
    }
}

/// Client of release-svc with a cache of tasks. Every signed-in user may read every task, so the
/// cache is shared by all users. Unknown tasks are not cached.
pub(crate) struct Release {
    tasks: TaskServiceClient<Link>,
    identity: IdentityServiceClient<Link>,
    cache: Cache<TaskId, (Timestamp, Arc<CommentedTask>)>,
    clock: SharedClock,
}

impl Release {
    pub(crate) fn new(link: Link, clock: SharedClock) -> Self {
        Self {
            tasks: TaskServiceClient::new(link.clone()),
            identity: IdentityServiceClient::new(link),
            cache: Cache::new(CACHED_TASKS),
            clock,
        }
    }

    /// The task.
    ///
    /// # Errors
    /// `TASK_NOT_FOUND`; `UNAVAILABLE` if release-svc is unavailable.
    pub(crate) async fn task(
        &self,
        id: TaskId,
        asker: &Outbound,
    ) -> Result<Arc<CommentedTask>, Fault> {
        let now = self.clock.now();
        if let Some((since, task)) = self.cache.get(&id)
            && now.duration_since(since) < FRESH
        {
            return Ok(task);
        }
        let request = asker.request(GetTaskRequest { id: id.to_string() });
        let answer = within(self.tasks.clone().get_task(request)).await?;
        let task = answer.into_inner().task.and_then(commented_task);
        let task = Arc::new(task.ok_or_else(|| malformed("task"))?);
        self.cache.insert(id, (now, Arc::clone(&task)));
        Ok(task)
    }

    /// The users with these names, in the order of the names. Unknown names are left out.
    ///
    /// # Errors
    /// `UNAVAILABLE` if release-svc is unavailable.
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

/// Waits for an answer until the deadline, even if release-svc does not observe the deadline.
async fn within<T>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Fault> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(status)) => {
            let fault = Fault::from(status);
            Err(match fault.kind {
                Kind::Unavailable | Kind::Deadline => unavailable(fault.detail),
                _ => fault,
            })
        }
        Err(_elapsed) => Err(unavailable("no answer in time")),
    }
}

fn unavailable(cause: impl std::fmt::Display) -> Fault {
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
