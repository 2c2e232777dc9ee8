//! A report of a fault by a process.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use slipway_proto::events::SystemErrorEvent;
use slipway_runtime::text::{clean_line, is_blank};
use uuid::Uuid;

/// Maximum length of a name and of a summary, in characters.
const NAME: usize = 200;
const SUMMARY: usize = 500;

/// The report is refused: a field is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must not be empty")]
pub struct Malformed(pub &'static str);

/// A report of a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its id; a repetition has the same one.
    pub id: Uuid,
    /// The service that noticed it.
    pub service: String,
    /// The kind of fault.
    pub kind: String,
    /// Reports with the same fingerprint belong to the same incident.
    pub fingerprint: String,
    /// One line for a person.
    pub summary: String,
    /// When the fault began.
    pub since: Timestamp,
    /// How often it happened since the last report.
    pub count: u64,
    /// Whether the fault is over.
    pub resolved: bool,
    /// Whether it stays open until it is reported to be over.
    pub lasts: bool,
    /// Id of a trace in which it happened.
    pub trace_id: Option<String>,
    /// When administrators were mailed about it directly because it could not be stored.
    pub mailed_at: Option<Timestamp>,
}

impl Report {
    /// The report of an event, or of a call, with this id.
    ///
    /// # Errors
    /// If a required field is empty.
    pub fn new(id: Uuid, event: SystemErrorEvent) -> Result<Self, Malformed> {
        for (field, text) in [
            ("service", &event.service),
            ("kind", &event.kind),
            ("fingerprint", &event.fingerprint),
            ("summary", &event.summary),
        ] {
            if is_blank(text) {
                return Err(Malformed(field));
            }
        }
        Ok(Self {
            id,
            service: line(&event.service, NAME),
            kind: line(&event.kind, NAME),
            fingerprint: fingerprint(&event.fingerprint),
            summary: line(&event.summary, SUMMARY),
            since: event.since,
            count: event.count,
            resolved: event.resolved,
            lasts: event.lasts,
            trace_id: event
                .trace_id
                .filter(|id| !is_blank(id))
                .map(|id| line(&id, NAME)),
            mailed_at: None,
        })
    }
}

/// A fingerprint of bounded length. A long one becomes its beginning, for people, and a hash of all
/// of it, so that two with the same beginning stay different.
fn fingerprint(text: &str) -> String {
    let line = clean_line(text);
    if line.chars().count() <= NAME {
        return line;
    }
    let digest = Sha256::digest(&line);
    let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let beginning: String = line.chars().take(NAME - hash.len() - 1).collect();
    format!("{beginning}…{hash}")
}

/// Limits a text to one line of bounded length. The report is cleaned instead of refused: a fault
/// must not be lost because of its text.
fn line(text: &str, longest: usize) -> String {
    clean_line(text).chars().take(longest).collect()
}
