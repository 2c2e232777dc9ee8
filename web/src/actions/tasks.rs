//! Work on tasks, and their corrections.

use axum::{extract::Path, response::Response};
use slipway_proto::release::v1::{
    CompleteTaskRequest, DeleteTaskRequest, PauseTaskRequest, StartTaskRequest, UpdateTaskRequest,
    update_task_request::Assignee,
};
use slipway_rpc::error::Fault;

use super::Sent;
use crate::place::local;

pub(super) async fn start(Path(id): Path<String>, sent: Sent) -> Response {
    let request = sent.request(StartTaskRequest { id });
    let answer = sent.services().tasks.clone().start_task(request).await;
    let outcome = answer.map(|_| sent.back()).map_err(Fault::from);
    sent.end(outcome).await
}

pub(super) async fn complete(Path(id): Path<String>, sent: Sent) -> Response {
    let request = sent.request(CompleteTaskRequest { id });
    let answer = sent.services().tasks.clone().complete_task(request).await;
    let outcome = answer.map(|_| sent.back()).map_err(Fault::from);
    sent.end(outcome).await
}

pub(super) async fn pause(Path(id): Path<String>, sent: Sent) -> Response {
    let reason = sent.line("reason");
    let request = sent.request(PauseTaskRequest { id, reason });
    let answer = sent.services().tasks.clone().pause_task(request).await;
    let outcome = answer.map(|_| sent.back()).map_err(Fault::from);
    sent.end(outcome).await
}

/// Changes a task. A started one has no fields for its owner and its place.
pub(super) async fn update(Path(id): Path<String>, sent: Sent) -> Response {
    let order = sent
        .fields
        .filled("order")
        .map(|order| order.trim().parse());
    let outcome = match order.transpose() {
        Err(_) => Err(Fault::invalid_field(
            "order_index",
            "must be a whole number",
        )),
        Ok(order_index) => {
            let owner = sent.fields.filled("owner").map(owner);
            let request = sent.request(UpdateTaskRequest {
                id,
                title: Some(sent.line("title")),
                description: Some(sent.fields.get("description").to_owned()),
                assignee: owner.map(Assignee::AssigneeUsername),
                order_index,
                revision: sent.revision(),
                ..UpdateTaskRequest::default()
            });
            let answer = sent.services().tasks.clone().update_task(request).await;
            answer.map(|_| sent.back()).map_err(Fault::from)
        }
    };
    sent.end(outcome).await
}

pub(super) async fn delete(Path(id): Path<String>, sent: Sent) -> Response {
    let request = sent.request(DeleteTaskRequest { id, revision: 0 });
    let answer = sent.services().tasks.clone().delete_task(request).await;
    let release = format!("/releases/{}", sent.fields.get("release"));
    let outcome = answer.map(|_| local(&release).to_owned());
    sent.end(outcome.map_err(Fault::from)).await
}

/// A username as people write it.
pub(super) fn owner(text: &str) -> String {
    let text = text.trim();
    text.strip_prefix('@').unwrap_or(text).to_owned()
}
