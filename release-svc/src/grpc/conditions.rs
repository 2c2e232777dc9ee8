//! Reads the conditions of lists of tasks, and validates them.

use jiff::Timestamp;
use slipway_proto::{
    release::v1::{TaskConditions, TaskStatus},
    time::from_proto,
};
use slipway_rpc::error::Fault;

use super::drafts;
use crate::{
    identity::UserId,
    release::details,
    store::{Conditions, TaskFilter, UserKey, UserStore},
};

/// Characters of a text that is searched.
const MAX_TEXT: usize = 200;

/// The conditions of a request. `status` is the proto number of a state.
pub(super) fn of(status: i32, conditions: Option<TaskConditions>) -> Result<Conditions, Fault> {
    let conditions = conditions.unwrap_or_default();
    let state = match TaskStatus::try_from(status) {
        Ok(TaskStatus::Unspecified) => None,
        Ok(TaskStatus::Todo) => Some(TaskFilter::Todo),
        Ok(TaskStatus::InProcess) => Some(TaskFilter::InProcess),
        Ok(TaskStatus::Completed) => Some(TaskFilter::Completed),
        Err(_) => {
            let allowed = "must be TODO, IN_PROCESS or COMPLETED";
            return Err(Fault::invalid_field("status", allowed));
        }
    };
    let priority = drafts::priority(conditions.priority);
    let priority = priority.map_err(|wrong| Fault::invalid_field("conditions.priority", wrong))?;
    let tag = Some(conditions.tag).filter(|tag| !tag.is_empty());
    let tag = tag.map(|tag| details::tag(&tag)).transpose();
    let tag = tag.map_err(|_| {
        Fault::invalid_field("conditions.tag", "must be a tag of 1 to 50 characters")
    })?;
    if conditions.text.chars().count() > MAX_TEXT {
        let rule = "must have at most 200 characters";
        return Err(Fault::invalid_field("conditions.text", rule));
    }
    let due_from = time("conditions.due_from", conditions.due_from)?;
    let due_before = time("conditions.due_before", conditions.due_before)?;
    if let (Some(from), Some(before)) = (due_from, due_before)
        && from > before
    {
        let rule = "must not be later than the end of the period";
        return Err(Fault::invalid_field("conditions.due_from", rule));
    }
    Ok(Conditions {
        state,
        priority,
        tag,
        due_from,
        due_before,
        text: Some(conditions.text.to_lowercase()).filter(|text| !text.is_empty()),
    })
}

/// The user whose tasks are asked for, by id or username; `None` if the text is empty.
pub(super) async fn assignee(users: &UserStore, text: &str) -> Result<Option<UserId>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    let key = match text.parse() {
        Ok(id) => UserKey::Id(id),
        Err(_) => UserKey::Username(drafts::username_key(text)),
    };
    let found = users.find(&[key]).await?.pop();
    let found = found.ok_or_else(|| Fault::invalid_field("assignee", drafts::not_a_user(text)))?;
    Ok(Some(found.id))
}

fn time(field: &str, time: Option<prost_types::Timestamp>) -> Result<Option<Timestamp>, Fault> {
    let time = time.map(from_proto).transpose();
    let rule = "must be a valid google.protobuf.Timestamp";
    time.map_err(|_| Fault::invalid_field(field, rule))
}
