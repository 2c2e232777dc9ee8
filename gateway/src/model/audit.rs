//! The audit trail: its entries, and the evidence of a release.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use slipway_proto::notify::v1;
use utoipa::{IntoParams, ToSchema};

use super::{
    Id, Malformed, Paging, UserRef,
    proto::{self, optional_id, required, to_proto},
};
use crate::{
    activity::TypePattern,
    extract::{list, parsed, time},
};

/// What somebody changed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditEntry {
    /// Its number in the chain: 1, 2, 3, … without gaps.
    number: u64,
    /// Id of the event that says what happened.
    event_id: Id,
    /// For example `task.updated`.
    #[serde(rename = "type")]
    kind: String,
    /// When it happened.
    time: Timestamp,
    /// When it was appended to the chain.
    recorded_at: Timestamp,
    /// Who did it; `null` for the system.
    #[schema(required)]
    actor: Option<UserRef>,
    /// The `x-request-id` of the request.
    #[schema(required)]
    request_id: Option<String>,
    /// Finds the request in the log.
    trace_id: String,
    /// The network address of the client.
    #[schema(required)]
    address: Option<String>,
    /// Id of the thing it is about.
    subject: String,
    #[schema(required)]
    release_id: Option<Id>,
    #[schema(required)]
    task_id: Option<Id>,
    /// The account it is about.
    #[schema(required)]
    user_id: Option<Id>,
    /// The fields that were changed. Empty for what was created or deleted: then `data` has all
    /// fields.
    changes: Vec<Change>,
    /// The event's payload.
    #[schema(value_type = Object)]
    data: Value,
    /// The hash of the entry before it.
    previous_hash: String,
    /// Its own hash: 64 hexadecimal digits.
    hash: String,
}

/// A field before and after a change.
#[derive(Debug, Serialize, ToSchema)]
struct Change {
    /// Its name in the API.
    field: String,
    /// Its value before; `null` if it had none.
    #[schema(required)]
    from: Value,
    /// Its value after; `null` if it has none.
    #[schema(required)]
    to: Value,
}

impl TryFrom<v1::AuditChange> for Change {
    type Error = Malformed;

    fn try_from(change: v1::AuditChange) -> Result<Self, Malformed> {
        let value = |field, text: &str| required(field, serde_json::from_str(text).ok());
        Ok(Self {
            field: change.field,
            from: value("from_json", &change.from_json)?,
            to: value("to_json", &change.to_json)?,
        })
    }
}

impl TryFrom<v1::AuditEntry> for AuditEntry {
    type Error = Malformed;

    fn try_from(entry: v1::AuditEntry) -> Result<Self, Malformed> {
        let data = serde_json::from_str(&entry.data_json).ok();
        let changes = entry.changes.into_iter().map(Change::try_from);
        let text = |text: String| Some(text).filter(|text| !text.is_empty());
        Ok(Self {
            number: entry.number,
            event_id: proto::id("event id", &entry.event_id)?,
            kind: entry.r#type,
            time: proto::time("time", entry.time)?,
            recorded_at: proto::time("recorded_at", entry.recorded_at)?,
            actor: entry.actor.map(UserRef::try_from).transpose()?,
            request_id: text(entry.request_id),
            trace_id: entry.trace_id,
            address: text(entry.address),
            subject: entry.subject,
            release_id: optional_id("release_id", &entry.release_id)?,
            task_id: optional_id("task_id", &entry.task_id)?,
            user_id: optional_id("user_id", &entry.user_id)?,
            changes: changes.collect::<Result<_, _>>()?,
            data: required("data_json", data)?,
            previous_hash: entry.previous_hash,
            hash: entry.hash,
        })
    }
}

/// The parameters of the list of the audit trail.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// Only about this task.
    #[serde(default, deserialize_with = "parsed")]
    task_id: Option<Id>,
    /// Only about this release.
    #[serde(default, deserialize_with = "parsed")]
    release_id: Option<Id>,
    /// Only what this user did, and what was done to their account.
    #[serde(default, deserialize_with = "parsed")]
    user_id: Option<Id>,
    /// Only these types: exact (`task.updated`) or a family (`task.*`). Repeat it, or
    /// separate several by commas. One that does not exist is refused.
    #[serde(default, rename = "type", deserialize_with = "list")]
    #[param(value_type = Vec<String>, max_items = 20)]
    types: Vec<TypePattern>,
    /// Only what happened then or later.
    #[serde(default, deserialize_with = "time")]
    from: Option<Timestamp>,
    /// Only what happened before.
    #[serde(default, deserialize_with = "time")]
    to: Option<Timestamp>,
}

impl AuditQuery {
    /// The request for this page of the list.
    pub(crate) fn page(self, paging: Paging) -> v1::ListAuditEntriesRequest {
        let text = |id: Option<Id>| id.map_or_else(String::new, |id| id.to_string());
        let types = self.types.into_iter().map(TypePattern::into_text);
        v1::ListAuditEntriesRequest {
            filter: Some(v1::AuditFilter {
                task_id: text(self.task_id),
                release_id: text(self.release_id),
                user_id: text(self.user_id),
                types: types.collect(),
                from: self.from.map(to_proto),
                to: self.to.map(to_proto),
            }),
            page_size: paging.page_size(),
            page_token: paging.page_token(),
        }
    }
}

/// The history of a release, which can be verified without the server: see `slipway audit verify`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "only its schema is used: the route writes the JSON"
)]
pub(crate) struct Evidence {
    /// `slipway-evidence/1`.
    format: String,
    release_id: Id,
    generated_at: Timestamp,
    /// The end of the chain then.
    head: Head,
    /// How many entries the release had then.
    count: u64,
    /// The entries, in the order of the chain.
    entries: Vec<EvidenceEntry>,
}

/// The last entry of the chain.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "only its schema is used: the route writes the JSON"
)]
struct Head {
    number: u64,
    hash: String,
}

/// An entry as it is hashed: a text that it does not have is empty.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "only its schema is used: the service writes the JSON"
)]
struct EvidenceEntry {
    /// Its number in the chain.
    number: u64,
    event_id: String,
    r#type: String,
    /// Type and major version of `data`, as `task.updated/1`.
    schema: String,
    time: String,
    recorded_at: String,
    actor_id: String,
    actor_name: String,
    request_id: String,
    trace_id: String,
    address: String,
    subject: String,
    release_id: String,
    /// Its number among the entries of the release.
    release_position: u64,
    task_id: String,
    user_id: String,
    /// The event's payload: JSON in a text.
    data: String,
    previous_hash: String,
    hash: String,
}
