//! Reads the caller's work from the release service with the caller's own token, so the assistant
//! knows nothing that the caller could not read. The number of calls is bounded: three lists, and
//! the most important releases.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use slipway_proto::{
    release::v1::{
        self as proto, GetReleaseRequest, ListMyTasksRequest, ListReleasesRequest, ReleaseStatus,
        TaskStatus, release_service_client::ReleaseServiceClient,
        task_service_client::TaskServiceClient,
    },
    time::from_proto,
};
use slipway_rpc::{
    access::{Principal, Role},
    error::{Fault, Kind},
    grpc::{Link, Outbound},
};
use uuid::Uuid;

use crate::prompt::{Blocker, Caller, NextTask, ReleaseFacts, TaskFacts, TaskState, Work};

/// Maximum number of releases to read.
const MAX_RELEASES: usize = 5;

/// Number of releases read concurrently.
const AT_ONCE: usize = 3;

/// Maximum number of tasks to start.
const MAX_TODO: i32 = 50;

/// Maximum number of completed tasks.
const MAX_COMPLETED: i32 = 20;

/// How long after their last task there a release counts as current for a caller who has no open
/// task in it.
const RECENT: SignedDuration = SignedDuration::from_hours(48);

/// Maximum size of a response in bytes. A release with 500 tasks of 8,000 characters is larger than
/// tonic's default of 4 MiB.
const MAX_ANSWER: usize = 32 * 1024 * 1024;

/// Time limit for all calls together.
const DEADLINE: Duration = Duration::from_secs(5);

/// Reads the caller's work.
#[derive(Clone)]
pub(crate) struct WorkReader {
    tasks: TaskServiceClient<Link>,
    releases: ReleaseServiceClient<Link>,
}

impl WorkReader {
    pub(crate) fn new(release: Link) -> Self {
        Self {
            tasks: TaskServiceClient::new(release.clone()).max_decoding_message_size(MAX_ANSWER),
            releases: ReleaseServiceClient::new(release).max_decoding_message_size(MAX_ANSWER),
        }
    }

    /// The work of `caller`. `outbound` carries the caller's token.
    ///
    /// # Errors
    /// A fault of the release service, or that it is unavailable.
    pub(crate) async fn read(
        &self,
        caller: &Principal,
        outbound: &Outbound,
        now: Timestamp,
    ) -> Result<Work, Fault> {
        let outbound = Outbound {
            deadline: Some(DEADLINE),
            ..outbound.clone()
        };
        let read = self.read_as(caller, &outbound, now);
        match tokio::time::timeout(DEADLINE, read).await {
            Ok(read) => read,
            Err(_) => Err(Fault::unavailable(
                "The release service",
                "no answer in time",
            )),
        }
    }

    async fn read_as(
        &self,
        caller: &Principal,
        outbound: &Outbound,
        now: Timestamp,
    ) -> Result<Work, Fault> {
        let (current, todo, completed, open) = tokio::try_join!(
            self.tasks(outbound, TaskStatus::InProcess, 1),
            self.tasks(outbound, TaskStatus::Todo, MAX_TODO),
            self.tasks(outbound, TaskStatus::Completed, MAX_COMPLETED),
            self.open_releases(outbound, caller.role),
        )?;
        let mut ids = Vec::new();
        let recent = completed.iter().filter(|mine| {
            let at = mine.task.as_ref().and_then(|task| time(task.completed_at));
            at.is_some_and(|at| at > now - RECENT)
        });
        let matter = current.iter().chain(&todo).chain(recent);
        let theirs = matter.filter_map(|mine| mine.task.as_ref());
        for id in theirs.map(|task| &task.release_id).chain(&open) {
            if !ids.contains(id) {
                ids.push(id.clone());
            }
        }
        let more_releases = ids.len() > MAX_RELEASES;
        ids.truncate(MAX_RELEASES);
        let releases: Vec<Option<ReleaseFacts>> = stream::iter(ids)
            .map(|id| self.release(outbound, id))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let mut next = todo
            .into_iter()
            .map(next_task)
            .collect::<Result<Vec<_>, _>>()?;
        // A stable sort: within each kind the order stays, newest release first.
        next.sort_by_key(|next| (urgency(next), !next.task.hotfix));
        Ok(Work {
            caller: Caller {
                id: caller.user_id,
                username: caller.username.clone(),
                role: caller.role,
            },
            now,
            current: current
                .into_iter()
                .find_map(|mine| mine.task)
                .map(task)
                .transpose()?,
            next,
            releases: releases.into_iter().flatten().collect(),
            more_releases,
        })
    }

