//! The events that are published when a notification was sent or has failed.

use jiff::Timestamp;
use slipway_bus::{Actor, Event, event::Origin};
use slipway_proto::events::{NotificationFailedEvent, NotificationSentEvent, Payload};
use uuid::Uuid;

use super::{Notification, State};
use crate::SERVICE;

/// The event for a notification that was sent or has failed.
pub(crate) fn outcome_event(notification: &Notification) -> Event {
    let (notification_id, event_id) = (notification.id.0, notification.event_id);
    let notification_type = notification.kind.clone();
    let channel = notification.channel.as_str().to_owned();
    let recipient_id = notification.to.user();
    let attempts = notification.tries();
    let at = notification.updated_at;
    if notification.state == State::Sent {
        let sent = NotificationSentEvent {
            notification_id,
            event_id,
            notification_type,
            channel,
            recipient_id,
            attempts,
            sent_at: at,
        };
        event(&sent, notification_id, at)
    } else {
        let failed = NotificationFailedEvent {
            notification_id,
            event_id,
            notification_type,
            channel,
            recipient_id,
            attempts,
            failed_at: at,
        };
        event(&failed, notification_id, at)
    }
}

fn event<P: Payload>(payload: &P, id: Uuid, time: Timestamp) -> Event {
    Event::new(
        payload,
        &Origin {
            service: SERVICE,
            key: id,
            subject: id,
            actor: &Actor::System,
            time,
        },
    )
}
