//! Metrics of this crate.

use metrics::counter;
use slipway_proto::events::{Payload as _, SystemErrorEvent};

use crate::notification::{Notification, audience, preferences::Decision};

/// The one label for all custom types: administrators can create any number of them.
const OWN_TYPE: &str = "own";

/// The label of a notification type in metrics.
pub(crate) fn type_label(kind: &str) -> &'static str {
    let mut known = audience::kinds().chain([SystemErrorEvent::TYPE]);
    known.find(|known| *known == kind).unwrap_or(OWN_TYPE)
}

slipway_runtime::metrics! {
    pub(crate) fn describe;
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
    counter QUEUED = "slipway_notifications_queued_total", "Notifications put into the queue";
    counter SENT = "slipway_notifications_sent_total",
        "Notifications the mail server accepted, by type";
    counter DELIVERED = "slipway_notifications_delivered_total",
        "Notifications the mail server's operator reported as delivered, by type";
    counter FAILED = "slipway_notifications_failed_total",
        "Notifications that failed or bounced, by type";
    counter RETRIED = "slipway_notifications_retried_total",
        "Attempts after which a notification is retried, by type";
    counter ATTEMPTS = "slipway_notification_attempts_total",
        "Attempts to send a notification, by outcome";
    histogram SENT_AFTER_SECONDS = "slipway_notification_sent_after_seconds",
        "Seconds from the creation of a notification until the mail server accepted it";
    gauge WAITING = "slipway_notifications_waiting", "Notifications in the queue or being sent";
    gauge OLDEST_WAITING_SECONDS = "slipway_notifications_oldest_waiting_seconds",
        "Seconds since the longest waiting notification became due";
    gauge SENDING = "slipway_notifications_sending", "Notifications this process is sending";
    gauge MAIL_SERVER_UP = "slipway_mail_server_up",
        "Whether the mail server was reachable at the last attempt or probe (1) or not (0)";
    counter NOTIFICATIONS_PRUNED = "slipway_notifications_pruned_total",
        "Notifications deleted because of their age";
    counter SUPPRESSED = "slipway_notifications_suppressed_total",
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
