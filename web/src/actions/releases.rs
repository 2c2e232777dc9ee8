//! Planning, adding to and completing releases.

use axum::response::Response;
use slipway_proto::release::v1::{
    AddTaskRequest, CompleteReleaseRequest, CreateReleaseRequest, DeleteReleaseRequest, NewTask,
    UpdateReleaseRequest, new_task::Assignee,
};
use slipway_rpc::error::Fault;

use super::{Id, Sent, tasks::owner};

/// What separates a title from its owner, the first one that a line has: a spreadsheet's columns
/// are separated by tabs.
const SEPARATORS: [char; 3] = ['\t', ';', ','];

pub(super) async fn plan(sent: Sent) -> Response {
    let request = sent.request(CreateReleaseRequest {
        name: sent.line("name"),
        version: sent.line("version"),
        tasks: rows(sent.fields.get("rows")),
        ..CreateReleaseRequest::default()
    });
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

pub(super) async fn update(Id(id): Id, sent: Sent) -> Response {
    let outcome = async {
        let request = sent.request(UpdateReleaseRequest {
            id,
            name: Some(sent.line("name")),
            description: Some(sent.fields.get("description").to_owned()),
            version: Some(sent.line("version")),
            revision: sent.revision()?,
        });
        let releases = sent.services().releases.clone();
        { releases }.update_release(request).await?;
        Ok(sent.back())
    };
    let outcome = outcome.await;
    sent.end(outcome).await
}

pub(super) async fn delete(Id(id): Id, sent: Sent) -> Response {
    let outcome = async {
        let revision = sent.revision()?;
        let request = sent.request(DeleteReleaseRequest { id, revision });
        let releases = sent.services().releases.clone();
        { releases }.delete_release(request).await?;
        Ok("/releases".to_owned())
    };
    let outcome = outcome.await;
    sent.end(outcome).await
}

pub(super) async fn add_task(Id(id): Id, sent: Sent) -> Response {
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

pub(super) async fn complete(Id(id): Id, sent: Sent) -> Response {
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
