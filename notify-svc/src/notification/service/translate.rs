//! Translates between protobuf messages and this feature's types.

use slipway_proto::{
    common::v1::UserRef,
    notify::v1::{
        GetDeliveryFiguresResponse, Notification as Shown, NotificationAttempt, NotificationFilter,
        NotificationState, StateCounts,
    },
    time::to_proto as timestamp,
};
use slipway_rpc::error::Fault;
use slipway_runtime::{text::is_blank, zone::Zone};
use uuid::Uuid;

use crate::{
    notification::{
        Attempt, Filter, Notification, Outcome, State, To,
        figures::{Figures, mean, percentile},
    },
    translate::period,
};

/// Maximum length of a searched text, in characters.
const LONGEST_TEXT: usize = 200;

/// Maximum length of a type, in characters.
const LONGEST_TYPE: usize = 64;

/// The figures of the day that began at `from` in a time zone.
pub(super) fn figures(
    from: jiff::Timestamp,
    zone: &Zone,
    figures: &Figures,
) -> GetDeliveryFiguresResponse {
    let [queued, sending, sent, delivered, failed, suppressed] = figures.counts;
    GetDeliveryFiguresResponse {
        from: Some(timestamp(from)),
        time_zone: zone.name().to_owned(),
        counts: Some(StateCounts {
            queued,
            sending,
            sent,
            delivered,
            failed,
            suppressed,
        }),
        measured: figures.latencies.len() as u64,
        mean_latency_ms: mean(&figures.latencies),
        p99_latency_ms: percentile(&figures.latencies, 99),
    }
}

