//! What stands on the topics, and which mails of it were sent.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use slipway_tests::topics::{Told, Topics};

use crate::ledger::Ledger;

/// What is not sent within this time never will be.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Events of which the owner of the task is notified.
pub(crate) const NOTIFY: [&str; 2] = ["task.assigned", "task.hotfix_added"];

/// What was published of users, releases and discussions, and of notifications once all are sent that
/// have to be: whoever a task is assigned to is told. What is wrong with the system meanwhile
/// is reported, too, and of no concern here.
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

/// Whether it tells what became of a mail to somebody whom a task is assigned to. The others
/// tell administrators what is wrong.
fn is_of_a_task(notification: &Told) -> bool {
    let kind = notification.payload["notificationType"].as_str();
    kind.is_some_and(|kind| NOTIFY.contains(&kind))
}

/// Who was assigned a task was sent one mail of it, and nobody any other.
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

/// Each event where it was published first, in the order of the topics.
pub(crate) fn first_occurrences(records: &[Told]) -> Vec<&Told> {
    let mut seen = BTreeSet::new();
    records
        .iter()
        .filter(|record| seen.insert(&record.id))
        .collect()
}
