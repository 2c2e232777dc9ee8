//! What a process says of a fault.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use slipway_proto::events::SystemErrorEvent;
use slipway_runtime::text::{clean_line, is_blank};
use uuid::Uuid;

/// Characters of a name and of a summary at most.
const NAME: usize = 200;
const SUMMARY: usize = 500;

/// A report cannot be taken up: a field is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must not be empty")]
pub struct Malformed(pub &'static str);

/// What a process says of a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its id: a repetition has the same one.
    pub id: Uuid,
    /// The service that noticed it.
    pub service: String,
    /// The kind of fault.
    pub kind: String,
    /// What makes two reports one incident.
    pub fingerprint: String,
    /// One line for a person.
    pub summary: String,
    /// When it began.
    pub since: Timestamp,
    /// How often it happened since the last report.
    pub count: u64,
    /// Whether it is over.
    pub resolved: bool,
    /// Whether it lasts until it is said to be over.
    pub lasts: bool,
    /// A trace in which it happened.
    pub trace_id: Option<String>,
    /// When administrators were mailed about it directly, because it could not be stored.
    pub mailed_at: Option<Timestamp>,
}

impl Report {
    /// From the event or the call with this id.
    ///
    /// # Errors
    /// If it does not say what it is about.
    pub fn new(id: Uuid, said: SystemErrorEvent) -> Result<Self, Malformed> {
        for (field, text) in [
            ("service", &said.service),
            ("kind", &said.kind),
            ("fingerprint", &said.fingerprint),
            ("summary", &said.summary),
        ] {
            if is_blank(text) {
                return Err(Malformed(field));
            }
        }
        Ok(Self {
            id,
            service: line(&said.service, NAME),
            kind: line(&said.kind, NAME),
            fingerprint: fingerprint(&said.fingerprint),
            summary: line(&said.summary, SUMMARY),
            since: said.since,
            count: said.count,
            resolved: said.resolved,
            lasts: said.lasts,
            trace_id: said
                .trace_id
                .filter(|id| !is_blank(id))
                .map(|id| line(&id, NAME)),
            mailed_at: None,
        })
    }
}

/// A fingerprint of bounded length: of a long one the beginning, for people, and a hash of
/// all of it, so that two that begin alike stay two.
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

/// A text on one line, of bounded length. A report is cleaned, not refused: a fault must
/// be heard of, whatever its words are.
fn line(text: &str, longest: usize) -> String {
    clean_line(text).chars().take(longest).collect()
}
