//! Tests of the dead-letter store on each database.

use std::sync::Arc;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use slipway_bus::{
    Record,
    consumer::{Attempt, DeadLetter},
};
use slipway_proto::events::UserRef;
use slipway_store::Documents;
use slipway_store::outbox::OutboxStore;
use tokio::sync::Barrier;
use uuid::Uuid;

use super::DeadLetterStore;
use crate::{
    dead_letters::{Act, DeadLetterId, Filed, Filter, State, Summary},
    store::{EXAMINED, PAGE_WEIGHT, testing::on_each},
};

on_each!(Opened:
    a_dead_letter_survives_a_round_trip
    a_dead_letter_is_stored_once_by_concurrent_writers
    lists_have_what_matches_the_filter_newest_first
    a_rare_reason_is_searched_over_several_pages
    a_page_has_a_size_limit
    only_one_of_concurrent_replays_succeeds
    a_replay_is_published_with_its_record
    a_failed_replay_is_linked_to_its_new_dead_letter
);

/// The store with its outbox.
struct Opened {
    store: DeadLetterStore,
    outbox: Arc<dyn OutboxStore>,
}

impl Opened {
    fn new(documents: Documents) -> Self {
        Self {
            outbox: documents.outbox(),
            store: DeadLetterStore::new(documents),
        }
    }
}

fn start() -> Timestamp {
    "2026-01-02T03:04:05.678Z".parse().unwrap()
}

/// The `n`-th dead letter, with mixed groups, types, causes and times.
fn letter(n: u32) -> Filed {
    let header = |name: &str, value: String| (name.to_owned(), value);
    let mut headers = vec![header("odd", "„ü“ \u{1F680}".into())];
    if !n.is_multiple_of(5) {
        headers.push(header("ce_id", Uuid::from_u128(n.into()).to_string()));
        headers.push(header(
            "ce_type",
            ["task.started", "user.registered"][n as usize % 2].into(),
        ));
        headers.push(header("ce_subject", format!("subject {n}")));
    }
    let at = start() + SignedDuration::from_secs(n.into());
    let attempt = |n| Attempt {
        at,
        error: format!("failure {n}"),
    };
    let letter = DeadLetter {
        group: ["activity", "mail", "forum"][n as usize % 3].into(),
        record: Record {
            topic: "slipway.releases".into(),
            key: format!("key {n}"),
            headers,
            value: vec![n as u8, 0, 255].into(),
        },
        partition: n % 12,
        offset: n.into(),
        cause: ["poison", "exhausted"][n as usize / 2 % 2].into(),
        reason: format!("it (the {n}-th) is 100% wrong"),
        attempts: n % 4,
        history: (0..n % 4).map(attempt).collect(),
        replay: None,
    };
    Filed::new(letter, at)
}

fn letters(count: u32) -> Vec<Filed> {
    (0..count).map(letter).collect()
}

/// A filter with each single condition, and some with several.
fn every_shape_of_filter() -> Vec<Filter> {
    let none = Filter::default;
    let text = |text: &str| Some(text.to_owned());
    let at = |n| Some(start() + SignedDuration::from_secs(n));
    let group = text("mail");
    let event_type = text("task.started");
    vec![
        none(),
        Filter {
            group: group.clone(),
            ..none()
        },
        Filter {
            event_type: event_type.clone(),
            ..none()
        },
        Filter {
            cause: text("poison"),
            ..none()
        },
        Filter {
            reason: text("(the 1"),
            ..none()
        },
        Filter {
            reason: text("100% w"),
            ..none()
        },
        Filter {
            reason: text(".*"),
            ..none()
        },
        Filter {
            from: at(7),
            to: at(12),
            ..none()
        },
        Filter {
            state: Some(State::Waiting),
            ..none()
        },
        Filter {
            state: Some(State::Replayed),
            group: group.clone(),
            ..none()
        },
        Filter {
            group,
            event_type,
            cause: text("exhausted"),
            from: at(2),
            ..none()
        },
        Filter {
            group: text("nobody"),
            ..none()
        },
    ]
}

async fn read_on(store: &DeadLetterStore, filter: &Filter, limit: u32) -> Vec<Summary> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(filter, after, limit).await.unwrap();
        assert!(page.items.len() <= limit as usize);
        all.extend(page.items);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

fn act(edited: Option<&str>) -> Act {
    Act {
        by: UserRef {
            id: Uuid::from_u128(7),
            username: "ada".into(),
        },
        at: start(),
        edited: edited.map(str::to_owned),
        request: Some("a hash".into()),
    }
}

fn back(filed: &Filed) -> Record {
    filed.letter.replay(filed.id.0, None)
}

async fn a_dead_letter_survives_a_round_trip(open: impl Fn() -> Opened) {
    let store = open().store;
    let filed = letters(8);
    assert_eq!(store.file(filed.clone()).await.unwrap(), 8);
    for expected in filed {
        assert_eq!(store.get(expected.id).await.unwrap(), Some(expected));
    }
    assert_eq!(store.get(DeadLetterId::generate()).await.unwrap(), None);
}

async fn a_dead_letter_is_stored_once_by_concurrent_writers(open: impl Fn() -> Opened) {
    let store = open().store;
    let barrier = Arc::new(Barrier::new(4));
    let filing = (0..4).map(|_| {
        let (store, barrier) = (store.clone(), barrier.clone());
        tokio::spawn(async move {
            barrier.wait().await;
            // Each writer stores all of them, with its own ids, and the first one twice.
            let all = [letters(20), letters(1)].concat();
            store.file(all).await.unwrap()
        })
    });
    let new = join_all(filing).await.into_iter().map(Result::unwrap);
    assert_eq!(new.sum::<usize>(), 20);
    assert_eq!(read_on(&store, &Filter::default(), 50).await.len(), 20);
}

