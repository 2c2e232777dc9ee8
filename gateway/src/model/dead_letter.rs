//! Dead letters: events that a consumer group could not handle.

use std::str::FromStr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use slipway_proto::notify::v1;
use utoipa::{IntoParams, ToSchema};

use super::{
    Id, Malformed, Paging, UserRef,
    proto::{self, optional_id, required, to_proto},
};
use crate::extract::{filled, parsed, time};

/// The state of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum DeadLetterState {
    /// It has not been replayed.
    Waiting,
    /// It was sent back to its group.
    Replayed,
}

impl FromStr for DeadLetterState {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "WAITING" => Ok(Self::Waiting),
            "REPLAYED" => Ok(Self::Replayed),
            _ => Err("must be WAITING or REPLAYED"),
        }
    }
}

/// A dead letter as lists show it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeadLetterSummary {
    id: Id,
    state: DeadLetterState,
    /// When it was stored as a dead letter.
    received_at: Timestamp,
    /// The consumer group that could not handle it.
    group: String,
    /// The topic of the event.
    topic: String,
    /// The record's key.
    key: String,
    /// The id in the event; empty if it has none.
    event_id: String,
    /// The type in the event; empty if it has none.
    event_type: String,
    /// The subject in the event; empty if it has none.
    subject: String,
    /// `undecodable`, `poison`, `panic` or `exhausted`.
    cause: String,
    /// The cause as text.
    reason: String,
    /// How often it has failed.
    attempts: u32,
    #[schema(required)]
    first_failure: Option<Timestamp>,
    /// The dead letter whose replay failed and became this one.
    #[schema(required)]
    replay_of: Option<Id>,
}

impl TryFrom<v1::DeadLetterSummary> for DeadLetterSummary {
    type Error = Malformed;

    fn try_from(letter: v1::DeadLetterSummary) -> Result<Self, Malformed> {
        let state = match letter.state() {
            v1::DeadLetterState::Unspecified => None,
            v1::DeadLetterState::Waiting => Some(DeadLetterState::Waiting),
            v1::DeadLetterState::Replayed => Some(DeadLetterState::Replayed),
        };
        Ok(Self {
            id: proto::id("dead letter id", &letter.id)?,
            state: required("state", state)?,
            received_at: proto::time("received_at", letter.received_at)?,
            first_failure: proto::optional_time("first_failure", letter.first_failure)?,
            replay_of: optional_id("replay_of", &letter.replay_of)?,
            group: letter.group,
            topic: letter.topic,
            key: letter.key,
            event_id: letter.event_id,
            event_type: letter.event_type,
            subject: letter.subject,
            cause: letter.cause,
            reason: letter.reason,
            attempts: letter.attempts,
        })
    }
}

/// A dead letter with all its data.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeadLetter {
    #[serde(flatten)]
    summary: DeadLetterSummary,
    partition: u32,
    offset: u64,
    /// The event's attributes and the other headers of the record.
    headers: Vec<Header>,
    /// As it was published.
    payload: String,
    /// The encoding of `payload`.
    payload_encoding: PayloadEncoding,
    /// Its failures in order: the first one and the last 19.
    history: Vec<Failure>,
    /// Its replays.
    acts: Vec<Act>,
    /// The dead letter that its replay came back as, if it failed again.
    #[schema(required)]
    returned_as: Option<Id>,
}

/// A header of a record.
#[derive(Debug, Serialize, ToSchema)]
struct Header {
    name: String,
    value: String,
}

/// The encoding of bytes.
#[derive(Debug, Serialize, ToSchema)]
enum PayloadEncoding {
    /// Plain text.
    #[serde(rename = "utf-8")]
    Utf8,
    /// In base64.
    #[serde(rename = "base64")]
    Base64,
}

/// A failure of an event.
#[derive(Debug, Serialize, ToSchema)]
struct Failure {
    at: Timestamp,
    error: String,
}

/// A replay of a dead letter.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Act {
    by: UserRef,
    at: Timestamp,
    /// The payload it was replayed with, if that was edited.
    #[schema(required)]
    edited_payload: Option<String>,
}

impl TryFrom<v1::DeadLetterAct> for Act {
    type Error = Malformed;

    fn try_from(act: v1::DeadLetterAct) -> Result<Self, Malformed> {
        Ok(Self {
            by: required("by", act.by)?.try_into()?,
            at: proto::time("at", act.at)?,
            edited_payload: act.edited_payload,
        })
    }
}

impl TryFrom<v1::DeadLetter> for DeadLetter {
    type Error = Malformed;

    fn try_from(letter: v1::DeadLetter) -> Result<Self, Malformed> {
        let (payload, payload_encoding) = match String::from_utf8(letter.payload) {
            Ok(text) => (text, PayloadEncoding::Utf8),
            Err(error) => (STANDARD.encode(error.as_bytes()), PayloadEncoding::Base64),
        };
        let history = letter.history.into_iter().map(|failure| {
            Ok(Failure {
                at: proto::time("at", failure.at)?,
                error: failure.error,
            })
        });
        let headers = letter.headers.into_iter();
        Ok(Self {
            summary: required("summary", letter.summary)?.try_into()?,
            partition: letter.partition,
            offset: letter.offset,
            headers: headers
                .map(|v1::DeadLetterHeader { name, value }| Header { name, value })
                .collect(),
            payload,
            payload_encoding,
            history: history.collect::<Result<_, _>>()?,
            acts: letter
                .acts
                .into_iter()
                .map(Act::try_from)
                .collect::<Result<_, _>>()?,
            returned_as: optional_id("returned_as", &letter.returned_as)?,
        })
    }
}

