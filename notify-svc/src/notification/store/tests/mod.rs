//! Tests of the notification store on each database.

mod claims;
mod confirmations;
mod corrections;
mod gathered;
mod lists;
mod outcomes;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use slipway_bus::Event;
use slipway_store::Documents;
use slipway_store::outbox::OutboxStore;
use uuid::Uuid;

use super::{Claim, Claimed, Direction, NotificationStore, Query};
use crate::notification::{Draft, Filter, Notification, State, Subject, To};

/// The store with its outbox.
struct Opened {
    store: NotificationStore,
    outbox: Arc<dyn OutboxStore>,
}

impl Opened {
    fn new(documents: Documents) -> Self {
        Self {
            outbox: documents.outbox(),
            store: NotificationStore::new(documents),
        }
    }
}

const KINDS: &[&str] = &["task.assigned", "task.hotfix_added", "system.error"];

/// The start; all notifications are created at it or later.
fn start() -> Timestamp {
    "2026-01-02T03:04:05.678Z".parse().unwrap()
}

fn after(millis: i64) -> Timestamp {
    start() + SignedDuration::from_millis(millis)
}

fn user(n: u128) -> To {
    To::User(Uuid::from_u128(0xad_0000 + n))
}

/// The `n`-th notification of a queue with mixed types, recipients and times: due when it is
/// created, `n` milliseconds after the start.
fn notification(n: u128) -> Notification {
    let to = match n % 4 {
        0 => To::address("Ops@Example.com"),
        n => user(n),
    };
    let draft = Draft {
        kind: KINDS[(n * n % 3) as usize].to_owned(),
        to,
        data: json!({"n": n as u64, "odd": "„ü“ \0 \u{1F680}", "list": [1.5, null]}),
        sender: None,
    };
    let subject = Subject::new(&format!("Nr. {n}: Öl & “$.*[x” {}", n % 7));
    Notification::new(
        draft,
        Uuid::from_u128(0xe1_0000 + n),
        subject,
        after(i64::try_from(n).unwrap()),
    )
}

fn notifications(count: u128) -> Vec<Notification> {
    (1..=count).map(notification).collect()
}

/// A claim made at `now` that lasts one second.
fn claim(now: Timestamp) -> Claim {
    Claim {
        id: Uuid::now_v7(),
        now,
        until: now + SignedDuration::from_secs(1),
    }
}

/// Stores the result of an attempt with one notification; returns whether it was stored.
async fn settle(
    store: &NotificationStore,
    claimed: &Claimed,
    settled: &Notification,
    events: Vec<Event>,
) -> bool {
    let (claimed, settled) = ([claimed.clone()], [(settled.clone(), events)]);
    store.settle(&claimed, &settled).await.unwrap() == 1
}

/// A query with each combination of conditions, in both directions.
fn every_shape_of_query() -> Vec<Query> {
    let mut queries = Vec::new();
    let ops = To::address("ops@example.com");
    for to in [vec![], vec![user(1)], vec![ops.clone()], vec![user(1), ops]] {
        for state in [None, Some(State::Queued)] {
            for kind in [None, Some("task.assigned".to_owned())] {
                for text in [None, Some("ÖL & “$.*[X".to_owned())] {
                    for (from, until) in [(None, None), (Some(after(20)), Some(after(70)))] {
                        for direction in [Direction::NewestFirst, Direction::OldestFirst] {
                            let filter = Filter {
                                to: to.clone(),
                                state,
                                kind: kind.clone(),
                                from,
                                until,
                                text: text.clone(),
                            };
                            queries.push(Query {
                                direction,
                                ..Query::newest(filter, 7)
                            });
                        }
                    }
                }
            }
        }
    }
    queries
}