async fn lists_have_what_matches_the_filter_newest_first(open: impl Fn() -> Opened) {
    let store = open().store;
    let mut filed = letters(30);
    store.file(filed.clone()).await.unwrap();
    for letter in filed.iter_mut().step_by(4) {
        let record = back(letter);
        assert!(store.replay(letter.id, act(None), [record]).await.unwrap());
        letter.state = State::Replayed;
    }
    let all: Vec<_> = filed.iter().rev().map(Filed::summary).collect();
    for filter in every_shape_of_filter() {
        let expected: Vec<_> = all.iter().filter(|l| filter.admits(l)).cloned().collect();
        for limit in [1, 4, 50] {
            assert_eq!(
                read_on(&store, &filter, limit).await,
                expected,
                "{filter:?}"
            );
        }
    }
}

async fn a_rare_reason_is_searched_over_several_pages(open: impl Fn() -> Opened) {
    let store = open().store;
    let mut filed = letters(EXAMINED as u32 + 20);
    filed[3].letter.reason = "a rare one".into();
    let rare = filed[3].summary();
    for some in filed.chunks(1000) {
        store.file(some.to_vec()).await.unwrap();
    }
    let filter = Filter {
        reason: Some("rare".into()),
        ..Filter::default()
    };
    let page = store.list(&filter, None, 10).await.unwrap();
    assert_eq!(page.items, []);
    assert_eq!(page.next, Some(filed[20].id), "what was examined last");
    assert_eq!(
        read_on(&store, &filter, 10).await,
        std::slice::from_ref(&rare)
    );
    // The time range leads to it directly.
    let in_time = Filter {
        to: Some(rare.received_at + SignedDuration::from_secs(1)),
        ..filter
    };
    let page = store.list(&in_time, None, 10).await.unwrap();
    assert_eq!((page.items, page.next), (vec![rare], None));
}

async fn a_page_has_a_size_limit(open: impl Fn() -> Opened) {
    let store = open().store;
    let mut filed = letters(10);
    for letter in &mut filed {
        letter.letter.reason = "x".repeat(PAGE_WEIGHT / 4);
    }
    store.file(filed.clone()).await.unwrap();
    let filter = Filter::default();
    let page = store.list(&filter, None, 10).await.unwrap();
    assert!((1..10).contains(&page.items.len()));
    let all: Vec<_> = filed.iter().rev().map(Filed::summary).collect();
    assert_eq!(read_on(&store, &filter, 10).await, all);
}

async fn only_one_of_concurrent_replays_succeeds(open: impl Fn() -> Opened) {
    let Opened { store, outbox } = open();
    let filed = letter(1);
    store.file(vec![filed.clone()]).await.unwrap();
    let barrier = Arc::new(Barrier::new(8));
    let replays = (0..8).map(|n| {
        let (store, barrier, filed) = (store.clone(), barrier.clone(), filed.clone());
        tokio::spawn(async move {
            barrier.wait().await;
            let act = act(Some(&n.to_string()));
            store.replay(filed.id, act, [back(&filed)]).await.unwrap()
        })
    });
    let done = join_all(replays).await.into_iter().map(Result::unwrap);
    assert_eq!(done.filter(|done| *done).count(), 1);
    let found = store.get(filed.id).await.unwrap().unwrap();
    assert_eq!((found.state, found.acts.len()), (State::Replayed, 1));
    assert_eq!(outbox.count().await.unwrap(), 1);
    let nobody = DeadLetterId::generate();
    assert!(
        !store
            .replay(nobody, act(None), [back(&filed)])
            .await
            .unwrap()
    );
    assert_eq!(outbox.count().await.unwrap(), 1);
}

async fn a_replay_is_published_with_its_record(open: impl Fn() -> Opened) {
    let Opened { store, outbox } = open();
    let filed = letter(4);
    store.file(vec![filed.clone()]).await.unwrap();
    let record = filed.letter.replay(filed.id.0, Some("{}".into()));
    let edited = act(Some("{}"));
    assert!(
        store
            .replay(filed.id, edited.clone(), [record.clone()])
            .await
            .unwrap()
    );
    let pending = outbox.pending(&[filed.id.0], 10).await.unwrap();
    assert_eq!(pending.len(), 1);
    // The publisher of another replica also finds it after the delay.
    let overdue = outbox.overdue(Timestamp::MAX, &[], 10).await.unwrap();
    assert_eq!(overdue, [filed.id.0]);
    let others = outbox.overdue(Timestamp::MAX, &overdue, 10).await.unwrap();
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(pending[0].aggregate, filed.id.0);
    assert_eq!(pending[0].record, record);
    outbox.remove(&pending).await.unwrap();
    let found = store.get(filed.id).await.unwrap().unwrap();
    assert_eq!(found.acts, [edited]);
    assert_eq!(found.letter, filed.letter, "what was filed stays");
}

async fn a_failed_replay_is_linked_to_its_new_dead_letter(open: impl Fn() -> Opened) {
    let store = open().store;
    let first = letter(1);
    let mut again = letter(1);
    again.letter.replay = Some(first.id.0);
    again.letter.attempts += 1;
    let filed = vec![first.clone(), again.clone()];
    assert_eq!(store.file(filed).await.unwrap(), 2);
    let found = store.get(first.id).await.unwrap().unwrap();
    assert_eq!(found.returned_as, Some(again.id));
    let found = store.get(again.id).await.unwrap().unwrap();
    assert_eq!(found.summary().replay_of, Some(first.id));
    assert_eq!(found.returned_as, None);
}
