//! Work on tasks, and their corrections.

use std::str::FromStr;

use axum::response::Response;
use slipway_proto::release::v1::{
    CompleteTaskRequest, DeleteTaskRequest, NewRecurrence, PauseTaskRequest, StartTaskRequest,
    TaskPriority, TaskTags, UpdateTaskRequest,
    update_task_request::{Assignee, Due, Reminder, Series},
};
use slipway_rpc::error::Fault;

use super::{Id, Sent};
use crate::{pages::task::PRIORITIES, place::local, times};

pub(super) async fn start(Id(id): Id, sent: Sent) -> Response {
    let request = sent.request(StartTaskRequest { id });
    let answer = sent.services().tasks.clone().start_task(request).await;
    let outcome = answer.map(|_| sent.back()).map_err(Fault::from);
    sent.end(outcome).await
}

pub(super) async fn complete(Id(id): Id, sent: Sent) -> Response {
    let request = sent.request(CompleteTaskRequest { id });
    let answer = sent.services().tasks.clone().complete_task(request).await;
    let outcome = answer.map(|_| sent.back()).map_err(Fault::from);
    sent.end(outcome).await
}

pub(super) async fn pause(Id(id): Id, sent: Sent) -> Response {
    let reason = sent.line("reason");
    let request = sent.request(PauseTaskRequest { id, reason });
    let answer = sent.services().tasks.clone().pause_task(request).await;
    let outcome = answer.map(|_| sent.back()).map_err(Fault::from);
    sent.end(outcome).await
}

/// Changes a task. A started one has no fields for its owner and its place.
pub(super) async fn update(Id(id): Id, sent: Sent) -> Response {
    let outcome = match change(&sent, id) {
        Ok(change) => changed(&sent, change).await,
        Err(fault) => Err(fault),
    };
    sent.end(outcome).await
}

/// Changes the reminder, which the owner may do too.
pub(super) async fn remind(Id(id): Id, sent: Sent) -> Response {
    let change = async {
        let change = UpdateTaskRequest {
            id,
            revision: sent.revision()?,
            reminder: Some(reminder(&sent)?),
            ..UpdateTaskRequest::default()
        };
        changed(&sent, change).await
    };
    let outcome = change.await;
    sent.end(outcome).await
}

async fn changed(sent: &Sent, change: UpdateTaskRequest) -> Result<String, Fault> {
    let request = sent.request(change);
    let tasks = sent.services().tasks.clone();
    { tasks }.update_task(request).await?;
    Ok(sent.back())
}

fn change(sent: &Sent, id: String) -> Result<UpdateTaskRequest, Fault> {
    let fields = &sent.fields;
    let tags = fields.get("tags").lines().map(str::trim);
    let tags = tags.filter(|tag| !tag.is_empty()).map(str::to_owned);
    let priority = PRIORITIES
        .iter()
        .find(|(value, ..)| *value == fields.get("priority"));
    let due = times::sent(fields, "due", "due_at")?;
    let is_due_moved = times::sent(fields, "was_due", "due_at")? != due;
    let is_other = |name: &str| sent.line(name) != sent.line(&format!("was_{name}"));
    let is_other_series = ["rule", "zone", "next"].into_iter().any(is_other);
    Ok(UpdateTaskRequest {
        id,
        revision: sent.revision()?,
        title: Some(sent.line("title")),
        description: Some(fields.get("description").to_owned()),
        assignee: fields
            .filled("owner")
            .map(|name| Assignee::AssigneeUsername(owner(name))),
        order_index: number(sent, "order", "order_index")?,
        due: is_due_moved.then(|| due.map_or(Due::NoDueAt(()), Due::DueAt)),
        priority: priority
            .map_or(TaskPriority::Unspecified, |(.., priority)| *priority)
            .into(),
        tags: Some(TaskTags {
            tags: tags.collect(),
        }),
        reminder: Some(reminder(sent)?),
        series: is_other_series.then(|| series(sent)),
    })
}

/// When the owner is reminded. An empty field: not at all.
fn reminder(sent: &Sent) -> Result<Reminder, Fault> {
    let minutes = number(sent, "reminder", "remind_before_minutes")?;
    Ok(minutes.map_or(Reminder::NoReminder(()), Reminder::RemindBeforeMinutes))
}

/// How a task recurs. Without a rule: not at all.
fn series(sent: &Sent) -> Series {
    match sent.line("rule") {
        rule if rule.is_empty() => Series::NoRecurrence(()),
        rule => Series::Recurrence(NewRecurrence {
            rule,
            time_zone: sent.line("zone"),
            release_id: sent.line("next"),
        }),
    }
}

/// The number in a field, which is `path` in the service's request; `None` if it is empty.
fn number<T: FromStr>(sent: &Sent, name: &str, path: &str) -> Result<Option<T>, Fault> {
    let number = sent.fields.filled(name).map(|text| text.trim().parse());
    let number = number.transpose();
    number.map_err(|_| Fault::invalid_field(path, "must be a whole number"))
}

pub(super) async fn delete(Id(id): Id, sent: Sent) -> Response {
    let release = format!("/releases/{}", sent.fields.get("release"));
    let outcome = async {
        let revision = sent.revision()?;
        let request = sent.request(DeleteTaskRequest { id, revision });
        let tasks = sent.services().tasks.clone();
        { tasks }.delete_task(request).await?;
        Ok(local(&release).to_owned())
    };
    let outcome = outcome.await;
    sent.end(outcome).await
}

/// A username as people write it.
pub(super) fn owner(text: &str) -> String {
    let text = text.trim();
    text.strip_prefix('@').unwrap_or(text).to_owned()
}
