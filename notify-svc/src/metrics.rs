//! This crate's metrics: their names and help texts.

use metrics::{counter, describe_counter, describe_gauge, describe_histogram};

use slipway_proto::events::{Payload as _, SystemErrorEvent};

use crate::notification::{Notification, audience, preferences::Decision};

/// The label of all types that administrators have made: they can make new ones for ever.
const OWN_TYPE: &str = "own";

/// What a type of notification is called in metrics.
pub(crate) fn type_label(kind: &str) -> &'static str {
    let mut known = audience::kinds().chain([SystemErrorEvent::TYPE]);
    known.find(|known| *known == kind).unwrap_or(OWN_TYPE)
}

/// Entries appended to the activity log.
pub(crate) const ENTRIES_APPENDED: &str = "slipway_activity_entries_appended_total";
/// Entries deleted from the activity log because of their age.
pub(crate) const ENTRIES_PRUNED: &str = "slipway_activity_entries_pruned_total";
/// Streams of the activity log that are open.
pub(crate) const WATCHERS: &str = "slipway_activity_watchers";

/// Dead letters filed.
pub(crate) const DEAD_LETTERS_FILED: &str = "slipway_dead_letters_filed_total";
/// Dead letters sent back to their groups.
pub(crate) const DEAD_LETTERS_REPLAYED: &str = "slipway_dead_letters_replayed_total";

/// Reports of incidents stored.
pub(crate) const INCIDENT_REPORTS: &str = "slipway_incident_reports_total";

/// Notifications put into the queue.
pub(crate) const QUEUED: &str = "slipway_notifications_queued_total";
/// Notifications the mail server took.
pub(crate) const SENT: &str = "slipway_notifications_sent_total";
/// Notifications of which the mail server's operator said that they arrived.
pub(crate) const DELIVERED: &str = "slipway_notifications_delivered_total";
/// Notifications given up, or come back.
pub(crate) const FAILED: &str = "slipway_notifications_failed_total";
/// Attempts after which a notification is tried again.
pub(crate) const RETRIED: &str = "slipway_notifications_retried_total";
/// Attempts to send, by outcome.
pub(crate) const ATTEMPTS: &str = "slipway_notification_attempts_total";
/// From the making of a notification to the mail server's answer.
pub(crate) const SENT_AFTER_SECONDS: &str = "slipway_notification_sent_after_seconds";
/// Notifications in the queue or being sent.
pub(crate) const WAITING: &str = "slipway_notifications_waiting";
/// How long the notification has waited that is due longest.
pub(crate) const OLDEST_WAITING_SECONDS: &str = "slipway_notifications_oldest_waiting_seconds";
/// Notifications this process is sending.
pub(crate) const SENDING: &str = "slipway_notifications_sending";
/// Whether the mail server was there when it was last sent a mail or asked.
pub(crate) const MAIL_SERVER_UP: &str = "slipway_mail_server_up";
/// Notifications deleted because of their age.
pub(crate) const NOTIFICATIONS_PRUNED: &str = "slipway_notifications_pruned_total";

/// Notifications not sent because their recipient does not want them, by reason.
pub(crate) const SUPPRESSED: &str = "slipway_notifications_suppressed_total";
/// Notifications put off to the end of quiet hours.
pub(crate) const DEFERRED: &str = "slipway_notifications_deferred_total";
/// Notifications put off so that they go in one mail with others.
pub(crate) const GATHERED: &str = "slipway_notifications_gathered_total";
/// Mails sent that told of several notifications.
pub(crate) const DIGESTS: &str = "slipway_notification_digests_total";
/// Events of other programs that were accepted.
pub(crate) const ACCEPTED: &str = "slipway_events_accepted_total";
/// Events of other programs refused because their sender had used up the quota.
pub(crate) const OVER_QUOTA: &str = "slipway_events_over_quota_total";

/// Describes them to the recorder.
pub(crate) fn describe() {
    describe_counter!(ENTRIES_APPENDED, "Entries appended to the activity log");
    describe_counter!(
        ENTRIES_PRUNED,
        "Entries deleted from the activity log because of their age"
    );
    describe_counter!(DEAD_LETTERS_FILED, "Dead letters filed, of all groups");
    describe_counter!(
        DEAD_LETTERS_REPLAYED,
        "Dead letters sent back to their groups by administrators"
    );
    describe_counter!(INCIDENT_REPORTS, "Reports of incidents taken up");
    describe_gauge!(WATCHERS, "Streams of the activity log that are open");
    describe_notifications();
    describe_choices();
}

fn describe_notifications() {
    describe_counter!(QUEUED, "Notifications put into the queue");
    describe_counter!(SENT, "Notifications the mail server took, by type");
    describe_counter!(
        DELIVERED,
        "Notifications of which the mail server's operator said that they arrived, by type"
    );
    describe_counter!(FAILED, "Notifications given up or come back, by type");
    describe_counter!(
        RETRIED,
        "Attempts after which a notification is tried again, by type"
    );
    describe_counter!(ATTEMPTS, "Attempts to send a notification, by outcome");
    describe_histogram!(
        SENT_AFTER_SECONDS,
        "Seconds from the making of a notification to the mail server's taking it"
    );
    describe_gauge!(WAITING, "Notifications in the queue or being sent");
    describe_gauge!(
        OLDEST_WAITING_SECONDS,
        "Seconds since the notification was due that has waited longest"
    );
    describe_gauge!(SENDING, "Notifications this process is sending");
    describe_gauge!(
        MAIL_SERVER_UP,
        "Whether the mail server was there when it was last sent a mail or asked (1) or not (0)"
    );
    describe_counter!(
        NOTIFICATIONS_PRUNED,
        "Notifications deleted because of their age"
    );
}

fn describe_choices() {
    describe_counter!(
        SUPPRESSED,
        "Notifications not sent because their recipient does not want them, by reason"
    );
    describe_counter!(
        DEFERRED,
        "Notifications put off to the end of their recipient's quiet hours"
    );
    describe_counter!(
        GATHERED,
        "Notifications put off so that they go in one mail with others"
    );
    describe_counter!(DIGESTS, "Mails sent that told of several notifications");
    describe_counter!(ACCEPTED, "Events of other programs that were accepted");
    describe_counter!(
        OVER_QUOTA,
        "Events of other programs refused because their sender had used up the quota"
    );
}

/// Counts a notification that is not sent, or not yet.
pub(crate) fn count_decision(decision: Decision) {
    match decision {
        Decision::Deliver => {}
        Decision::Suppress(why) => counter!(SUPPRESSED, "reason" => why.code()).increment(1),
        Decision::Defer(_) => counter!(DEFERRED).increment(1),
    }
}

/// Counts the notifications that are gathered.
pub(crate) fn count_gathered(placed: &[Notification]) {
    let gathered = placed.iter().filter(|n| n.group.is_some());
    counter!(GATHERED).increment(gathered.count() as u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_administrators_have_one_label() {
        assert_eq!(type_label("task.assigned"), "task.assigned");
        assert_eq!(type_label("system.error"), "system.error");
        assert_eq!(type_label("order-placed"), OWN_TYPE);
    }
}
