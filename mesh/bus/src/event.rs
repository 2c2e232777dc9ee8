//! The envelope of an event: CloudEvents 1.0 in Kafka binary mode. The attributes are the
//! record's headers, the payload is its value.

use std::net::IpAddr;

use bytes::Bytes;
use jiff::Timestamp;
use slipway_proto::events::{EventData, Payload};
use uuid::Uuid;

use super::Record;
use slipway_runtime::{
    request::{RequestInfo, is_id},
    telemetry::{TraceContext, trace::TRACEPARENT},
};

const SPECVERSION: &str = "ce_specversion";
pub(crate) const ID: &str = "ce_id";
pub(crate) const TYPE: &str = "ce_type";
const SOURCE: &str = "ce_source";
const SUBJECT: &str = "ce_subject";
const TIME: &str = "ce_time";
const DATASCHEMA: &str = "ce_dataschema";
const CONTENT_TYPE: &str = "content-type";
const ACTOR: &str = "slipway-actor";
const ACTOR_NAME: &str = "slipway-actor-name";
const REQUEST_ID: &str = "slipway-request-id";
/// Not in the payload: many may read that. What may keep the address is the audit trail.
const CLIENT_ADDRESS: &str = "slipway-client-address";

const JSON: &str = "application/json";
const SYSTEM: &str = "system";

/// Who caused an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A user.
    User {
        /// Id of the account.
        id: Uuid,
        /// Name of the account.
        username: String,
    },
    /// Not a user, but the system: a schedule or a fault.
    System,
}

/// An event with its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Identifies the event, however often it is delivered.
    pub id: Uuid,
    /// For example `task.started`.
    pub event_type: String,
    /// The service that published it, as `/slipway/release-svc`.
    pub source: String,
    /// Id of the object that the event is about.
    pub subject: String,
    /// When it happened, to the millisecond.
    pub time: Timestamp,
    /// Type and major version of the payload, as `task.started/1`.
    pub dataschema: String,
    /// Who caused it.
    pub actor: Actor,
    /// The trace of the request that caused the event.
    pub trace: TraceContext,
    /// The request that caused the event; empty if none did.
    pub request: RequestInfo,
    /// Where it is published.
    pub topic: String,
    /// Id of the aggregate; the record's key.
    pub key: String,
    /// The payload as JSON.
    pub data: Bytes,
}

/// Where an event comes from, apart from its payload.
#[derive(Debug, Clone)]
pub struct Origin<'a> {
    /// The service's name, as `release-svc`.
    pub service: &'a str,
    /// Id of the aggregate: the record's key.
    pub key: Uuid,
    /// Id of the object that the event is about.
    pub subject: Uuid,
    /// Who caused it.
    pub actor: &'a Actor,
    /// When it happened.
    pub time: Timestamp,
}

impl Event {
    /// Creates an event in the current trace and of the current request.
    pub fn new<P: Payload>(payload: &P, origin: &Origin<'_>) -> Self {
        Self {
            id: Uuid::now_v7(),
            event_type: P::TYPE.to_owned(),
            source: format!("/slipway/{}", origin.service),
            subject: origin.subject.to_string(),
            time: origin.time,
            dataschema: format!("{}/{}", P::TYPE, P::MAJOR),
            actor: origin.actor.clone(),
            trace: TraceContext::current(),
            request: RequestInfo::current(),
            topic: P::TOPIC.name.to_owned(),
            key: origin.key.to_string(),
            data: serde_json::to_vec(payload)
                .expect("payloads are structs of plain fields")
                .into(),
        }
    }

    /// The major version of the payload's schema; `None` if `dataschema` does not say it.
    #[must_use]
    pub fn major(&self) -> Option<u32> {
        let (_, major) = self.dataschema.rsplit_once('/')?;
        major.parse().ok()
    }

    /// The payload, by the event's type.
    ///
    /// # Errors
    /// If type and major version are known and the payload violates the schema.
    pub fn read(&self) -> Result<EventData, serde_json::Error> {
        EventData::read(&self.event_type, self.major(), &self.data)
    }

    /// The payload, when the caller knows its type.
    ///
    /// # Errors
    /// If the payload does not match the type's schema.
    pub fn payload<P: Payload>(&self) -> Result<P, serde_json::Error> {
        serde_json::from_slice(&self.data)
    }

