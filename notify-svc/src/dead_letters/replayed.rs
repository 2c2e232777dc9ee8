//! The event about a replay by an administrator, for the audit trail.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use slipway_bus::{Actor, Event, event::Origin};
use slipway_proto::events::{DeadLetterReplayedEvent, FieldChange};
use slipway_runtime::text::shortened;

use super::{Act, Filed, State};
use crate::SERVICE;

/// The largest payload that the event repeats, in bytes: an edited one must fit in twice, and an
/// event has at most 1,000,000 bytes. Of a larger one there is its hash.
const LARGEST: usize = 100 * 1024;

/// Maximum length, in characters, of what the failed event says of itself.
const LONGEST: usize = 200;

/// The event.
pub(super) fn event(found: &Filed, act: &Act) -> Event {
    let summary = found.summary();
    let brief = |text: Option<String>| text.map(|text| shortened(&text, LONGEST).into_owned());
    let mut changes = vec![FieldChange {
        field: "state".to_owned(),
        from: json!(State::Waiting),
        to: json!(State::Replayed),
    }];
    if let Some(edited) = &act.edited {
        changes.push(FieldChange {
            field: "payload".to_owned(),
            from: payload(&found.letter.record.value),
            to: payload(edited.as_bytes()),
        });
    }
    let replayed = DeadLetterReplayedEvent {
        dead_letter_id: found.id.0,
        group: summary.group,
        topic: summary.topic,
        event_id: brief(summary.event_id),
        event_type: brief(summary.event_type),
        changes,
    };
    let actor = Actor::User {
        id: act.by.id,
        username: act.by.username.clone(),
    };
    Event::new(
        &replayed,
        &Origin {
            service: SERVICE,
            key: act.by.id,
            subject: found.id.0,
            actor: &actor,
            time: act.at,
        },
    )
}

/// A payload in the event: as JSON, else as text, or the hash of a large one.
fn payload(bytes: &[u8]) -> Value {
    if bytes.len() > LARGEST {
        let digest = Sha256::digest(bytes);
        let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        return json!({"sha256": hash, "bytes": bytes.len()});
    }
    let text = || String::from_utf8_lossy(bytes).into();
    serde_json::from_slice(bytes).unwrap_or_else(|_| text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_large_payload_there_is_its_hash() {
        assert_eq!(payload(br#"{"a": 1}"#), json!({"a": 1}));
        assert_eq!(payload(b"no JSON \xff"), json!("no JSON \u{fffd}"));
        let large = payload(&vec![b' '; LARGEST + 1]);
        assert_eq!(large["bytes"], LARGEST + 1);
        assert_eq!(large["sha256"].as_str().map(str::len), Some(64));
    }
}
