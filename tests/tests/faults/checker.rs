//! Compares the answers, the stored data, the topics and the activity feed. All of them must agree.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::ensure;
use futures::{StreamExt as _, stream};
use serde_json::Value;
use slipway_tests::{
    Client, Mesh,
    team::id,
    topics::{GROUPS, RECURRENCE, Told, Topics},
    until,
};

use crate::{
    ledger::{Expected, Ledger, Story},
    load::WORKERS,
    published::{Everything, everything, first_occurrences, notified},
};

/// Accounts: the first admin, the second admin, and the developers.
const ACCOUNTS: usize = 2 + WORKERS;

/// Number of releases read concurrently.
const AT_ONCE: usize = 8;

/// Figures of the comparison.
#[derive(Debug)]
pub(crate) struct Checked {
    /// Events, each counted once.
    pub(crate) events: usize,
    /// Additional records: events that were published again.
    pub(crate) repeated: usize,
    /// Activity entries.
    pub(crate) entries: usize,
    /// Time from the end of the load until all entries existed.
    pub(crate) delivered: Duration,
}

/// Waits until the activity feed has all entries, and compares everything.
pub(crate) async fn check(
    mesh: &Mesh,
    topics: &Topics,
    ledger: &Ledger,
    shared: &str,
    ended: Instant,
) -> Checked {
    let admin = mesh.anywhere(&mesh.admin().await.unwrap());
    let of_story = |story: &Story| {
        let of_thread = story
            .thread
            .as_ref()
            .map_or(0, |thread| thread.events().len());
        story.events.len() + of_thread
    };
    let of_stories: usize = ledger.stories.iter().map(of_story).sum();
    // In the shared release, only the first task is ready.
    let of_shared = 1 + 2 * ledger.shared.len() + ledger.shared.len().min(1);
    let expected = ACCOUNTS + of_stories + of_shared;
    await_entries(&admin, expected).await;
    let delivered = ended.elapsed();
    // When every group has committed everything, there are no more effects.
    for group in GROUPS.into_iter().chain([RECURRENCE]) {
        topics.consumed_by(group).await.unwrap();
    }

    stored(&admin, ledger, shared).await;
    let Everything {
        events: records,
        notifications,
        withdrawn,
    } = everything(&admin, topics, ledger).await;
    let events = first_occurrences(&records);
    check_topics(&events, ledger, shared);
    notified(&events, &notifications, &withdrawn);
    assert_eq!(
        events.len(),
        expected,
        "events that nothing was answered for"
    );
    let feed = admin.feed().await.unwrap();
    check_feed(&feed, &events, ledger);
    Checked {
        events: events.len(),
        repeated: records.len() - events.len(),
        entries: feed.len(),
        delivered,
    }
}

/// Waits until the activity feed has an entry with this number.
pub(crate) async fn await_entries(admin: &Client, expected: usize) {
    let seen = until(async || {
        let newest = admin.get("/activity?limit=1").await.unwrap();
        let newest = newest.body["items"][0]["sequence"]
            .as_u64()
            .unwrap_or_default();
        ensure!(
            newest >= expected as u64,
            "{newest} of {expected} are in the activity feed"
        );
        Ok(())
    });
    seen.await.unwrap();
}

/// The stored data must be exactly what was accepted.
async fn stored(admin: &Client, ledger: &Ledger, shared: &str) {
    let listed = admin.all("/releases?limit=200").await.unwrap();
    let names: Vec<_> = listed
        .iter()
        .map(|release| release["name"].as_str().unwrap())
        .collect();
    let distinct: BTreeSet<_> = names.iter().collect();
    assert_eq!(names.len(), distinct.len(), "a release is there twice");
    for name in &ledger.refused {
        assert!(
            !distinct.contains(&name.as_str()),
            "{name} was refused and is there"
        );
    }
    assert_eq!(
        names.len(),
        ledger.stories.len() + 1,
        "releases without an answer"
    );

    let stories: Vec<_> = ledger
        .stories
        .iter()
        .map(|story| check_release(admin, story))
        .collect();
    stream::iter(stories)
        .buffer_unordered(AT_ONCE)
        .collect::<()>()
        .await;

    let release = admin
        .get(&format!("/releases/{shared}"))
        .await
        .unwrap()
        .expect(200);
    let tasks = release["tasks"].as_array().unwrap().iter();
    let tasks: BTreeSet<_> = tasks.map(|task| id(task).to_owned()).collect();
    assert_eq!(
        tasks,
        ledger.shared.iter().cloned().collect(),
        "tasks added by all"
    );
}

