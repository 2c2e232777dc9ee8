//! Turns the events of a decision into bus events with their payloads.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use slipway_bus::{Actor, Event, event::Origin};
use slipway_proto::events::{self as payload, Payload as _};
use uuid::Uuid;

use super::{
    Decision, Priority, Recurrence, Release, ReleaseEvent, ReleaseState, RemindBefore, SeriesEnd,
    Task, TaskId, TaskState,
};
use crate::{SERVICE, identity::UserRef};

/// A reminder that comes later than this is marked as late.
const LATE: SignedDuration = SignedDuration::from_mins(1);

/// The events of a decision, in order.
#[must_use]
pub fn of(decision: &Decision, actor: &Actor, now: Timestamp) -> Vec<Event> {
    let release = &decision.release;
    let is_plan = decision.events.contains(&ReleaseEvent::Created);
    decision
        .events
        .iter()
        .filter_map(|happened| {
            let event = |subject: Uuid| Envelope {
                release,
                actor,
                now,
                subject,
            };
            let task = |id| release.task(id);
            Some(match happened {
                ReleaseEvent::Created => event(release.id.0).wrap(&created(release)),
                ReleaseEvent::Reopened => event(release.id.0).wrap(&reopened(release)),
                ReleaseEvent::Ready => event(release.id.0).wrap(&ready(release)),
                ReleaseEvent::Completed => event(release.id.0).wrap(&completed(release, now)),
                ReleaseEvent::Updated { changed, before } => {
                    event(release.id.0).wrap(&updated(release, changed, before))
                }
                ReleaseEvent::Deleted => {
                    event(release.id.0).wrap(&deleted(release, &decision.events))
                }
                ReleaseEvent::TaskUpdated {
                    task: id,
                    changed,
                    before,
                } => event(id.0).wrap(&task_updated(release, task(*id)?, changed, before)),
                ReleaseEvent::TaskDeleted(task) => {
                    let data = task_data(release, task);
                    event(task.id.0).wrap(&payload::TaskDeletedEvent { task: data })
                }
                ReleaseEvent::TaskCreated(id) => {
                    let task = task_data(release, task(*id)?);
                    event(id.0).wrap(&payload::TaskCreatedEvent { task })
                }
                ReleaseEvent::TaskAssigned(id) => {
                    let task = task(*id)?;
                    let plan_tasks = is_plan.then(|| tasks_of(release, &task.assignee));
                    event(id.0).wrap(&assigned(release, task, plan_tasks))
                }
                ReleaseEvent::HotfixAdded(id) => event(id.0).wrap(&hotfix(release, task(*id)?)),
                ReleaseEvent::TaskReady(id) => {
                    let by = announced_by(&decision.events, *id);
                    event(id.0).wrap(&task_ready(release, task(*id)?, by))
                }
                ReleaseEvent::TaskStarted(id) => {
                    let task = task_data(release, task(*id)?);
                    event(id.0).wrap(&payload::TaskStartedEvent { task })
                }
                ReleaseEvent::TaskPaused { task: id, reason } => {
                    let task = task(*id)?;
                    event(id.0).wrap(&payload::TaskPausedEvent {
                        task: task_data(release, task),
                        reason: reason.to_string(),
                        worked_ms: task.worked_ms(),
                        planned_by: user(&release.created_by),
                    })
                }
                ReleaseEvent::TaskCompleted(id) => {
                    event(id.0).wrap(&task_completed(release, task(*id)?))
                }
                ReleaseEvent::RecurrenceEnded { task: id, why } => {
                    event(id.0).wrap(&payload::TaskRecurrenceEndedEvent {
                        task: task_data(release, task(*id)?),
                        reason: series_end(*why),
                        planned_by: user(&release.created_by),
                    })
                }
                ReleaseEvent::TaskReminderDue(id) => {
                    event(id.0).wrap(&reminder(release, task(*id)?, now)?)
                }
                ReleaseEvent::TaskStale(id) => event(id.0).wrap(&stale(release, task(*id)?, now)?),
            })
        })
        .collect()
}

struct Envelope<'a> {
    release: &'a Release,
    actor: &'a Actor,
    now: Timestamp,
    subject: Uuid,
}

impl Envelope<'_> {
    fn wrap<P: payload::Payload>(&self, payload: &P) -> Event {
        Event::new(
            payload,
            &Origin {
                service: SERVICE,
                key: self.release.id.0,
                subject: self.subject,
                actor: self.actor,
                time: self.now,
            },
        )
    }
}

fn count(tasks: usize) -> u32 {
    u32::try_from(tasks).expect("a release has at most 500 tasks")
}

fn user(user: &UserRef) -> payload::UserRef {
    payload::UserRef {
        id: user.id.0,
        username: user.username.clone(),
    }
}

