//! Plans in files: read into a release, and written from one.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{
    Uri,
    header::{CONTENT_DISPOSITION, CONTENT_TYPE},
};
use slipway_plan::{Format, Plan, PlannedTask, Priority};
use slipway_proto::{
    release::v1::{CreateReleaseRequest, GetReleaseRequest, NewRecurrence, NewTask, TaskPriority},
    time::to_proto,
};
use slipway_rpc::error::{Fault, Kind};
use slipway_runtime::rfc3339;

use super::{
    Id, Sent,
    releases::{new_task, rows},
};
use crate::{Visitor, Web, answer::refusal, fields::Fields, pages::releases::plan_of};

/// The release that the form describes. Its tasks are rows, or a plan in one of the formats.
pub(super) fn planned(sent: &Sent) -> Result<CreateReleaseRequest, Fault> {
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
    Id(id): Id,
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
