//! Between documents and entries.

use jiff::Timestamp;
use mongodb::bson::DateTime;
use serde::{Deserialize, Serialize};
use slipway_mongo::{StorageError, from_bson, malformed, to_bson};
use slipway_proto::events::UserRef;
use uuid::Uuid;

use crate::activity::{Activity, Entry};

/// The version of the documents' schema.
const SCHEMA: i32 = 1;

/// An entry. Who reads it knows its number as `u64`; BSON has no such type.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EntryDocument {
    #[serde(rename = "_id")]
    pub(super) sequence: i64,
    schema: i32,
    event_id: String,
    #[serde(rename = "type")]
    event_type: String,
    /// What stands before the dot in the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    family: Option<String>,
    time: DateTime,
    actor: Option<PersonDocument>,
    subject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    release_id: Option<String>,
    summary: String,
    /// JSON, kept to the byte.
    data: String,
    concerns: Vec<String>,
    /// The actor and whom it concerns: what a person's entries are found by.
    people: Vec<String>,
    stored_at: DateTime,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct PersonDocument {
    id: String,
    username: String,
}

impl EntryDocument {
    pub(super) fn new(sequence: i64, activity: &Activity, now: Timestamp) -> Self {
        let family = activity.event_type.split_once('.');
        Self {
            sequence,
            schema: SCHEMA,
            event_id: activity.id.to_string(),
            event_type: activity.event_type.clone(),
            family: family.map(|(family, _)| family.to_owned()),
            time: to_bson(activity.time),
            actor: activity.actor.as_ref().map(|actor| PersonDocument {
                id: actor.id.to_string(),
                username: actor.username.clone(),
            }),
            subject: activity.subject.clone(),
            release_id: activity.release_id.map(|id| id.to_string()),
            summary: activity.summary.clone(),
            data: activity.data.clone(),
            concerns: activity.concerns.iter().map(Uuid::to_string).collect(),
            people: activity.people().map(|person| person.to_string()).collect(),
            stored_at: to_bson(now),
        }
    }
}

impl TryFrom<EntryDocument> for Entry {
    type Error = StorageError;

    fn try_from(entry: EntryDocument) -> Result<Self, StorageError> {
        let actor = match entry.actor {
            None => None,
            Some(actor) => Some(UserRef {
                id: id(&actor.id)?,
                username: actor.username,
            }),
        };
        Ok(Self {
            sequence: entry.sequence.try_into().map_err(malformed)?,
            activity: Activity {
                id: id(&entry.event_id)?,
                event_type: entry.event_type,
                time: from_bson(entry.time)?,
                actor,
                subject: entry.subject,
                release_id: entry.release_id.as_deref().map(id).transpose()?,
                summary: entry.summary,
                data: entry.data,
                concerns: entry
                    .concerns
                    .iter()
                    .map(|person| id(person))
                    .collect::<Result<_, _>>()?,
            },
        })
    }
}

fn id(text: &str) -> Result<Uuid, StorageError> {
    text.parse().map_err(malformed)
}
