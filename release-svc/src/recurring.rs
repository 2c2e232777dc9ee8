//! The consumer that continues the series of recurring tasks: it reads this service's own
//! `task.completed` events, and adds the next occurrence of each task that recurs.
//!
//! The event only says which task to look at. What follows the task, and whether that has been done,
//! is in its release ([`recurrence`](crate::release::recurrence)). So an event that is delivered
//! again has no further effect, on whichever replica. If this process ends between two writes, the
//! event is delivered again and continues with the second.
//!
//! | failure | what happens |
//! | --- | --- |
//! | the database is away, other writers were faster | the event is tried again |
//! | the release is full, the rule cannot be used | the event becomes a dead letter; a replay tries again |

use std::sync::Arc;

use async_trait::async_trait;
use slipway_bus::{
    Event, TopicSpec,
    consumer::{Consumer, Failure, Group, Handler, Host, Order, Refusal as Refused, Verdict},
};
use slipway_proto::events::{Payload as _, RELEASES, TaskCompletedEvent};
use slipway_rpc::{access::Role, error::Fault};
use slipway_store::receipts::Repeatable;

use crate::{
    commands::{Commands, NotChanged, Target},
    release::{
        Refusal, Release, ReleaseId, SeriesEnd, Task, TaskDraft, TaskId,
        recurrence::{Next, Surroundings},
    },
};

/// The consumer group.
fn group() -> Group {
    Group {
        name: "recurrence",
        topics: vec![RELEASES.name.to_owned()],
        // What fails for one event only is refused for good, so no retry topics are needed.
        order: Order::PerKey,
    }
}

/// The retry and dead-letter topics of this service's consumer group. A process creates them before
/// it serves, to find out early whether it can.
#[must_use]
pub fn own_topics() -> Vec<TopicSpec> {
    group().own_topics()
}

/// Continues the series of completed tasks.
pub(crate) struct Series {
    commands: Arc<Commands>,
}

impl Series {
    pub(crate) fn new(commands: Arc<Commands>) -> Self {
        Self { commands }
    }

    /// Consumes until told to stop.
    pub(crate) fn spawn(self, host: &Host) {
        Consumer {
            group: group(),
            handler: Arc::new(self),
        }
        .spawn(host);
    }

    /// Adds the next occurrence of a task, or ends its series, unless that has been done.
    async fn continue_with(&self, id: TaskId) -> Result<(), NotChanged> {
        let found = self.commands.releases().release_of(id).await;
        // A task that is deleted, or was restored to an earlier state, has no next occurrence.
        let Some(release) = found.map_err(Fault::from)? else {
            return Ok(());
        };
        let Some(task) = release.task(id).filter(|task| task.recurrence.is_some()) else {
            return Ok(());
        };
        let surroundings = self.surroundings(task).await?;
        let recur = |release: &Release, now| release.recur(id, surroundings, now);
        let target = Target::Task(id);
        let release = self.commands.change_by_system(target, None, recur).await?;
        let Some((
            task,
            Next::Elsewhere {
                release,
                task: next,
            },
        )) = followed(&release, id)
        else {
            return Ok(());
        };
        let outcome = match task.next_occurrence(release).map_err(NotChanged::Refused)? {
            Some(draft) => self.add_elsewhere(release, next, draft).await?,
            None => Err(SeriesEnd::RuleExhausted),
        };
        let conclude = |release: &Release, _| release.conclude(id, outcome);
        self.commands
            .change_by_system(target, None, conclude)
            .await?;
        Ok(())
    }

    async fn surroundings(&self, task: &Task) -> Result<Surroundings, Fault> {
        let stores = &self.commands.stores;
        let owner = stores.users.user(task.assignee.id).await?;
        let named = task.recurrence.as_ref().and_then(|r| r.release);
        let named = match named {
            Some(named) => stores.releases.release(named).await?,
            None => None,
        };
        Ok(Surroundings {
            has_owner: owner.is_some_and(|owner| owner.user.role == Role::Developer),
            named_is_open: named.map(|release| !release.is_completed()),
        })
    }

    /// Adds an occurrence to a release once, also if it is deleted there before this is tried again.
    async fn add_elsewhere(
        &self,
        release: ReleaseId,
        id: TaskId,
        draft: TaskDraft,
    ) -> Result<Result<(), SeriesEnd>, NotChanged> {
        let once = Repeatable::of_everybody("AddOccurrence", &id.to_string(), &());
        let (receipts, now) = (&self.commands.stores.receipts, self.commands.clock.now());
        if once.earlier(&**receipts, now).await?.is_some() {
            return Ok(Ok(()));
        }
        let add = |release: &Release, now| release.add_occurrence(id, draft.clone(), now);
        let target = Target::Release(release);
        let added = self.commands.change_by_system(target, Some(&once), add);
        match added.await {
            Ok(_) => Ok(Ok(())),
            Err(NotChanged::Refused(Refusal::ReleaseNotFound(_))) => {
                Ok(Err(SeriesEnd::ReleaseDeleted))
            }
            // Only a completed release takes nothing but hotfixes.
            Err(NotChanged::Refused(Refusal::Hotfix(_))) => Ok(Err(SeriesEnd::ReleaseCompleted)),
            Err(not_changed) => Err(not_changed),
        }
    }
}

/// A task with what follows it.
fn followed(release: &Release, id: TaskId) -> Option<(&Task, Next)> {
    let task = release.task(id)?;
    Some((task, task.recurrence.as_ref()?.next?))
}

#[async_trait]
impl Handler for Series {
    async fn handle(&self, events: &[Event]) -> Result<(), Failure> {
        let mut poison = Vec::new();
        for event in events {
            let reason = match completed(event) {
                Ok(None) => continue,
                Ok(Some(task)) => match self.continue_with(task).await {
                    Ok(()) => continue,
                    Err(NotChanged::Failed(fault)) => {
                        return Err(Failure::Transient(fault.detail));
                    }
                    Err(NotChanged::Refused(refusal)) => refusal.to_string(),
                },
                Err(reason) => reason,
            };
            poison.push(Refused {
                event_id: event.id,
                verdict: Verdict::Poison,
                reason,
            });
        }
        match poison.is_empty() {
            true => Ok(()),
            false => Err(Failure::Events(poison)),
        }
    }
}

/// The recurring task that was completed; `None` for all other events.
fn completed(event: &Event) -> Result<Option<TaskId>, String> {
    if event.event_type != TaskCompletedEvent::TYPE {
        return Ok(None);
    }
    let payload: Result<TaskCompletedEvent, _> = event.payload();
    let payload = payload.map_err(|error| format!("its payload violates its schema: {error}"))?;
    let task = payload.task;
    Ok(task.recurrence.map(|_| TaskId(task.id)))
}
