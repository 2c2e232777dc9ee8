//! Reads what was published, and checks which mails were sent for it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::Value;
use slipway_tests::{
    Client,
    topics::{Told, Topics},
};

use crate::ledger::Ledger;

/// Time limit for notifications to be sent.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Events for which the task's owner is notified.
pub(crate) const NOTIFY: [&str; 2] = ["task.assigned", "task.hotfix_added"];

/// What was published and withdrawn.
pub(crate) struct Everything {
    /// The events about users, releases and discussions.
    pub(crate) events: Vec<Told>,
    /// Those about notifications.
    pub(crate) notifications: Vec<Told>,
    /// The ids of the events whose notification was not sent any more, because the task was started
    /// or completed before.
    pub(crate) withdrawn: Vec<String>,
}

/// Everything, once a notification is sent or withdrawn for each assigned task. Reports of faults
/// are published too, and are ignored here.
pub(crate) async fn everything(admin: &Client, topics: &Topics, ledger: &Ledger) -> Everything {
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
        let withdrawn = withdrawn(admin).await;
        if sent + withdrawn.len() >= expected {
            return Everything {
                events,
                notifications,
                withdrawn,
            };
        }
        assert!(
            Instant::now() < deadline,
            "{sent} of {expected} notifications are sent, and {} withdrawn",
            withdrawn.len()
        );
    }
}

async fn withdrawn(admin: &Client) -> Vec<String> {
    let path = "/admin/notifications?status=SUPPRESSED&limit=200";
    let suppressed = admin.all(path).await.unwrap();
    let of_a_task = suppressed
        .iter()
        .filter(|one| NOTIFY.iter().any(|kind| one["type"] == *kind));
    of_a_task.map(event_of_withdrawn).collect()
}

fn event_of_withdrawn(notification: &Value) -> String {
    let reason = notification["reason"].as_str().unwrap_or_default();
    let is_untrue = ["TASK_STARTED: ", "TASK_COMPLETED: "];
    assert!(
        is_untrue.iter().any(|code| reason.starts_with(code)),
        "{notification}"
    );
    notification["eventId"].as_str().unwrap().to_owned()
}

/// Whether it is about a mail to the owner of a task. The others are mails to administrators about
/// faults.
fn is_of_a_task(notification: &Told) -> bool {
    let kind = notification.payload["notificationType"].as_str();
    kind.is_some_and(|kind| NOTIFY.contains(&kind))
}

/// Each owner of an assigned task must have been sent one mail about it, unless it was withdrawn, and
/// nobody any other.
pub(crate) fn notified(events: &[&Told], notifications: &[Told], withdrawn: &[String]) {
    let sent = first_occurrences(notifications);
    for record in &sent {
        assert_eq!(record.kind, "notification.sent", "{record:?}");
    }
    let sent = sent.iter().map(|record| {
        let event = record.payload["eventId"].as_str().unwrap();
        event.to_owned()
    });
    let mut sent: Vec<_> = sent.chain(withdrawn.iter().cloned()).collect();
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