fn created(release: &Release) -> payload::ReleaseCreatedEvent {
    payload::ReleaseCreatedEvent {
        release_id: release.id.0,
        release_name: release.name.to_string(),
        version: release.version.to_string(),
        created_by: user(&release.created_by),
        total_tasks: count(release.tasks.len()),
    }
}

fn reopened(release: &Release) -> payload::ReleaseReopenedEvent {
    payload::ReleaseReopenedEvent {
        release_id: release.id.0,
        release_name: release.name.to_string(),
        version: release.version.to_string(),
        total_tasks: count(release.tasks.len()),
        completed_tasks: count(release.completed_tasks()),
        reopened_count: release.reopened_count,
    }
}

fn ready(release: &Release) -> payload::ReleaseReadyEvent {
    payload::ReleaseReadyEvent {
        release_id: release.id.0,
        release_name: release.name.to_string(),
        version: release.version.to_string(),
        created_by: user(&release.created_by),
        total_tasks: count(release.tasks.len()),
    }
}

fn completed(release: &Release, now: Timestamp) -> payload::ReleaseCompletedEvent {
    payload::ReleaseCompletedEvent {
        release_id: release.id.0,
        release_name: release.name.to_string(),
        version: release.version.to_string(),
        total_tasks: count(release.tasks.len()),
        completed_at: match release.state {
            ReleaseState::Completed { at } => at,
            ReleaseState::Open => now,
        },
    }
}

