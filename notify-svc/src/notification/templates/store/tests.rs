//! Tests of the templates on each database.

use std::sync::Arc;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use slipway_proto::events::UserRef;
use tokio::sync::Barrier;
use uuid::Uuid;

use super::{Head, OWN_TYPES, Saved, TemplateStore, VERSIONS_KEPT};
use crate::{
    notification::templates::{Content, Source, Version},
    store::testing::on_each,
};

on_each!(TemplateStore:
    a_version_is_read_as_it_was_written
    only_the_next_number_is_stored
    of_saves_that_race_one_is_stored
    the_versions_of_a_type_are_listed_newest_first
    old_versions_make_room
    administrators_have_so_many_types_of_their_own_and_no_more
    of_types_that_race_for_the_last_place_one_has_it
);

/// Version `number` of a type; every third one takes the type back.
fn version(kind: &str, number: u64) -> Version {
    let content = Content {
        source: Source {
            subject: format!("Nr. {number} „ü“"),
            text: "{{ text }}\n\0\u{1F680}".to_owned(),
            html: "<p>{{ text }}</p>".to_owned(),
        },
        sample: json!({"$text.a": "x", "n": [1.5, null]})
            .as_object()
            .cloned(),
    };
    Version {
        kind: kind.to_owned(),
        number,
        content: (!number.is_multiple_of(3)).then_some(content),
        author: UserRef {
            id: Uuid::from_u128(u128::from(number)),
            username: format!("admin-{number}"),
        },
        at: "2026-01-02T03:04:05.678Z".parse::<Timestamp>().unwrap()
            + SignedDuration::from_secs(i64::try_from(number).unwrap()),
    }
}

async fn append(store: &TemplateStore, kind: &str, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        let saved = store.append(version(kind, number), &[]).await.unwrap();
        assert_eq!(saved, Saved::Stored);
    }
}

fn head(kind: &str, number: u64) -> Head {
    Head {
        kind: kind.to_owned(),
        number,
    }
}

async fn a_version_is_read_as_it_was_written(open: impl Fn() -> TemplateStore) {
    let store = open();
    assert!(store.heads().await.unwrap().is_empty());
    append(&store, "b-type", 1..=2).await;
    append(&store, "a-type", 1..=3).await;
    let heads = open().heads().await.unwrap();
    assert_eq!(heads, [head("a-type", 3), head("b-type", 2)]);
    let all = ["b-type", "none", "a-type"].map(str::to_owned);
    let latest = open().latest(&all).await.unwrap();
    assert_eq!(latest, [version("a-type", 3), version("b-type", 2)]);
    assert!(store.latest(&[]).await.unwrap().is_empty());
}

async fn only_the_next_number_is_stored(open: impl Fn() -> TemplateStore) {
    let store = open();
    let saved = store.append(version("a-type", 2), &[]).await.unwrap();
    assert_eq!(saved, Saved::Overtaken);
    append(&store, "a-type", 1..=2).await;
    for number in [1, 2, 4] {
        let saved = store.append(version("a-type", number), &[]).await.unwrap();
        assert_eq!(saved, Saved::Overtaken);
    }
    assert_eq!(store.heads().await.unwrap(), [head("a-type", 2)]);
    let kept = store.versions("a-type", u64::MAX, 9).await.unwrap();
    assert_eq!(kept.len(), 2);
}

async fn of_saves_that_race_one_is_stored(open: impl Fn() -> TemplateStore) {
    let stores = [open(), open()];
    for number in 1..=3 {
        let racing = (0..10).map(|n| {
            let store = stores[n % 2].clone();
            let mut version = version("a-type", number);
            version.author.username = format!("racer-{n}");
            tokio::spawn(async move {
                let saved = store.append(version, &[]).await.unwrap();
                (saved == Saved::Stored).then(|| format!("racer-{n}"))
            })
        });
        let winners: Vec<String> = join_all(racing)
            .await
            .into_iter()
            .filter_map(Result::unwrap)
            .collect();
        assert_eq!(winners.len(), 1, "version {number}");
        let latest = stores[0].latest(&["a-type".to_owned()]).await.unwrap();
        assert_eq!(latest[0].author.username, winners[0]);
    }
}