/// The parameters of the list of dead letters.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeadLettersQuery {
    /// Only in this state.
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    state: Option<DeadLetterState>,
    /// Only of this consumer group. One that does not exist and has no dead letters is refused.
    #[serde(default, deserialize_with = "filled")]
    #[param(value_type = Option<String>)]
    group: String,
    /// Only events of this type. One that does not exist and has no dead letters is refused.
    #[serde(default, rename = "type", deserialize_with = "filled")]
    #[param(value_type = Option<String>)]
    event_type: String,
    /// Only with this cause: `undecodable`, `poison`, `panic` or `exhausted`.
    #[serde(default, deserialize_with = "filled")]
    #[param(value_type = Option<String>)]
    cause: String,
    /// Only where the reason contains this text, to the letter. A search looks at 10,000
    /// dead letters a page: a page may have fewer than `limit`, or none, though
    /// `nextCursor` leads on.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    reason: String,
    /// Only those filed then or later.
    #[serde(default, deserialize_with = "time")]
    from: Option<Timestamp>,
    /// Only those filed before.
    #[serde(default, deserialize_with = "time")]
    to: Option<Timestamp>,
}

impl DeadLettersQuery {
    /// The request for this page of the list.
    pub(crate) fn page(self, paging: Paging) -> v1::ListDeadLettersRequest {
        let state = match self.state {
            None => v1::DeadLetterState::Unspecified,
            Some(DeadLetterState::Waiting) => v1::DeadLetterState::Waiting,
            Some(DeadLetterState::Replayed) => v1::DeadLetterState::Replayed,
        };
        v1::ListDeadLettersRequest {
            filter: Some(v1::DeadLetterFilter {
                group: self.group,
                event_type: self.event_type,
                cause: self.cause,
                reason: self.reason,
                from: self.from.map(to_proto),
                to: self.to.map(to_proto),
                state: state.into(),
            }),
            page_size: paging.page_size(),
            page_token: paging.page_token(),
        }
    }
}

/// How a dead letter is to be replayed.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replay {
    /// Replaces the payload that was published. It must fit the schema of the event's
    /// type, and have at most 1,000,000 bytes with the record's key and headers.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    payload: Option<Map<String, Value>>,
}

impl Replay {
    /// The request for this dead letter.
    pub(crate) fn of(self, id: Id) -> v1::ReplayDeadLetterRequest {
        v1::ReplayDeadLetterRequest {
            id: id.to_string(),
            edited_payload: self.payload.map(|object| Value::Object(object).to_string()),
        }
    }
}

/// Which dead letters are to be replayed. All conditions that are given must hold.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct ReplayFilter {
    /// Only of this consumer group. One that does not exist and has no dead letters is refused.
    group: String,
    /// Only events of this type. One that does not exist and has no dead letters is refused.
    #[serde(rename = "type")]
    event_type: String,
    /// Only with this cause.
    cause: String,
    /// Only where the reason contains this text, to the letter.
    reason: String,
    /// Only those filed then or later.
    #[serde(deserialize_with = "time")]
    from: Option<Timestamp>,
    /// Only those filed before.
    #[serde(deserialize_with = "time")]
    to: Option<Timestamp>,
}

/// Many dead letters to be replayed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ReplayMany {
    /// Selects among the waiting ones. It needs a condition, unless `all` is true.
    #[serde(default)]
    filter: ReplayFilter,
    /// All waiting ones.
    #[serde(default)]
    all: bool,
    /// Only report which ones would be replayed.
    #[serde(default)]
    pub(crate) dry_run: bool,
}

impl From<ReplayMany> for v1::ReplayDeadLettersRequest {
    fn from(many: ReplayMany) -> Self {
        let filter = many.filter;
        Self {
            filter: Some(v1::DeadLetterFilter {
                group: filter.group,
                event_type: filter.event_type,
                cause: filter.cause,
                reason: filter.reason,
                from: filter.from.map(to_proto),
                to: filter.to.map(to_proto),
                state: v1::DeadLetterState::Unspecified.into(),
            }),
            dry_run: many.dry_run,
            all: many.all,
        }
    }
}

/// The result of replaying many dead letters.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReplayedMany {
    /// Whether nothing was done.
    dry_run: bool,
    /// How many were replayed, or would be.
    count: usize,
    /// Their ids.
    ids: Vec<Id>,
    /// Whether more dead letters match than one request can replay.
    more: bool,
    /// Those that were skipped because their group no longer exists.
    group_gone: Vec<Id>,
}

impl ReplayedMany {
    /// Translates the service's response.
    ///
    /// # Errors
    /// If an id in it is malformed.
    pub(crate) fn new(
        answer: &v1::ReplayDeadLettersResponse,
        dry_run: bool,
    ) -> Result<Self, Malformed> {
        let ids = |texts: &[String]| {
            let ids = texts.iter().map(|text| proto::id("dead letter id", text));
            ids.collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            dry_run,
            count: answer.ids.len(),
            ids: ids(&answer.ids)?,
            more: answer.more,
            group_gone: ids(&answer.group_gone)?,
        })
    }
}
