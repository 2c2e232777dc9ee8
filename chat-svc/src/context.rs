//! Reads the caller's work from the release service with the caller's own token, so the assistant
//! knows nothing that the caller could not read. What is read is bounded; [`Work`] says when a
//! bound was reached.

use std::{collections::HashSet, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
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

use crate::prompt::{
    Blocker, Caller, NextTask, PROMPT_RELEASES, ReleaseFacts, TaskFacts, TaskState, Work,
};

/// Number of tasks after which no further release is read.
const ENOUGH_TASKS: usize = 5_000;

/// Number of releases read concurrently.
const AT_ONCE: usize = 8;

/// Number of the caller's tasks of one state after which no further page is read.
const ENOUGH_OWN_TASKS: usize = 1_000;

/// Items on a page of a list.
const PAGE: i32 = 200;

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

    /// The work of `caller`, with at most `most` releases. `outbound` carries the caller's token.
    /// Releases that are named in the `question` are read first, except that it does not change the
    /// first [`PROMPT_RELEASES`].
    ///
    /// # Errors
    /// A fault of the release service, or that it is unavailable.
    pub(crate) async fn read(
        &self,
        caller: &Principal,
        outbound: &Outbound,
        now: Timestamp,
        question: &str,
        most: usize,
    ) -> Result<Work, Fault> {
        let outbound = Outbound {
            deadline: Some(DEADLINE),
            ..outbound.clone()
        };
        let read = self.read_as(caller, &outbound, now, question, most);
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
        question: &str,
        most: usize,
    ) -> Result<Work, Fault> {
        let (current, todo, completed, listed) = tokio::try_join!(
            self.tasks(outbound, TaskStatus::InProcess),
            self.tasks(outbound, TaskStatus::Todo),
            self.tasks(outbound, TaskStatus::Completed),
            self.listed(outbound, caller.role),
        )?;
        let more_tasks = todo.more || completed.more;
        let tasks = [&current, &todo, &completed].into_iter();
        let own = tasks.flat_map(|list| &list.items);
        let own = own.filter_map(|mine| mine.task.as_ref());
        let own = own.map(|task| (&task.release_id, &task.release_name));
        let listed_names = listed.items.iter();
        let listed_names = listed_names.map(|release| (&release.id, &release.name));
        let mut seen = HashSet::new();
        let mut wanted: Vec<_> = own
            .chain(listed_names)
            .filter(|(id, _)| seen.insert(*id))
            .collect();
        let question = question.to_lowercase();
        if let Some(rest) = wanted.get_mut(PROMPT_RELEASES..) {
            rest.sort_by_cached_key(|(_, name)| !question.contains(&name.to_lowercase()));
        }
        let ids: Vec<_> = wanted.iter().map(|(id, _)| (*id).clone()).collect();
        let (releases, all) = self.releases(outbound, ids, most).await?;
        let mut next = todo
            .items
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
            current: facts(current.items)?.into_iter().next(),
            next,
            completed: facts(completed.items)?,
            more_tasks,
            releases,
            more_releases: !all || listed.more,
        })
    }

    /// The caller's tasks in this state.
    async fn tasks(
        &self,
        outbound: &Outbound,
        status: TaskStatus,
    ) -> Result<List<proto::MyTask>, Fault> {
        let (mut items, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = outbound.request(ListMyTasksRequest {
                status: status.into(),
                page_size: PAGE,
                page_token,
                conditions: None,
            });
            let answer = self.tasks.clone().list_my_tasks(request).await?;
            let answer = answer.into_inner();
            items.extend(answer.tasks);
            page_token = answer.next_page_token;
            let more = !page_token.is_empty();
            if !more || items.len() >= ENOUGH_OWN_TASKS {
                return Ok(List { items, more });
            }
        }
    }

    /// The newest releases, the open ones first, if the caller is an administrator. Developers see
    /// the releases of their tasks.
    async fn listed(&self, outbound: &Outbound, role: Role) -> Result<List<proto::Release>, Fault> {
        let mut list = List {
            items: Vec::new(),
            more: false,
        };
        if role != Role::Admin {
            return Ok(list);
        }
        for status in [ReleaseStatus::Open, ReleaseStatus::Completed] {
            let request = outbound.request(ListReleasesRequest {
                status: status.into(),
                page_size: PAGE,
                page_token: String::new(),
            });
            let answer = self.releases.clone().list_releases(request).await?;
            let answer = answer.into_inner();
            list.items.extend(answer.releases);
            list.more |= !answer.next_page_token.is_empty();
        }
        Ok(list)
    }

    /// The first of these releases with their tasks, at most `most`, and whether these are all.
    async fn releases(
        &self,
        outbound: &Outbound,
        ids: Vec<String>,
        most: usize,
    ) -> Result<(Vec<ReleaseFacts>, bool), Fault> {
        let (wanted, mut read, mut tasks) = (ids.len(), 0, 0);
        let mut reading = stream::iter(ids.into_iter().take(most))
            .map(|id| self.release(outbound, id))
            .buffered(AT_ONCE);
        let mut releases = Vec::new();
        while tasks < ENOUGH_TASKS
            && let Some(release) = reading.try_next().await?
        {
            read += 1;
            tasks += release.as_ref().map_or(0, |release| release.tasks.len());
            releases.extend(release);
        }
        Ok((releases, read == wanted))
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

/// The part of a list that was read.
struct List<T> {
    items: Vec<T>,
    more: bool,
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

fn facts(tasks: Vec<proto::MyTask>) -> Result<Vec<TaskFacts>, Fault> {
    let tasks = tasks.into_iter().filter_map(|mine| mine.task);
    tasks.map(task).collect()
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
