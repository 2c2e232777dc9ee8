//! What every backend of the notifications does: one suite, run on each by [`tests`].
//!
//! A backend supplies a guard that owns its place and a way to open the notifications
//! there; what is opened several times is one queue.

pub(super) mod claims;
pub(super) mod confirmations;
pub(super) mod gathered;
pub(super) mod lists;
pub(super) mod outcomes;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use slipway_bus::Event;
use slipway_store::outbox::OutboxStore;
use uuid::Uuid;

use super::{Claim, Direction, NotificationStore, Query};
use crate::notification::{Draft, Filter, Notification, State, Subject, To};

/// Defines the suite for a backend: `tests!({ (guard, open) })`.
macro_rules! tests {
    ($setup:block) => {
        $crate::store::notifications::contract::tests!($setup:
            claims::a_notification_is_made_once_for_each_event_and_recipient
            claims::a_notification_is_read_as_it_was_written
            claims::what_is_due_is_claimed_and_nothing_else
            claims::claims_that_race_share_the_queue
            claims::makers_that_race_make_each_once
            claims::a_claim_that_ended_is_taken_back_and_says_so
            claims::claims_are_taken_back_once_whoever_races
            gathered::what_goes_in_one_mail_is_claimed_together
            gathered::claims_that_race_take_all_of_a_group
            gathered::what_failed_together_is_claimed_again_as_the_same_mail
            gathered::what_came_of_one_mail_is_stored_of_all_it_told
            outcomes::an_outcome_is_stored_with_its_events
            outcomes::an_outcome_without_a_claim_is_refused_and_leaves_nothing
            confirmations::what_is_said_of_a_mail_is_stored_with_its_events
            confirmations::only_what_is_sent_is_confirmed
            confirmations::of_words_that_race_one_is_stored
            outcomes::what_waits_is_counted
            outcomes::what_is_old_and_done_is_deleted
            lists::filters_select_what_a_naive_reader_would
            lists::a_page_has_a_weight
            lists::a_search_that_hardly_matches_takes_its_time_in_pages
        );
    };
    ($setup:block: $($module:ident::$name:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (_guard, open) = $setup;
                $crate::store::notifications::contract::$module::$name(open).await;
            }
        )*
    };
}
pub(super) use tests;

/// One opening of a backend.
pub(super) struct Opened {
    pub(super) store: Arc<dyn NotificationStore>,
    pub(super) outbox: Arc<dyn OutboxStore>,
}

const KINDS: &[&str] = &["task.assigned", "task.hotfix_added", "system.error"];

/// Some time; all notifications are made at it or after.
fn start() -> Timestamp {
    "2026-01-02T03:04:05.678Z".parse().unwrap()
}

fn after(millis: i64) -> Timestamp {
    start() + SignedDuration::from_millis(millis)
}

fn user(n: u128) -> To {
    To::User(Uuid::from_u128(0xad_0000 + n))
}

/// The `n`-th notification of a queue in which types, recipients and times mix: due when
/// it is made, `n` milliseconds after the start.
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

pub(super) fn notifications(count: u128) -> Vec<Notification> {
    (1..=count).map(notification).collect()
}

/// A claim made at `now` that lasts a second.
fn claim(now: Timestamp) -> Claim {
    Claim {
        id: Uuid::now_v7(),
        now,
        until: now + SignedDuration::from_secs(1),
    }
}

/// Stores what an attempt with one notification led to; whether it is stored.
async fn settle(
    store: &dyn NotificationStore,
    claim: Uuid,
    settled: &Notification,
    events: Vec<Event>,
) -> bool {
    let settled = vec![(settled.clone(), events)];
    store.settle(claim, settled).await.unwrap() == 1
}

/// A query with each combination of conditions, in both directions.
pub(super) fn every_shape_of_query() -> Vec<Query> {
    let mut queries = Vec::new();
    for to in [None, Some(user(1)), Some(To::address("ops@example.com"))] {
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