/// The filter of a request, limited to the recipients `to` if there are any.
pub(super) fn filter(wanted: Option<NotificationFilter>, to: Vec<To>) -> Result<Filter, Fault> {
    let wanted = wanted.unwrap_or_default();
    let state = match wanted.state() {
        NotificationState::Unspecified if wanted.state != 0 => {
            let allowed = "must be QUEUED, SENDING, SENT, DELIVERED, FAILED or SUPPRESSED";
            return Err(Fault::invalid_field("filter.state", allowed));
        }
        NotificationState::Unspecified => None,
        NotificationState::Queued => Some(State::Queued),
        NotificationState::Sending => Some(State::Sending),
        NotificationState::Sent => Some(State::Sent),
        NotificationState::Delivered => Some(State::Delivered),
        NotificationState::Failed => Some(State::Failed),
        NotificationState::Suppressed => Some(State::Suppressed),
    };
    for (field, text, limit) in [
        ("filter.text", &wanted.text, LONGEST_TEXT),
        ("filter.type", &wanted.r#type, LONGEST_TYPE),
    ] {
        if text.chars().count() > limit || text.contains('\0') {
            let message = format!("must be at most {limit} characters without NUL");
            return Err(Fault::invalid_field(field, message));
        }
    }
    let present = |text: String| Some(text).filter(|text| !is_blank(text));
    let (from, until) = period(wanted.from, wanted.to)?;
    Ok(Filter {
        to,
        state,
        kind: present(wanted.r#type),
        from,
        until,
        text: present(wanted.text),
    })
}

/// A notification as its recipient or an administrator may see it.
pub(super) fn shown(
    notification: Notification,
    name: impl Fn(Uuid) -> Option<String>,
    to_admin: bool,
) -> Shown {
    let (recipient, address) = match &notification.to {
        To::User(id) => {
            let username = name(*id).unwrap_or_default();
            let id = id.to_string();
            (Some(UserRef { id, username }), String::new())
        }
        To::Address(address) => (None, address.clone()),
    };
    let waits = notification.state == State::Queued;
    Shown {
        id: notification.id.to_string(),
        event_id: notification.event_id.to_string(),
        channel: notification.channel.as_str().to_owned(),
        recipient,
        address,
        subject: notification.subject.as_str().to_owned(),
        state: state(notification.state).into(),
        reason: reason(&notification, to_admin),
        digest_id: notification
            .digest_id
            .map_or_else(String::new, |id| id.to_string()),
        due_at: waits.then(|| timestamp(notification.due_at)),
        created_at: Some(timestamp(notification.created_at)),
        updated_at: Some(timestamp(notification.updated_at)),
        r#type: notification.kind,
        attempts: notification
            .attempts
            .into_iter()
            .map(|attempt| tried(attempt, to_admin))
            .collect(),
    }
}

fn state(state: State) -> NotificationState {
    match state {
        State::Queued => NotificationState::Queued,
        State::Sending => NotificationState::Sending,
        State::Sent => NotificationState::Sent,
        State::Delivered => NotificationState::Delivered,
        State::Failed => NotificationState::Failed,
        State::Suppressed => NotificationState::Suppressed,
    }
}

/// Why it was suppressed or failed. Only administrators see the mail server's answer, which may
/// contain internal hosts and addresses.
fn reason(notification: &Notification, to_admin: bool) -> String {
    let reason = notification.reason.clone().unwrap_or_default();
    if to_admin || notification.state != State::Failed {
        return reason;
    }
    let last = notification.attempts.last().map(|attempt| attempt.outcome);
    match last {
        Some(Outcome::Permanent) => "PERMANENT: it cannot be delivered to this address",
        Some(Outcome::Bounced) => "BOUNCED: it came back undelivered",
        Some(Outcome::Unreachable) => "UNREACHABLE: no mail could be sent for a day",
        _ => "TEMPORARY: the mail server deferred it too many times",
    }
    .to_owned()
}

fn tried(attempt: Attempt, to_admin: bool) -> NotificationAttempt {
    NotificationAttempt {
        time: Some(timestamp(attempt.at)),
        duration_ms: i64::try_from(attempt.duration_ms).unwrap_or(i64::MAX),
        outcome: attempt.outcome.as_str().to_owned(),
        answer: match to_admin {
            true => attempt.answer,
            false => String::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::notification::{Draft, NotificationId, Subject};

    #[test]
    fn an_unknown_state_is_refused() {
        let wanted = |state| NotificationFilter {
            state,
            ..NotificationFilter::default()
        };
        let refused = filter(Some(wanted(99)), Vec::new()).unwrap_err();
        assert_eq!(refused.fields[0].field, "filter.state");
        assert!(filter(Some(wanted(0)), Vec::new()).is_ok());
    }

    const INSIDE: &str = "550 mx1.inside.example says no";

    fn failed() -> Notification {
        let draft = Draft {
            kind: "task.assigned".to_owned(),
            to: To::User(Uuid::from_u128(7)),
            data: json!({}),
            sender: None,
        };
        let now = Timestamp::UNIX_EPOCH;
        let made = Notification::new(draft, Uuid::nil(), Subject::new("x"), now);
        let attempt = Attempt::new(now, Duration::from_millis(5), Outcome::Permanent, INSIDE);
        made.settle(attempt, 0.0, now).notification
    }

    #[test]
    fn only_administrators_see_the_mail_servers_answer() {
        let name = |_| Some("ada".to_owned());
        let to_owner = shown(failed(), name, false);
        assert!(!format!("{to_owner:?}").contains("inside"));
        assert!(to_owner.reason.starts_with("PERMANENT: "));
        assert_eq!(to_owner.attempts[0].outcome, "PERMANENT");
        assert_eq!(to_owner.attempts[0].duration_ms, 5);
        let to_admin = shown(failed(), name, true);
        assert_eq!(to_admin.reason, INSIDE);
        assert_eq!(to_admin.attempts[0].answer, INSIDE);
    }

    #[test]
    fn the_due_time_is_shown_while_it_is_queued() {
        let draft = Draft {
            kind: "task.assigned".to_owned(),
            to: To::address("ops@example.com"),
            data: json!({}),
            sender: None,
        };
        let now = Timestamp::UNIX_EPOCH;
        let due = Timestamp::from_second(60).unwrap();
        let made = Notification::new(draft, Uuid::nil(), Subject::new("x"), now).deferred(due);
        let waiting = shown(made.clone(), |_| None, false);
        assert_eq!(waiting.due_at.map(|due| due.seconds), Some(60));
        assert_eq!(waiting.address, "ops@example.com");
        assert_eq!(waiting.recipient, None);
        assert_eq!(
            (waiting.reason.as_str(), waiting.digest_id.as_str()),
            ("", "")
        );
        let over = shown(made.suppressed("EMAIL_OFF"), |_| None, false);
        assert_eq!((over.due_at, over.reason.as_str()), (None, "EMAIL_OFF"));
    }

    #[test]
    fn a_gathered_notification_shows_its_reason_and_then_its_digest() {
        let draft = Draft {
            kind: "task.assigned".to_owned(),
            to: To::User(Uuid::from_u128(7)),
            data: json!({}),
            sender: None,
        };
        let now = Timestamp::UNIX_EPOCH;
        let made = Notification::new(draft, Uuid::nil(), Subject::new("x"), now);
        let gathered = made.gathered("quiet", "QUIET_HOURS: it was quiet", now);
        let waiting = shown(gathered.clone(), |_| None, false);
        assert_eq!(waiting.reason, "QUIET_HOURS: it was quiet");
        let digest = NotificationId(Uuid::from_u128(9));
        let claimed = Notification {
            digest_id: Some(digest),
            ..gathered
        };
        let attempt = Attempt::new(now, Duration::ZERO, Outcome::Accepted, "250 ok");
        let sent = shown(
            claimed.settle(attempt, 0.0, now).notification,
            |_| None,
            false,
        );
        assert_eq!(
            (sent.reason.as_str(), sent.digest_id),
            ("", digest.to_string())
        );
    }

    #[test]
    fn a_searched_text_has_a_length_limit() {
        let wanted = |text: String| NotificationFilter {
            text,
            ..Default::default()
        };
        assert!(filter(Some(wanted("ü".repeat(200))), Vec::new()).is_ok());
        for blank in ["", " ", "\u{200b}\u{2028}"] {
            let found = filter(Some(wanted(blank.to_owned())), Vec::new()).unwrap();
            assert_eq!(found.text, None, "{blank:?} is no condition");
        }
        for bad in ["ü".repeat(201), "\0".to_owned()] {
            let fault = filter(Some(wanted(bad)), Vec::new()).unwrap_err();
            assert_eq!(fault.fields[0].field, "filter.text");
        }
    }
}