    /// The record to publish.
    #[must_use]
    pub fn to_record(&self) -> Record {
        let (actor, name) = match &self.actor {
            Actor::User { id, username } => (id.to_string(), Some(username.clone())),
            Actor::System => (SYSTEM.to_owned(), None),
        };
        let mut headers: Vec<(String, String)> = [
            (SPECVERSION, "1.0".to_owned()),
            (ID, self.id.to_string()),
            (TYPE, self.event_type.clone()),
            (SOURCE, self.source.clone()),
            (SUBJECT, self.subject.clone()),
            (TIME, format!("{:.3}", self.time)),
            (DATASCHEMA, self.dataschema.clone()),
            (CONTENT_TYPE, JSON.to_owned()),
            (TRACEPARENT, self.trace.to_string()),
            (ACTOR, actor),
        ]
        .map(|(header, value)| (header.to_owned(), value))
        .into();
        let optional = [
            (ACTOR_NAME, name),
            (REQUEST_ID, self.request.id.clone()),
            (
                CLIENT_ADDRESS,
                self.request.address.as_ref().map(IpAddr::to_string),
            ),
        ];
        let optional = optional
            .into_iter()
            .filter_map(|(header, value)| Some((header.to_owned(), value?)));
        headers.extend(optional);
        Record {
            topic: self.topic.clone(),
            key: self.key.clone(),
            headers,
            value: self.data.clone(),
        }
    }

    /// Reads the event from a record.
    ///
    /// # Errors
    /// A text that names the missing or malformed attribute.
    pub fn from_record(record: &Record) -> Result<Self, String> {
        let header = |name: &'static str| record.header(name).ok_or(format!("it has no {name}"));
        if header(SPECVERSION)? != "1.0" {
            return Err(format!("its {SPECVERSION} is not 1.0"));
        }
        let actor = match header(ACTOR)? {
            SYSTEM => Actor::System,
            id => Actor::User {
                id: id
                    .parse()
                    .map_err(|_| format!("its {ACTOR} is not a UUID"))?,
                username: record.header(ACTOR_NAME).unwrap_or_default().to_owned(),
            },
        };
        Ok(Self {
            id: header(ID)?
                .parse()
                .map_err(|_| format!("its {ID} is not a UUID"))?,
            event_type: header(TYPE)?.to_owned(),
            source: header(SOURCE)?.to_owned(),
            subject: header(SUBJECT)?.to_owned(),
            time: header(TIME)?
                .parse()
                .map_err(|_| format!("its {TIME} is not a time"))?,
            dataschema: header(DATASCHEMA)?.to_owned(),
            actor,
            trace: TraceContext::read(record.header(TRACEPARENT))
                .unwrap_or_else(TraceContext::generate),
            request: RequestInfo {
                id: record
                    .header(REQUEST_ID)
                    .filter(|id| is_id(id.as_bytes()))
                    .map(str::to_owned),
                address: record
                    .header(CLIENT_ADDRESS)
                    .and_then(|address| address.parse().ok()),
            },
            topic: record.topic.clone(),
            key: record.key.clone(),
            data: record.value.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use slipway_proto::events::{Role, UserRegisteredEvent};

    use super::*;

    fn event(actor: &Actor) -> Event {
        let id = Uuid::now_v7();
        Event::new(
            &UserRegisteredEvent {
                user_id: id,
                username: "ada".into(),
                email: "ada@example.com".into(),
                role: Role::Developer,
            },
            &Origin {
                service: "release-svc",
                key: id,
                subject: id,
                actor,
                time: "2026-01-02T03:04:05.678Z".parse().unwrap(),
            },
        )
    }

    #[test]
    fn an_event_is_the_same_after_a_round_trip() {
        let user = Actor::User {
            id: Uuid::now_v7(),
            username: "ada".into(),
        };
        let of_client = RequestInfo {
            id: Some("r-1".into()),
            address: Some("2001:db8::1".parse().unwrap()),
        };
        for (actor, request) in [(user, of_client), (Actor::System, RequestInfo::default())] {
            let event = Event {
                request,
                ..event(&actor)
            };
            let mut read = Event::from_record(&event.to_record()).unwrap();
            assert_eq!(read.trace.trace_id(), event.trace.trace_id());
            read.trace = event.trace;
            assert_eq!(read, event);
        }
    }

    #[test]
    fn attributes_are_written_as_the_catalogue_says() {
        let record = event(&Actor::System).to_record();
        assert_eq!(record.header("ce_time"), Some("2026-01-02T03:04:05.678Z"));
        assert_eq!(record.header("ce_dataschema"), Some("user.registered/1"));
        assert_eq!(record.header("ce_source"), Some("/slipway/release-svc"));
        assert_eq!(record.header("slipway-actor"), Some("system"));
        assert_eq!(record.topic, "slipway.users");
    }

    #[test]
    fn a_record_without_a_required_attribute_is_refused() {
        let record = event(&Actor::System).to_record();
        for (index, (name, _)) in record.headers.iter().enumerate() {
            let mut broken = record.clone();
            broken.headers.remove(index);
            let optional = matches!(name.as_str(), "content-type" | "traceparent");
            assert_eq!(Event::from_record(&broken).is_ok(), optional, "{name}");
        }
    }
}