async fn check_release(admin: &Client, story: &Story) {
    let path = format!("/releases/{}", story.id);
    let release = admin.get(&path).await.unwrap().expect(200);
    assert_eq!(release["name"], story.name);
    assert_eq!(release["isCompleted"], story.completed, "{release:#}");
    let tasks = release["tasks"].as_array().unwrap().iter();
    let tasks: BTreeMap<_, _> = tasks
        .map(|task| (id(task).to_owned(), task["status"].as_str().unwrap()))
        .collect();
    assert_eq!(tasks, story.tasks, "{release:#}");
    if let Some(thread) = &story.thread {
        let path = format!("/tasks/{}/comments", thread.task);
        let comments = admin.get(&path).await.unwrap().expect(200);
        let comments = comments["items"].as_array().unwrap().iter();
        let comments: Vec<_> = comments.map(|comment| id(comment).to_owned()).collect();
        assert_eq!(comments, [thread.comment.clone(), thread.reply.clone()]);
    }
}

/// The events of each release, and of the discussion of each task, in the order of their partition.
fn by_subject<'a>(events: impl IntoIterator<Item = &'a Told>) -> BTreeMap<&'a str, Vec<&'a Told>> {
    let mut subjects: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for event in events {
        if event.topic != "slipway.users" {
            subjects.entry(event.key.as_str()).or_default().push(event);
        }
    }
    subjects
}

fn sequence(events: &[&Told]) -> Vec<(String, String)> {
    let pair = |event: &&Told| (event.kind.clone(), event.subject.clone());
    events.iter().map(pair).collect()
}

fn expected(events: &[Expected]) -> Vec<(String, String)> {
    let pair = |(kind, subject): &Expected| ((*kind).to_owned(), subject.clone());
    events.iter().map(pair).collect()
}

/// Each story and each discussion must have all of its events, once and in order.
fn check_order(published: &BTreeMap<&str, Vec<&Told>>, ledger: &Ledger) {
    for story in &ledger.stories {
        let of_release = published
            .get(story.id.as_str())
            .map(|events| sequence(events));
        let of_release = of_release.unwrap_or_default();
        assert_eq!(of_release, expected(&story.events), "{}", story.name);
        if let Some(thread) = &story.thread {
            let comments = published
                .get(thread.task.as_str())
                .map(|events| sequence(events));
            let comments = comments.unwrap_or_default();
            assert_eq!(comments, expected(&thread.events()), "{}", story.name);
        }
    }
}

/// The topics must have exactly the events of each release that follow from the answers, in the
/// same order.
fn check_topics(events: &[&Told], ledger: &Ledger, shared: &str) {
    let published = by_subject(events.iter().copied());
    check_order(&published, ledger);
    // Tasks that were added concurrently have their events in the order of the tasks.
    let added = published[shared]
        .iter()
        .filter(|event| event.kind == "task.created");
    let places: Vec<_> = added
        .map(|event| event.payload["task"]["orderIndex"].as_i64().unwrap())
        .collect();
    assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
}

/// The activity feed must have each event of the topics once, without gaps, and those of one
/// release in order.
fn check_feed(feed: &[Value], events: &[&Told], ledger: &Ledger) {
    let numbers = feed.iter().map(|entry| entry["sequence"].as_u64().unwrap());
    assert!(numbers.eq(1..=feed.len() as u64), "numbers are 1, 2, 3, …");
    let by_id: BTreeMap<_, _> = events
        .iter()
        .map(|event| (event.id.as_str(), *event))
        .collect();
    let ids: Vec<_> = feed.iter().map(id).collect();
    let distinct: BTreeSet<_> = ids.iter().copied().collect();
    assert_eq!(
        ids.len(),
        distinct.len(),
        "an event is in the activity feed twice"
    );
    assert_eq!(
        distinct,
        by_id.keys().copied().collect(),
        "the activity feed and the topics"
    );
    check_order(&by_subject(ids.iter().map(|id| by_id[id])), ledger);
}
