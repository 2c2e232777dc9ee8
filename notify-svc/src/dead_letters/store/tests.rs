//! Tests of the desk on each database.

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

on_each!(DeadLetterSink:
    a_dead_letter_is_read_as_it_was_filed
    a_dead_letter_is_filed_once_whoever_files_it
    lists_show_what_the_filter_admits_newest_first
    a_reason_that_hardly_occurs_is_searched_for_in_pages
    a_page_has_a_weight
    of_those_who_replay_it_at_the_same_moment_one_does
    a_replay_is_published_with_its_record
    what_a_replay_came_back_as_is_known
);

/// The desk, with its outbox.
struct DeadLetterSink {
    store: DeadLetterStore,
    outbox: Arc<dyn OutboxStore>,
}

impl DeadLetterSink {
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

/// The `n`-th of many, in which groups, types, causes and times mix.
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

/// One with each condition, and some with several.
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

async fn read_on(desk: &DeadLetterStore, filter: &Filter, limit: u32) -> Vec<Summary> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = desk.list(filter, after, limit).await.unwrap();
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

async fn a_dead_letter_is_read_as_it_was_filed(open: impl Fn() -> DeadLetterSink) {
    let desk = open().store;
    let filed = letters(8);
    assert_eq!(desk.file(filed.clone()).await.unwrap(), 8);
    for expected in filed {
        assert_eq!(desk.get(expected.id).await.unwrap(), Some(expected));
    }
    assert_eq!(desk.get(DeadLetterId::generate()).await.unwrap(), None);
}

async fn a_dead_letter_is_filed_once_whoever_files_it(open: impl Fn() -> DeadLetterSink) {
    let desk = open().store;
    let barrier = Arc::new(Barrier::new(4));
    let filing = (0..4).map(|_| {
        let (desk, barrier) = (desk.clone(), barrier.clone());
        tokio::spawn(async move {
            barrier.wait().await;
            // Each files all of them, with ids of its own, and the first one twice.
            let all = [letters(20), letters(1)].concat();
            desk.file(all).await.unwrap()
        })
    });
    let new = join_all(filing).await.into_iter().map(Result::unwrap);
    assert_eq!(new.sum::<usize>(), 20);
    assert_eq!(read_on(&desk, &Filter::default(), 50).await.len(), 20);
}

async fn lists_show_what_the_filter_admits_newest_first(open: impl Fn() -> DeadLetterSink) {
    let desk = open().store;
    let mut filed = letters(30);
    desk.file(filed.clone()).await.unwrap();
    for letter in filed.iter_mut().step_by(4) {
        let record = back(letter);
        assert!(desk.replay(letter.id, act(None), record).await.unwrap());
        letter.state = State::Replayed;
    }
    let all: Vec<_> = filed.iter().rev().map(Filed::summary).collect();
    for filter in every_shape_of_filter() {
        let expected: Vec<_> = all.iter().filter(|l| filter.admits(l)).cloned().collect();
        for limit in [1, 4, 50] {
            assert_eq!(read_on(&desk, &filter, limit).await, expected, "{filter:?}");
        }
    }
}

async fn a_reason_that_hardly_occurs_is_searched_for_in_pages(open: impl Fn() -> DeadLetterSink) {
    let desk = open().store;
    let mut filed = letters(EXAMINED as u32 + 20);
    filed[3].letter.reason = "a rare one".into();
    let rare = filed[3].summary();
    for some in filed.chunks(1000) {
        desk.file(some.to_vec()).await.unwrap();
    }
    let filter = Filter {
        reason: Some("rare".into()),
        ..Filter::default()
    };
    let page = desk.list(&filter, None, 10).await.unwrap();
    assert_eq!(page.items, []);
    assert_eq!(page.next, Some(filed[20].id), "what was examined last");
    assert_eq!(
        read_on(&desk, &filter, 10).await,
        std::slice::from_ref(&rare)
    );
    // The time leads to it at once.
    let in_time = Filter {
        to: Some(rare.received_at + SignedDuration::from_secs(1)),
        ..filter
    };
    let page = desk.list(&in_time, None, 10).await.unwrap();
    assert_eq!((page.items, page.next), (vec![rare], None));
}

async fn a_page_has_a_weight(open: impl Fn() -> DeadLetterSink) {
    let desk = open().store;
    let mut filed = letters(10);
    for letter in &mut filed {
        letter.letter.reason = "x".repeat(PAGE_WEIGHT / 4);
    }
    desk.file(filed.clone()).await.unwrap();
    let filter = Filter::default();
    let page = desk.list(&filter, None, 10).await.unwrap();
    assert!((1..10).contains(&page.items.len()));
    let all: Vec<_> = filed.iter().rev().map(Filed::summary).collect();
    assert_eq!(read_on(&desk, &filter, 10).await, all);
}

async fn of_those_who_replay_it_at_the_same_moment_one_does(open: impl Fn() -> DeadLetterSink) {
    let DeadLetterSink {
        store: desk,
        outbox,
    } = open();
    let filed = letter(1);
    desk.file(vec![filed.clone()]).await.unwrap();
    let barrier = Arc::new(Barrier::new(8));
    let replays = (0..8).map(|n| {
        let (desk, barrier, filed) = (desk.clone(), barrier.clone(), filed.clone());
        tokio::spawn(async move {
            barrier.wait().await;
            let act = act(Some(&n.to_string()));
            desk.replay(filed.id, act, back(&filed)).await.unwrap()
        })
    });
    let done = join_all(replays).await.into_iter().map(Result::unwrap);
    assert_eq!(done.filter(|done| *done).count(), 1);
    let found = desk.get(filed.id).await.unwrap().unwrap();
    assert_eq!((found.state, found.acts.len()), (State::Replayed, 1));
    assert_eq!(outbox.count().await.unwrap(), 1);
    let nobody = DeadLetterId::generate();
    assert!(!desk.replay(nobody, act(None), back(&filed)).await.unwrap());
    assert_eq!(outbox.count().await.unwrap(), 1);
}

async fn a_replay_is_published_with_its_record(open: impl Fn() -> DeadLetterSink) {
    let DeadLetterSink {
        store: desk,
        outbox,
    } = open();
    let filed = letter(4);
    desk.file(vec![filed.clone()]).await.unwrap();
    let record = filed.letter.replay(filed.id.0, Some("{}".into()));
    let edited = act(Some("{}"));
    assert!(
        desk.replay(filed.id, edited.clone(), record.clone())
            .await
            .unwrap()
    );
    let pending = outbox.pending(&[filed.id.0], 10).await.unwrap();
    assert_eq!(pending.len(), 1);
    // Another replica finds it as well, when it has waited.
    let overdue = outbox.overdue(Timestamp::MAX, &[], 10).await.unwrap();
    assert_eq!(overdue, [filed.id.0]);
    let others = outbox.overdue(Timestamp::MAX, &overdue, 10).await.unwrap();
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(pending[0].aggregate, filed.id.0);
    assert_eq!(pending[0].record, record);
    outbox.remove(&pending).await.unwrap();
    let found = desk.get(filed.id).await.unwrap().unwrap();
    assert_eq!(found.acts, [edited]);
    assert_eq!(found.letter, filed.letter, "what was filed stays");
}

async fn what_a_replay_came_back_as_is_known(open: impl Fn() -> DeadLetterSink) {
    let desk = open().store;
    let first = letter(1);
    let mut again = letter(1);
    again.letter.replay = Some(first.id.0);
    again.letter.attempts += 1;
    let filed = vec![first.clone(), again.clone()];
    assert_eq!(desk.file(filed).await.unwrap(), 2);
    let found = desk.get(first.id).await.unwrap().unwrap();
    assert_eq!(found.returned_as, Some(again.id));
    let found = desk.get(again.id).await.unwrap().unwrap();
    assert_eq!(found.summary().replay_of, Some(first.id));
    assert_eq!(found.returned_as, None);
}