async fn the_versions_of_a_type_are_listed_newest_first(open: impl Fn() -> TemplateStore) {
    let store = open();
    append(&store, "a-type", 1..=5).await;
    append(&store, "b-type", 1..=1).await;
    let list = async |before, limit| store.versions("a-type", before, limit).await.unwrap();
    let of = |numbers: &[u64]| -> Vec<_> {
        let numbers = numbers.iter();
        numbers.map(|number| version("a-type", *number)).collect()
    };
    assert_eq!(list(u64::MAX, 2).await, of(&[5, 4]));
    assert_eq!(list(4, 2).await, of(&[3, 2]));
    assert_eq!(list(2, 2).await, of(&[1]));
    assert!(list(1, 2).await.is_empty());
    assert!(store.versions("none", 9, 9).await.unwrap().is_empty());
}

async fn old_versions_make_room(open: impl Fn() -> TemplateStore) {
    let store = open();
    append(&store, "a-type", 1..=VERSIONS_KEPT + 2).await;
    let kept = store.versions("a-type", u64::MAX, 200).await.unwrap();
    let numbers: Vec<_> = kept.iter().map(|version| version.number).collect();
    let expected: Vec<_> = (3..=VERSIONS_KEPT + 2).rev().collect();
    assert_eq!(numbers, expected);
}

/// Saves the first version of so many types of administrators' own.
async fn fill(store: &TemplateStore, types: usize) {
    for n in 0..types {
        let saved = store.append(version(&format!("own-{n}"), 1), &[]).await;
        assert_eq!(saved.unwrap(), Saved::Stored);
    }
}

async fn administrators_have_so_many_types_of_their_own_and_no_more(
    open: impl Fn() -> TemplateStore,
) {
    let store = open();
    fill(&store, OWN_TYPES).await;
    let save = async |version| store.append(version, &[]).await.unwrap();
    assert_eq!(save(version("one-more", 1)).await, Saved::Full);
    assert_eq!(store.heads().await.unwrap().len(), OWN_TYPES);
    // One that is there can be saved, and one that came with Slipway, which has no sample.
    assert_eq!(save(version("own-7", 2)).await, Saved::Stored);
    let mut edited = version("task.assigned", 1);
    edited.content.as_mut().unwrap().sample = None;
    assert_eq!(save(edited).await, Saved::Stored);
    assert_eq!(save(version("one-more", 1)).await, Saved::Full);
    // One that is deleted makes room, and needs room to come back.
    let gone = version("own-7", 3);
    assert_eq!((gone.is_own(), save(gone).await), (false, Saved::Stored));
    assert_eq!(save(version("one-more", 1)).await, Saved::Stored);
    assert_eq!(save(version("own-7", 4)).await, Saved::Full);
}

async fn of_types_that_race_for_the_last_place_one_has_it(open: impl Fn() -> TemplateStore) {
    const RACERS: usize = 4;
    fill(&open(), OWN_TYPES - 1).await;
    let barrier = Arc::new(Barrier::new(RACERS));
    let racing = (0..RACERS).map(|n| {
        let (store, barrier) = (open(), barrier.clone());
        tokio::spawn(async move {
            barrier.wait().await;
            store.append(version(&format!("racer-{n}"), 1), &[]).await
        })
    });
    let saved: Vec<_> = join_all(racing).await;
    let saved: Vec<_> = saved.into_iter().map(|one| one.unwrap().unwrap()).collect();
    let count = |wanted| saved.iter().filter(|one| **one == wanted).count();
    assert_eq!((count(Saved::Stored), count(Saved::Full)), (1, RACERS - 1));
    assert_eq!(open().heads().await.unwrap().len(), OWN_TYPES);
}