fn updated(
    release: &Release,
    changed: &[&'static str],
    before: &Release,
) -> payload::ReleaseUpdatedEvent {
    payload::ReleaseUpdatedEvent {
        release_id: release.id.0,
        release_name: release.name.to_string(),
        description: release.description.to_string(),
        version: release.version.to_string(),
        created_by: user(&release.created_by),
        total_tasks: count(release.tasks.len()),
        completed_tasks: count(release.completed_tasks()),
        changed: names(changed),
        changes: changes(changed, before, &release.without_tasks()),
    }
}

fn task_updated(
    release: &Release,
    task: &Task,
    changed: &[&'static str],
    before: &Task,
) -> payload::TaskUpdatedEvent {
    let (previous, current) = (task_data(release, before), task_data(release, task));
    let is_reassigned = previous.assignee != current.assignee;
    payload::TaskUpdatedEvent {
        changed: names(changed),
        changes: changes(changed, &previous, &current),
        previous_assignee: is_reassigned.then_some(previous.assignee),
        task: current,
    }
}

/// The values of the changed fields. Both states name their fields as the API does.
fn changes(
    changed: &[&'static str],
    before: &impl Serialize,
    after: &impl Serialize,
) -> Vec<payload::FieldChange> {
    payload::FieldChange::between(changed, before, after)
        .expect("states are structs of plain fields")
}

fn deleted(release: &Release, events: &[ReleaseEvent]) -> payload::ReleaseDeletedEvent {
    let is_task = |event: &&ReleaseEvent| matches!(event, ReleaseEvent::TaskDeleted(_));
    payload::ReleaseDeletedEvent {
        release_id: release.id.0,
        release_name: release.name.to_string(),
        description: release.description.to_string(),
        version: release.version.to_string(),
        created_by: user(&release.created_by),
        total_tasks: count(events.iter().filter(is_task).count()),
    }
}

fn names(changed: &[&'static str]) -> Vec<String> {
    changed.iter().map(|name| (*name).to_owned()).collect()
}

/// The number of tasks that this owner has in the release.
fn tasks_of(release: &Release, owner: &UserRef) -> u32 {
    let own = release.tasks.iter().filter(|t| t.assignee.id == owner.id);
    count(own.count())
}

/// The position of the task in the release, counted from 1.
fn position(release: &Release, task: &Task) -> u32 {
    let before = |other: &&Task| other.order_index <= task.order_index;
    count(release.tasks.iter().filter(before).count())
}

fn can_start(release: &Release, task: &Task) -> bool {
    release.turn() == Some(ReleaseEvent::TaskReady(task.id))
}

/// The type of the event that tells the owner of a task what the same command did to it.
fn announced_by(events: &[ReleaseEvent], id: TaskId) -> Option<&'static str> {
    events.iter().find_map(|event| match event {
        ReleaseEvent::TaskAssigned(task) if *task == id => Some(payload::TaskAssignedEvent::TYPE),
        ReleaseEvent::HotfixAdded(task) if *task == id => Some(payload::HotfixTaskAddedEvent::TYPE),
        ReleaseEvent::TaskPaused { task, .. } if *task == id => {
            Some(payload::TaskPausedEvent::TYPE)
        }
        _ => None,
    })
}

fn assigned(release: &Release, task: &Task, plan_tasks: Option<u32>) -> payload::TaskAssignedEvent {
    payload::TaskAssignedEvent {
        developer_id: task.assignee.id.0,
        developer_name: task.assignee.username.clone(),
        release_id: release.id.0,
        release_name: release.name.to_string(),
        task_id: task.id.0,
        task_title: task.title.to_string(),
        order_index: task.order_index.get(),
        position: Some(position(release, task)),
        can_start: Some(can_start(release, task)),
        due_at: task.due_at,
        plan_tasks,
    }
}

fn hotfix(release: &Release, task: &Task) -> payload::HotfixTaskAddedEvent {
    payload::HotfixTaskAddedEvent {
        developer_id: task.assignee.id.0,
        developer_name: task.assignee.username.clone(),
        release_id: release.id.0,
        release_name: release.name.to_string(),
        task_id: task.id.0,
        task_title: task.title.to_string(),
        position: Some(position(release, task)),
        can_start: Some(can_start(release, task)),
        due_at: task.due_at,
    }
}

fn task_ready(
    release: &Release,
    task: &Task,
    announced_by: Option<&'static str>,
) -> payload::TaskReadyEvent {
    payload::TaskReadyEvent {
        task: task_data(release, task),
        position: position(release, task),
        announced_by: announced_by.map(str::to_owned),
    }
}

fn task_completed(release: &Release, task: &Task) -> payload::TaskCompletedEvent {
    payload::TaskCompletedEvent {
        task: task_data(release, task),
        duration_ms: task.worked_ms(),
        next_task: release.next_task().map(|next| task_data(release, next)),
    }
}

/// `None` if the task has no reminder.
fn reminder(
    release: &Release,
    task: &Task,
    now: Timestamp,
) -> Option<payload::TaskReminderDueEvent> {
    let remind_at = task.remind_at()?;
    Some(payload::TaskReminderDueEvent {
        developer_id: task.assignee.id.0,
        developer_name: task.assignee.username.clone(),
        release_id: release.id.0,
        release_name: release.name.to_string(),
        task_id: task.id.0,
        task_title: task.title.to_string(),
        due_at: task.due_at,
        remind_at,
        late: (now.duration_since(remind_at) > LATE).then_some(true),
    })
}

/// `None` if the task is not in process.
fn stale(
    release: &Release,
    task: &Task,
    now: Timestamp,
) -> Option<payload::StaleTaskDetectedEvent> {
    let TaskState::InProcess { started_at, .. } = task.state else {
        return None;
    };
    let hours = now.duration_since(started_at).as_hours();
    Some(payload::StaleTaskDetectedEvent {
        developer_id: task.assignee.id.0,
        developer_name: task.assignee.username.clone(),
        release_id: release.id.0,
        release_name: release.name.to_string(),
        task_id: task.id.0,
        task_title: task.title.to_string(),
        started_at,
        hours: u32::try_from(hours).unwrap_or_default(),
    })
}

fn task_data(release: &Release, task: &Task) -> payload::TaskData {
    let (status, started_at, completed_at) = match task.state {
        TaskState::Todo => (payload::TaskState::Todo, None, None),
        TaskState::InProcess { started_at, .. } => {
            (payload::TaskState::InProcess, Some(started_at), None)
        }
        TaskState::Completed {
            started_at,
            completed_at,
        } => (
            payload::TaskState::Completed,
            Some(started_at),
            Some(completed_at),
        ),
    };
    payload::TaskData {
        id: task.id.0,
        release_id: release.id.0,
        release_name: release.name.to_string(),
        title: task.title.to_string(),
        description: task.description.to_string(),
        assignee: user(&task.assignee),
        order_index: task.order_index.get(),
        status,
        hotfix: task.hotfix,
        created_at: task.created_at,
        started_at,
        completed_at,
        due_at: task.due_at,
        priority: Some(priority(task.priority)),
        tags: task.tags.iter().map(str::to_owned).collect(),
        remind_before_minutes: task.remind_before.map(RemindBefore::minutes),
        recurrence: task.recurrence.as_deref().map(recurrence),
    }
}

fn recurrence(recurrence: &Recurrence) -> payload::TaskRecurrence {
    payload::TaskRecurrence {
        rule: recurrence.rule.to_string(),
        time_zone: recurrence.time_zone.name().to_owned(),
        release_id: recurrence.release.map(|release| release.0),
        starts_at: recurrence.start,
    }
}

fn series_end(why: SeriesEnd) -> payload::SeriesEnd {
    match why {
        SeriesEnd::RuleExhausted => payload::SeriesEnd::RuleExhausted,
        SeriesEnd::ReleaseCompleted => payload::SeriesEnd::ReleaseCompleted,
        SeriesEnd::ReleaseDeleted => payload::SeriesEnd::ReleaseDeleted,
        SeriesEnd::OwnerGone => payload::SeriesEnd::OwnerGone,
    }
}

fn priority(priority: Priority) -> payload::TaskPriority {
    match priority {
        Priority::Low => payload::TaskPriority::Low,
        Priority::Normal => payload::TaskPriority::Normal,
        Priority::High => payload::TaskPriority::High,
        Priority::Urgent => payload::TaskPriority::Urgent,
    }
}
