//! Planning, adding to and completing releases.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use http::{
    Uri,
    header::{CONTENT_DISPOSITION, CONTENT_TYPE},
};
use slipway_plan::{Format, Plan, PlannedTask, Priority};
use slipway_proto::{
    release::v1::{
        AddTaskRequest, CompleteReleaseRequest, CreateReleaseRequest, GetReleaseRequest,
        NewRecurrence, NewTask, TaskPriority, new_task::Assignee,
    },
    time::to_proto,
};
use slipway_rpc::error::{Fault, Kind};
use slipway_runtime::rfc3339;

use super::{Sent, tasks::owner};
use crate::{Visitor, Web, answer::refusal, fields::Fields, pages::releases::plan_of};

/// What separates a title from its owner, the first one that a line has: a spreadsheet's columns
/// are separated by tabs.
const SEPARATORS: [char; 3] = ['\t', ';', ','];

pub(super) async fn plan(sent: Sent) -> Response {
    let planned = match planned(&sent) {
        Ok(planned) => planned,
        Err(fault) => return sent.end(Err(fault)).await,
    };
    let request = sent.request(planned);
    let answer = sent
        .services()
        .releases
        .clone()
        .create_release(request)
        .await;
    let outcome = answer.map_err(Fault::from).and_then(|answer| {
        let release = answer.into_inner().release;
        let release = release.ok_or_else(|| Fault::internal("an answer without a release"))?;
        Ok(format!("/releases/{}", release.id))
    });
    sent.end(outcome).await
}

/// The release that the form describes. Its tasks are rows, or a plan in one of the formats.
fn planned(sent: &Sent) -> Result<CreateReleaseRequest, Fault> {
    let (name, version) = (sent.line("name"), sent.line("version"));
    let text = sent.fields.get("rows");
    let format = sent.fields.get("format").parse().ok();
    let Some(format) = format.or_else(|| Format::of_text(text)) else {
        return Ok(CreateReleaseRequest {
            name,
            version,
            tasks: rows(text),
            ..CreateReleaseRequest::default()
        });
    };
    let plan =
        Plan::read(text, format).map_err(|error| unfit(&format!("is malformed: {error}.")))?;
    if let Some(hotfix) = &plan.hotfix {
        let title = &hotfix.title;
        return Err(unfit(&format!(
            "has a hotfix, “{title}”. Leave it out, and add it when the release is completed."
        )));
    }
    let otherwise = |typed: String, planned: Option<String>| match typed.is_empty() {
        true => planned.unwrap_or_default(),
        false => typed,
    };
    let tasks = plan.tasks.into_iter().enumerate();
    Ok(CreateReleaseRequest {
        name: otherwise(name, Some(plan.name)),
        version: otherwise(version, plan.version),
        description: plan.description.unwrap_or_default(),
        tasks: tasks
            .map(|(at, task)| of_plan(at, task))
            .collect::<Result<_, _>>()?,
        once: false,
    })
}

/// The plan cannot be used; `what` says why, and follows "The plan".
fn unfit(what: &str) -> Fault {
    Fault::new(
        Kind::Invalid,
        "INVALID_ARGUMENT",
        format!("The plan {what}"),
    )
}

/// The task of a plan, at this place in it.
fn of_plan(at: usize, task: PlannedTask) -> Result<NewTask, Fault> {
    let due = task.due_at.map(|text| {
        let time = rfc3339::parse(&text);
        time.map_err(|rule| Fault::invalid_field(format!("tasks[{at}].due_at"), rule.to_string()))
    });
    let priority = match task.priority {
        None => TaskPriority::Unspecified,
        Some(Priority::Low) => TaskPriority::Low,
        Some(Priority::Normal) => TaskPriority::Normal,
        Some(Priority::High) => TaskPriority::High,
        Some(Priority::Urgent) => TaskPriority::Urgent,
    };
    Ok(NewTask {
        description: task.description.unwrap_or_default(),
        order_index: task.order_index,
        due_at: due.transpose()?.map(to_proto),
        priority: priority.into(),
        tags: task.tags,
        // A number that is too large is refused with all others.
        remind_before_minutes: task
            .remind_before_minutes
            .map(|minutes| u32::try_from(minutes).unwrap_or(u32::MAX)),
        recurrence: task.recurrence.map(|recurrence| NewRecurrence {
            rule: recurrence.rule,
            time_zone: recurrence.time_zone.unwrap_or_default(),
            release_id: recurrence.release_id.unwrap_or_default(),
        }),
        ..new_task(&task.title, &task.assignee)
    })
}

