//! Tests of the preference store on each database.

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{PreferenceStore, SavedPreferences};
use crate::{
    notification::preferences::{Mode, Preferences, QuietHours},
    store::testing::on_each,
};

on_each!(PreferenceStore:
    stored_preferences_survive_a_round_trip
    a_change_of_an_outdated_revision_is_refused
    only_one_of_concurrent_changes_of_one_revision_is_stored
    concurrent_changes_without_a_revision_all_succeed
    preferences_of_many_users_are_read_at_once
);

const ADA: Uuid = Uuid::from_u128(0xada);

fn at(seconds: i64) -> Timestamp {
    "2026-01-02T03:04:05.678Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

/// The `n`-th choice: every field differs from the default.
fn choice(n: usize) -> Preferences {
    Preferences {
        email: false,
        muted: [format!("type-{n}"), "task.assigned".to_owned()].into(),
        quiet_hours: QuietHours {
            enabled: true,
            start: "21:15".parse().unwrap(),
            end: "06:45".parse().unwrap(),
            time_zone: Some("America/New_York".parse().unwrap()),
            mode: Mode::Skip,
        },
        time_zone: "Europe/Berlin".parse().unwrap(),
    }
}

async fn stored_preferences_survive_a_round_trip(open: impl Fn() -> PreferenceStore) {
    let store = open();
    assert_eq!(store.of(ADA).await.unwrap(), SavedPreferences::never(ADA));
    let first = store.choose(ADA, choice(1), None, at(0)).await.unwrap();
    let expected = SavedPreferences {
        user: ADA,
        preferences: choice(1),
        revision: 1,
        at: Some(at(0)),
    };
    assert_eq!(first, Some(expected.clone()));
    assert_eq!(open().of(ADA).await.unwrap(), expected);
    let second = store.choose(ADA, Preferences::default(), None, at(1)).await;
    let expected = SavedPreferences {
        user: ADA,
        preferences: Preferences::default(),
        revision: 2,
        at: Some(at(1)),
    };
    assert_eq!(second.unwrap(), Some(expected.clone()));
    assert_eq!(open().of(ADA).await.unwrap(), expected);
}

async fn a_change_of_an_outdated_revision_is_refused(open: impl Fn() -> PreferenceStore) {
    let store = open();
    let choose = async |n, expected| {
        let chosen = store.choose(ADA, choice(n), expected, at(0)).await;
        chosen.unwrap().map(|chosen| chosen.revision)
    };
    assert_eq!(choose(1, Some(1)).await, None);
    assert_eq!(store.of(ADA).await.unwrap(), SavedPreferences::never(ADA));
    assert_eq!(choose(1, Some(0)).await, Some(1));
    assert_eq!(choose(2, Some(0)).await, None);
    assert_eq!(choose(2, Some(1)).await, Some(2));
    assert_eq!(choose(3, Some(1)).await, None);
    assert_eq!(store.of(ADA).await.unwrap().preferences, choice(2));
}

async fn only_one_of_concurrent_changes_of_one_revision_is_stored(
    open: impl Fn() -> PreferenceStore,
) {
    let stores = [open(), open()];
    for revision in 0..3 {
        let racing = (0..12).map(|n| {
            let store = stores[n % 2].clone();
            tokio::spawn(async move {
                let chosen = store.choose(ADA, choice(n), Some(revision), at(0)).await;
                chosen.unwrap().map(|_| n)
            })
        });
        let winners: Vec<usize> = join_all(racing)
            .await
            .into_iter()
            .filter_map(Result::unwrap)
            .collect();
        assert_eq!(winners.len(), 1, "revision {revision}");
        let stored = stores[0].of(ADA).await.unwrap();
        assert_eq!(stored.preferences, choice(winners[0]));
        assert_eq!(stored.revision, revision + 1);
    }
}

async fn concurrent_changes_without_a_revision_all_succeed(open: impl Fn() -> PreferenceStore) {
    let stores = [open(), open()];
    let racing = (0..10).map(|n| {
        let store = stores[n % 2].clone();
        tokio::spawn(async move { store.choose(ADA, choice(n), None, at(0)).await.unwrap() })
    });
    let mut revisions: Vec<u64> = join_all(racing)
        .await
        .into_iter()
        .map(|chosen| chosen.unwrap().unwrap().revision)
        .collect();
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=10).collect::<Vec<_>>());
}

async fn preferences_of_many_users_are_read_at_once(open: impl Fn() -> PreferenceStore) {
    let store = open();
    let users: Vec<_> = (1..=5).map(Uuid::from_u128).collect();
    for (n, user) in users[..3].iter().enumerate() {
        store.choose(*user, choice(n), None, at(0)).await.unwrap();
    }
    let found = open().of_all(&users[1..]).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[&users[1]], choice(1));
    assert_eq!(found[&users[2]], choice(2));
    assert!(store.of_all(&[]).await.unwrap().is_empty());
}
