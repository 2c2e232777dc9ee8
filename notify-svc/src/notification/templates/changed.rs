//! The events about templates that administrators change, for the audit trail.

use serde::Serialize;
use serde_json::{Map, Value};
use slipway_bus::{Actor, Event, event::Origin};
use slipway_proto::events::{FieldChange, TemplateDeletedEvent, TemplateUpdatedEvent};

use super::{Current, Source, Version, built_in};
use crate::SERVICE;

/// What counts for a type.
#[derive(Serialize)]
struct InForce<'a> {
    #[serde(flatten)]
    source: Option<Source>,
    sample: Option<&'a Map<String, Value>>,
}

/// The event about `next`, the version that follows what is in `current`.
pub(super) fn event(current: &Current, next: &Version) -> Event {
    let kind = &next.kind;
    let saved = current.version(kind).and_then(|last| last.content.as_ref());
    let before = InForce {
        source: current.source(kind),
        sample: saved.and_then(|content| content.sample.as_ref()),
    };
    let content = next.content.as_ref();
    let after = InForce {
        source: content
            .map(|content| content.source.clone())
            .or_else(|| built_in::source(kind)),
        sample: content.and_then(|content| content.sample.as_ref()),
    };
    let (notification_type, version) = (kind.clone(), next.number);
    let changes = changes(&before, &after);
    let actor = Actor::User {
        id: next.author.id,
        username: next.author.username.clone(),
    };
    let origin = Origin {
        service: SERVICE,
        key: next.author.id,
        subject: next.author.id,
        actor: &actor,
        time: next.at,
    };
    let event = match content {
        Some(_) => Event::new(
            &TemplateUpdatedEvent {
                notification_type,
                version,
                changes,
            },
            &origin,
        ),
        None => Event::new(
            &TemplateDeletedEvent {
                notification_type,
                version,
                changes,
            },
            &origin,
        ),
    };
    Event {
        subject: kind.clone(),
        ..event
    }
}

fn changes(before: &InForce<'_>, after: &InForce<'_>) -> Vec<FieldChange> {
    let fields = ["subject", "text", "html", "sample"];
    let mut changes =
        FieldChange::between(&fields, before, after).expect("templates are plain texts");
    changes.retain(|change| change.from != change.to);
    changes
}
