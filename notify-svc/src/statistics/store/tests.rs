//! Tests of the statistics on each database.

use futures::future::try_join_all;
use jiff::SignedDuration;
use uuid::Uuid;

use super::*;
use crate::{
    activity::Activity,
    statistics::{What, answers::Answer},
    store::testing::on_each,
};

on_each!(StatisticsStore:
    replicas_fold_every_entry_once
    what_is_delivered_again_is_not_counted_again
    a_lost_position_changes_no_figure
    old_hours_and_answers_are_deleted
);

fn start() -> Timestamp {
    "2026-03-01T23:00:00Z".parse().unwrap()
}

/// An entry of the feed, `n` minutes after the start.
fn activity(n: u128) -> Activity {
    Activity {
        id: Uuid::from_u128(n),
        event_type: "comment.posted".into(),
        time: start() + SignedDuration::from_mins(i64::try_from(n).unwrap()),
        actor: None,
        subject: String::new(),
        release_id: None,
        summary: "somebody commented".into(),
        data: "{}".into(),
        concerns: Vec::new(),
    }
}

fn answer(n: u128) -> Answer {
    Answer {
        event: Uuid::from_u128(n),
        time: activity(n).time,
        latency_ms: 100,
    }
}

async fn log(store: &StatisticsStore, numbers: impl Iterator<Item = u128> + Clone) {
    let activities = numbers.clone().map(activity).collect();
    store.activity.append(activities, start()).await.unwrap();
    store.append(numbers.map(answer).collect()).await.unwrap();
}

/// Events and answers in the hours from the start on.
async fn counted(store: &StatisticsStore) -> (u32, u32) {
    let hours = store
        .hours(start() + SignedDuration::from_hours(40), 40)
        .await
        .unwrap();
    let sum =
        |counts: fn(&Hour) -> &Vec<u32>| hours.iter().flat_map(|(_, hour)| counts(hour)).sum();
    (sum(|hour| &hour.events), sum(|hour| &hour.answers))
}

async fn replicas_fold_every_entry_once(open: impl Fn() -> StatisticsStore) {
    let (one, other) = (open(), open());
    log(&one, 0..1300).await;
    let folds = [&one, &other, &one, &other].map(StatisticsStore::fold);
    // A fold that others overtake too often is continued by the next.
    let _ = try_join_all(folds).await;
    one.fold().await.unwrap();
    assert_eq!(counted(&other).await, (1300, 1300));
    let hours = other.hours(start(), 0).await.unwrap();
    assert_eq!(hours[0].1.events, vec![1; 60]);
    assert_eq!(hours[0].1.answer_time.count(), 60);
}

async fn what_is_delivered_again_is_not_counted_again(open: impl Fn() -> StatisticsStore) {
    let store = open();
    for numbers in [0..5, 3..9, 0..9] {
        log(&store, numbers).await;
        store.fold().await.unwrap();
    }
    assert_eq!(counted(&store).await, (9, 9));
}

async fn a_lost_position_changes_no_figure(open: impl Fn() -> StatisticsStore) {
    let store = open();
    log(&store, 0..70).await;
    store.fold().await.unwrap();
    let before = counted(&store).await;
    let position = store.position().await.unwrap();
    let lost = store
        .documents
        .write(Write::delete(&position))
        .await
        .unwrap();
    lost.unwrap();
    store.fold().await.unwrap();
    assert_eq!((before, counted(&store).await), ((70, 70), (70, 70)));
    let days = store
        .days(start() + SignedDuration::from_hours(24), 2)
        .await
        .unwrap();
    let through: Vec<_> = days.iter().map(|(_, day)| day.through).collect();
    assert_eq!(through, [60, 70], "an entry is in the day of its time");
}

async fn old_hours_and_answers_are_deleted(open: impl Fn() -> StatisticsStore) {
    let store = open();
    log(&store, 0..180).await;
    store.fold().await.unwrap();
    let later = start() + SignedDuration::from_mins(100);
    assert_eq!(store.prune_hours(later, 10).await.unwrap(), 1);
    assert_eq!(store.prune_answers(later, 500).await.unwrap(), 100);
    let rest = store.answers.following(0, 500).await.unwrap();
    assert_eq!((rest.len(), rest[0].number), (80, 101));
    assert_eq!(rest[0].what, What::Answer(100));
    assert_eq!(counted(&store).await, (120, 120));
    // The numbers go on after the newest one, even if all are old.
    assert_eq!(store.prune_answers(Timestamp::MAX, 500).await.unwrap(), 79);
    log(&store, 500..501).await;
    assert_eq!(
        store.answers.following(180, 500).await.unwrap()[0].number,
        181
    );
}