/// A release as a plan file.
pub(super) async fn export(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Path(id): Path<String>,
    uri: Uri,
) -> Response {
    let query = Fields::parse(uri.query().unwrap_or_default().as_bytes());
    let format = query.get("format").parse().unwrap_or(Format::Json);
    let request = visitor.outbound.request(GetReleaseRequest { id });
    let answer = web.services.releases.clone().get_release(request).await;
    let release = match answer.map(|answer| answer.into_inner().release) {
        Ok(Some(release)) => release,
        Ok(None) => return refusal(&Fault::internal("an answer without a release")),
        Err(status) => return refusal(&status.into()),
    };
    let file = format!("attachment; filename=\"plan-{}.{format}\"", release.id);
    let text = plan_of(release).write(format);
    // A spreadsheet takes text without this mark for one in the encoding of its country.
    let mark = if format == Format::Csv {
        "\u{feff}"
    } else {
        ""
    };
    let head = [
        (CONTENT_TYPE, format.media_type().to_owned()),
        (CONTENT_DISPOSITION, file),
    ];
    (head, format!("{mark}{text}")).into_response()
}

pub(super) async fn add_task(Path(id): Path<String>, sent: Sent) -> Response {
    let task = NewTask {
        description: sent.fields.get("description").to_owned(),
        ..new_task(&sent.line("title"), sent.fields.get("owner"))
    };
    let request = sent.request(AddTaskRequest {
        release_id: id,
        task: Some(task),
    });
    let answer = sent.services().releases.clone().add_task(request).await;
    let outcome = answer.map(|_| sent.back()).map_err(Fault::from);
    sent.end(outcome).await
}

pub(super) async fn complete(Path(id): Path<String>, sent: Sent) -> Response {
    let request = sent.request(CompleteReleaseRequest { id });
    let answer = sent
        .services()
        .releases
        .clone()
        .complete_release(request)
        .await;
    let outcome = answer.map(|_| sent.back()).map_err(Fault::from);
    sent.end(outcome).await
}

/// The tasks of a plan, one on each line that is not blank.
fn rows(text: &str) -> Vec<NewTask> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let rows = lines.map(|line| {
        let found = SEPARATORS
            .iter()
            .find_map(|separator| line.rsplit_once(*separator));
        let (title, owner) = found.unwrap_or((line, ""));
        new_task(title.trim(), owner)
    });
    rows.collect()
}

fn new_task(title: &str, username: &str) -> NewTask {
    NewTask {
        title: title.to_owned(),
        assignee: Some(Assignee::AssigneeUsername(owner(username))),
        ..NewTask::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_from_columns_and_from_lists() {
        let text =
            "Build, test; ship\tada\r\n\n  Publish the notes ; @grace \nTag,  ada\nNobody's\n";
        let rows = rows(text).into_iter().map(|task| {
            let Some(Assignee::AssigneeUsername(owner)) = task.assignee else {
                panic!("a row without a name");
            };
            (task.title, owner)
        });
        let expected = [
            ("Build, test; ship", "ada"),
            ("Publish the notes", "grace"),
            ("Tag", "ada"),
            ("Nobody's", ""),
        ];
        let expected = expected.map(|(title, owner)| (title.to_owned(), owner.to_owned()));
        assert_eq!(rows.collect::<Vec<_>>(), expected);
    }
}
