//! Metrics of this crate.

use metrics::{counter, histogram};
use slipway_proto::events::{Payload as _, SystemErrorEvent};

use crate::notification::{Channel, Notification, Outcome, audience, preferences::Decision};

/// The one label for all custom types: administrators can create any number of them.
const OWN_TYPE: &str = "own";

/// The label of a notification type in metrics.
fn type_label(kind: &str) -> &'static str {
    let mut known = audience::kinds().chain([SystemErrorEvent::TYPE]);
    known.find(|known| *known == kind).unwrap_or(OWN_TYPE)
}

slipway_runtime::metrics! {
    pub fn describe;
    counter ENTRIES_APPENDED = "slipway_activity_entries_appended_total",
        "Entries appended to the activity log";
    counter AUDIT_ENTRIES_APPENDED = "slipway_audit_entries_appended_total",
        "Entries appended to the audit trail";
    counter ENTRIES_PRUNED = "slipway_activity_entries_pruned_total",
        "Entries deleted from the activity log because of their age";
    gauge WATCHERS = "slipway_activity_watchers", "Streams of the activity log that are open";
    counter DEAD_LETTERS_FILED = "slipway_dead_letters_filed_total",
        "Dead letters filed, of all groups";
    counter DEAD_LETTERS_REPLAYED = "slipway_dead_letters_replayed_total",
        "Dead letters sent back to their groups by administrators";
    counter INCIDENT_REPORTS = "slipway_incident_reports_total", "Reports of incidents recorded";
    counter QUEUED {channel} = "slipway_notifications_queued_total",
        "Notifications put into the queue, by channel";
    counter SENT {channel, type} = "slipway_notifications_sent_total",
        "Notifications the mail server accepted, by channel and type";
    counter DELIVERED {channel, type} = "slipway_notifications_delivered_total",
        "Notifications the mail server's operator reported as delivered, by channel and type";
    counter FAILED {channel, type} = "slipway_notifications_failed_total",
        "Notifications that failed or bounced, by channel and type";
    counter RETRIED {channel, type} = "slipway_notifications_retried_total",
        "Attempts after which a notification is retried, by channel and type";
    counter ATTEMPTS {outcome} = "slipway_notification_attempts_total",
        "Attempts to send a notification, by outcome";
    histogram SENT_AFTER_SECONDS = "slipway_notification_sent_after_seconds",
        "Seconds from the creation of a notification until the mail server accepted it";
    histogram EMAIL_SECONDS {outcome} = "slipway_email_duration_seconds",
        "Time the mail server, or the file, took for a mail, by outcome";
    gauge WAITING = "slipway_notifications_waiting",
        "Notifications in the queue or being sent. Of the whole database: take the maximum over \
         replicas, not the sum";
    gauge OLDEST_WAITING_SECONDS = "slipway_notifications_oldest_waiting_seconds",
        "Seconds since the longest waiting notification became due. Of the whole database: take \
         the maximum";
    gauge SENDING = "slipway_notifications_sending", "Notifications this process is sending";
    gauge MAIL_SERVER_UP = "slipway_mail_server_up",
        "Whether the mail server was reachable at the last attempt or probe (1) or not (0)";
    counter NOTIFICATIONS_PRUNED = "slipway_notifications_pruned_total",
        "Notifications deleted because of their age";
    counter SUPPRESSED {reason} = "slipway_notifications_suppressed_total",
        "Notifications not sent because their recipient does not want them, by reason";
    counter DEFERRED = "slipway_notifications_deferred_total",
        "Notifications deferred to the end of their recipient's quiet hours";
    counter GATHERED = "slipway_notifications_gathered_total",
        "Notifications gathered into a digest with others";
    counter DIGESTS = "slipway_notification_digests_total",
        "Digest mails sent";
    counter ACCEPTED = "slipway_events_accepted_total",
        "Events of other programs that were accepted";
    counter OVER_QUOTA = "slipway_events_over_quota_total",
        "Events of other programs refused because their sender had used up the quota";
}

/// Begins the metrics of notifications at zero.
pub(crate) fn begin() {
    let channel = Channel::Email.as_str();
    counter!(QUEUED, "channel" => channel).increment(0);
    let kinds = audience::kinds().chain([SystemErrorEvent::TYPE, OWN_TYPE]);
    for kind in kinds {
        for state in [SENT, DELIVERED, FAILED, RETRIED] {
            counter!(state, "channel" => channel, "type" => kind).increment(0);
        }
    }
    for outcome in [
        Outcome::Accepted,
        Outcome::Temporary,
        Outcome::Permanent,
        Outcome::Unreachable,
    ] {
        counter!(ATTEMPTS, "outcome" => outcome.as_str()).increment(0);
        drop(histogram!(EMAIL_SECONDS, "outcome" => outcome.as_str()));
    }
}

/// Counts notifications put into the queue.
pub(crate) fn count_queued(made: usize) {
    counter!(QUEUED, "channel" => Channel::Email.as_str()).increment(made as u64);
}

/// Counts a notification that has reached a state: one of [`SENT`], [`DELIVERED`], [`FAILED`] and
/// [`RETRIED`].
pub(crate) fn count_state(state: &'static str, notification: &Notification) {
    let (channel, kind) = (
        notification.channel.as_str(),
        type_label(notification.kind.as_str()),
    );
    counter!(state, "channel" => channel, "type" => kind).increment(1);
}

/// Counts a notification that is suppressed or deferred.
pub(crate) fn count_decision(decision: Decision) {
    match decision {
        Decision::Deliver => {}
        Decision::Suppress(why) => counter!(SUPPRESSED, "reason" => why.code()).increment(1),
        Decision::Defer(_) => counter!(DEFERRED).increment(1),
    }
}

/// Counts the notifications that are gathered into digests.
pub(crate) fn count_gathered(placed: &[Notification]) {
    let gathered = placed.iter().filter(|n| n.group.is_some());
    counter!(GATHERED).increment(gathered.count() as u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn custom_types_share_one_label() {
        assert_eq!(type_label("task.assigned"), "task.assigned");
        assert_eq!(type_label("system.error"), "system.error");
        assert_eq!(type_label("order-placed"), OWN_TYPE);
    }
}
