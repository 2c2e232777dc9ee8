//! Between documents and dead letters.

use jiff::Timestamp;
use mongodb::bson::{Binary, DateTime, spec::BinarySubtype};
use serde::{Deserialize, Serialize};
use slipway_mesh::{
    bus::{
        Record,
        consumer::{Attempt, DeadLetter},
    },
    store::mongo::{StorageError, from_bson, malformed, to_bson},
};
use slipway_proto::events::UserRef;

use crate::{
    dead_letter::{Act, DeadLetterId, Filed, State, Summary},
    store::dead_letters::identity,
};

/// The version of the documents' schema.
const SCHEMA: i32 = 1;

/// What a list reads of a document.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SummaryDocument {
    #[serde(rename = "_id")]
    id: String,
    received_at: DateTime,
    group: String,
    topic: String,
    event_id: Option<String>,
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    event_type: Option<String>,
    subject: Option<String>,
    key: String,
    cause: String,
    reason: String,
    attempts: i64,
    first_failure: Option<DateTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replay_of: Option<String>,
    state: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LetterDocument {
    #[serde(flatten)]
    summary: SummaryDocument,
    schema: i32,
    identity: Binary,
    partition: i64,
    offset: i64,
    acts: Vec<ActDocument>,
    headers: Vec<(String, String)>,
    history: Vec<Attempt>,
    payload: Binary,
}

/// An act. Ids are texts in documents.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ActDocument {
    by: PersonDocument,
    at: DateTime,
    edited: Option<String>,
    request: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct PersonDocument {
    id: String,
    username: String,
}

impl From<Act> for ActDocument {
    fn from(act: Act) -> Self {
        Self {
            by: PersonDocument {
                id: act.by.id.to_string(),
                username: act.by.username,
            },
            at: to_bson(act.at),
            edited: act.edited,
            request: act.request,
        }
    }
}

impl TryFrom<ActDocument> for Act {
    type Error = StorageError;

    fn try_from(act: ActDocument) -> Result<Self, StorageError> {
        Ok(Self {
            by: UserRef {
                id: act.by.id.parse().map_err(malformed)?,
                username: act.by.username,
            },
            at: from_bson(act.at)?,
            edited: act.edited,
            request: act.request,
        })
    }
}

fn binary(bytes: Vec<u8>) -> Binary {
    Binary {
        subtype: BinarySubtype::Generic,
        bytes,
    }
}

pub(super) fn identity_of(filed: &Filed) -> Binary {
    binary(identity(&filed.letter))
}

pub(super) fn parse_id(text: &str) -> Result<DeadLetterId, StorageError> {
    text.parse().map_err(malformed)
}

impl From<&Filed> for LetterDocument {
    fn from(filed: &Filed) -> Self {
        let (summary, letter) = (filed.summary(), &filed.letter);
        Self {
            identity: identity_of(filed),
            schema: SCHEMA,
            partition: letter.partition.into(),
            offset: i64::try_from(letter.offset).unwrap_or(i64::MAX),
            acts: filed.acts.iter().cloned().map(ActDocument::from).collect(),
            headers: letter.record.headers.clone(),
            history: letter.history.clone(),
            payload: binary(letter.record.value.to_vec()),
            summary: SummaryDocument {
                id: summary.id.to_string(),
                received_at: to_bson(summary.received_at),
                group: summary.group,
                topic: summary.topic,
                event_id: summary.event_id,
                event_type: summary.event_type,
                subject: summary.subject,
                key: summary.key,
                cause: summary.cause,
                reason: summary.reason,
                attempts: summary.attempts.into(),
                first_failure: summary.first_failure.map(to_bson),
                replay_of: summary.replay_of.map(|id| id.to_string()),
                state: summary.state.as_str().to_owned(),
            },
        }
    }
}

impl TryFrom<SummaryDocument> for Summary {
    type Error = StorageError;

    fn try_from(found: SummaryDocument) -> Result<Self, StorageError> {
        let first_failure: Option<Timestamp> = found.first_failure.map(from_bson).transpose()?;
        Ok(Self {
            id: parse_id(&found.id)?,
            received_at: from_bson(found.received_at)?,
            group: found.group,
            topic: found.topic,
            event_id: found.event_id,
            event_type: found.event_type,
            subject: found.subject,
            key: found.key,
            cause: found.cause,
            reason: found.reason,
            attempts: found.attempts.try_into().map_err(malformed)?,
            first_failure,
            replay_of: found.replay_of.as_deref().map(parse_id).transpose()?,
            state: State::parse(&found.state).ok_or_else(|| malformed("no such state"))?,
        })
    }
}

impl LetterDocument {
    pub(super) fn into_filed(self) -> Result<Filed, StorageError> {
        let summary = Summary::try_from(self.summary)?;
        let acts = self.acts.into_iter().map(Act::try_from);
        let acts = acts.collect::<Result<_, _>>()?;
        Ok(Filed {
            id: summary.id,
            received_at: summary.received_at,
            letter: DeadLetter {
                group: summary.group,
                record: Record {
                    topic: summary.topic,
                    key: summary.key,
                    headers: self.headers,
                    value: self.payload.bytes.into(),
                },
                partition: self.partition.try_into().map_err(malformed)?,
                offset: self.offset.try_into().map_err(malformed)?,
                cause: summary.cause,
                reason: summary.reason,
                attempts: summary.attempts,
                history: self.history,
                replay: summary.replay_of.map(|id| id.0),
            },
            state: summary.state,
            acts,
            returned_as: None,
        })
    }
}