    async fn tasks(
        &self,
        outbound: &Outbound,
        status: TaskStatus,
        page_size: i32,
    ) -> Result<Vec<proto::MyTask>, Fault> {
        let request = outbound.request(ListMyTasksRequest {
            status: status.into(),
            page_size,
            page_token: String::new(),
        });
        Ok(self
            .tasks
            .clone()
            .list_my_tasks(request)
            .await?
            .into_inner()
            .tasks)
    }

    /// The newest open releases, if the caller is an admin. Developers see the releases of their
    /// tasks.
    async fn open_releases(&self, outbound: &Outbound, role: Role) -> Result<Vec<String>, Fault> {
        if role != Role::Admin {
            return Ok(Vec::new());
        }
        let request = outbound.request(ListReleasesRequest {
            status: ReleaseStatus::Open.into(),
            page_size: MAX_RELEASES as i32 + 1,
            page_token: String::new(),
        });
        let answer = self.releases.clone().list_releases(request).await?;
        let releases = answer.into_inner().releases.into_iter();
        Ok(releases.map(|release| release.id).collect())
    }

    /// A release; `None` if it no longer exists.
    async fn release(
        &self,
        outbound: &Outbound,
        id: String,
    ) -> Result<Option<ReleaseFacts>, Fault> {
        let request = outbound.request(GetReleaseRequest { id });
        match self.releases.clone().get_release(request).await {
            Ok(answer) => answer.into_inner().release.map(release).transpose(),
            Err(status) => match Fault::from(status) {
                fault if fault.kind == Kind::NotFound => Ok(None),
                fault => Err(fault),
            },
        }
    }
}

/// Sort key: tasks that can start sooner come first.
fn urgency(next: &NextTask) -> u8 {
    match next.blocked_by {
        None => 0,
        Some(Blocker::OwnWork(_)) => 1,
        Some(Blocker::Predecessor(_)) => 2,
    }
}

fn next_task(mine: proto::MyTask) -> Result<NextTask, Fault> {
    let blocked_by = match mine.blocked_by {
        None => None,
        Some(blocker) => {
            let by = task(required(blocker.task)?)?;
            Some(match blocker.code.as_str() {
                "DEVELOPER_BUSY" => Blocker::OwnWork(by),
                _ => Blocker::Predecessor(by),
            })
        }
    };
    Ok(NextTask {
        task: task(required(mine.task)?)?,
        blocked_by,
    })
}

fn task(task: proto::Task) -> Result<TaskFacts, Fault> {
    Ok(TaskFacts {
        state: match task.status() {
            TaskStatus::Unspecified | TaskStatus::Todo => TaskState::Todo,
            TaskStatus::InProcess => TaskState::InProcess,
            TaskStatus::Completed => TaskState::Completed,
        },
        id: id(&task.id)?,
        release_id: id(&task.release_id)?,
        release: task.release_name,
        title: task.title,
        assignee: required(task.assignee)?.username,
        order_index: task.order_index,
        hotfix: task.hotfix,
        created_at: required(time(task.created_at))?,
        started_at: time(task.started_at),
        completed_at: time(task.completed_at),
        due_at: time(task.due_at),
    })
}

fn release(release: proto::Release) -> Result<ReleaseFacts, Fault> {
    Ok(ReleaseFacts {
        id: id(&release.id)?,
        name: release.name,
        version: release.version,
        completed_at: time(release.completed_at),
        created_at: required(time(release.created_at))?,
        tasks: release
            .tasks
            .into_iter()
            .map(task)
            .collect::<Result<_, _>>()?,
    })
}

fn required<T>(value: Option<T>) -> Result<T, Fault> {
    value.ok_or_else(|| Fault::internal("the release service left out what it promises"))
}

fn id(text: &str) -> Result<Uuid, Fault> {
    required(text.parse().ok())
}

fn time(time: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    time.and_then(|time| from_proto(time).ok())
}
