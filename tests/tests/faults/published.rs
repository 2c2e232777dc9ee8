//! Reads what was published, and checks which mails were sent for it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use slipway_tests::topics::{Told, Topics};

use crate::ledger::Ledger;

/// Time limit for notifications to be sent.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Events for which the task's owner is notified.
pub(crate) const NOTIFY: [&str; 2] = ["task.assigned", "task.hotfix_added"];

/// The published events about users, releases and discussions; and about notifications, once one is
/// sent for each assigned task. Reports of faults are published too, and are ignored here.
pub(crate) async fn everything(topics: &Topics, ledger: &Ledger) -> (Vec<Told>, Vec<Told>) {
    let expected: usize = NOTIFY.iter().map(|kind| ledger.of_kind(kind)).sum();
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let records = topics.everything().await.unwrap();
        let (mut events, mut notifications) = (Vec::new(), Vec::new());
        for record in records {
            match record.topic.as_str() {
                "slipway.users" | "slipway.releases" | "slipway.forum" => events.push(record),
                "slipway.notifications" if is_of_a_task(&record) => notifications.push(record),
                "slipway.notifications" => {}
                "slipway.system" => {}
                _ => panic!("a dead letter: {record:?}"),
            }
        }
        let sent = first_occurrences(&notifications).len();
        if sent >= expected {
            return (events, notifications);
        }
        assert!(
            Instant::now() < deadline,
            "{sent} of {expected} notifications are sent"
        );
    }
}

/// Whether it is about a mail to the owner of a task. The others are mails to administrators about
/// faults.
fn is_of_a_task(notification: &Told) -> bool {
    let kind = notification.payload["notificationType"].as_str();
    kind.is_some_and(|kind| NOTIFY.contains(&kind))
}

/// Each owner of an assigned task must have been sent one mail about it, and nobody any other.
pub(crate) fn notified(events: &[&Told], notifications: &[Told]) {
    let sent = first_occurrences(notifications);
    for record in &sent {
        assert_eq!(record.kind, "notification.sent", "{record:?}");
    }
    let sent = sent.iter().map(|record| {
        let event = record.payload["eventId"].as_str().unwrap();
        event.to_owned()
    });
    let mut sent: Vec<_> = sent.collect();
    sent.sort();
    let mut wanted: Vec<_> = events
        .iter()
        .filter(|event| NOTIFY.contains(&event.kind.as_str()))
        .map(|event| event.id.clone())
        .collect();
    wanted.sort();
    assert_eq!(sent, wanted, "events of which somebody is notified");
}

/// The first occurrence of each event, in the order of the topics.
pub(crate) fn first_occurrences(records: &[Told]) -> Vec<&Told> {
    let mut seen = BTreeSet::new();
    records
        .iter()
        .filter(|record| seen.insert(&record.id))
        .collect()
}
