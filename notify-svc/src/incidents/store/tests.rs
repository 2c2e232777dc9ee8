//! Tests of the incident store on each database.

use std::sync::Arc;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use slipway_proto::events::SystemErrorEvent;
use tokio::sync::Barrier;
use uuid::Uuid;

use super::IncidentStore;
use crate::{
    incidents::{Incident, Report, SILENCE, State},
    store::testing::on_each,
};

on_each!(IncidentStore:
    an_incident_survives_a_round_trip
    a_fingerprint_has_one_incident
    of_those_who_change_it_at_the_same_moment_one_does
    lists_are_newest_first_and_paged
    pending_and_silent_incidents_are_found
);

fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-01-02T03:04:05.678Z".parse().unwrap();
    start + SignedDuration::from_secs(seconds)
}

fn report(n: i64, resolved: bool) -> Report {
    let event = SystemErrorEvent {
        service: "release".into(),
        kind: "panic".into(),
        fingerprint: format!("release/panic/{n}"),
        summary: format!("„{n}“ \u{1F680}"),
        since: at(0),
        count: 3,
        resolved,
        lasts: false,
        trace_id: Some("abc".into()),
    };
    Report::new(Uuid::now_v7(), event).unwrap()
}

/// Stores one change; returns whether it was stored.
async fn save(store: &IncidentStore, before: Option<&Incident>, after: &Incident) -> bool {
    let change = [(before.cloned(), after.clone())];
    store.save(&change).await.unwrap() == [true]
}

async fn find(store: &IncidentStore, fingerprint: &str) -> Option<Incident> {
    let found = store.find(&[fingerprint.to_owned()]).await;
    found.unwrap().pop()
}

fn incident(n: i64) -> Incident {
    Incident::first(&report(n, false), at(n))
}

async fn an_incident_survives_a_round_trip(open: impl Fn() -> IncidentStore) {
    let store = open();
    let first = incident(1);
    assert!(save(&store, None, &first).await);
    assert_eq!(find(&store, &first.fingerprint).await, Some(first.clone()));
    let next = first.after(&[&report(1, true)], at(2)).unwrap();
    assert!(save(&store, Some(&first), &next).await);
    assert_eq!(find(&store, &first.fingerprint).await, Some(next));
    assert_eq!(find(&store, "nobody's").await, None);
}

async fn a_fingerprint_has_one_incident(open: impl Fn() -> IncidentStore) {
    let store = open();
    let barrier = Arc::new(Barrier::new(8));
    let inserts = (0..8).map(|_| {
        let (store, barrier) = (store.clone(), barrier.clone());
        tokio::spawn(async move {
            barrier.wait().await;
            save(&store, None, &incident(1)).await
        })
    });
    let inserted = join_all(inserts).await.into_iter().map(Result::unwrap);
    assert_eq!(inserted.filter(|inserted| *inserted).count(), 1);
}

async fn of_those_who_change_it_at_the_same_moment_one_does(open: impl Fn() -> IncidentStore) {
    let store = open();
    let first = incident(1);
    assert!(save(&store, None, &first).await);
    let barrier = Arc::new(Barrier::new(8));
    let saves = (0..8).map(|_| {
        let (store, barrier) = (store.clone(), barrier.clone());
        let (first, next) = (
            first.clone(),
            first.after(&[&report(1, false)], at(2)).unwrap(),
        );
        tokio::spawn(async move {
            barrier.wait().await;
            save(&store, Some(&first), &next).await
        })
    });
    let saved = join_all(saves).await.into_iter().map(Result::unwrap);
    assert_eq!(saved.filter(|saved| *saved).count(), 1);
    let found = find(&store, &first.fingerprint).await.unwrap();
    assert_eq!((found.count, found.revision), (6, 2));
}

async fn lists_are_newest_first_and_paged(open: impl Fn() -> IncidentStore) {
    let store = open();
    let mut all = Vec::new();
    for n in 0..7 {
        // Two at a time.
        let mut incident = Incident::first(&report(n, false), at(n / 2));
        if n % 3 == 0 {
            incident = incident.after(&[&report(n, true)], at(n / 2)).unwrap();
            incident.revision = 1;
        }
        assert!(save(&store, None, &incident).await);
        all.push(incident);
    }
    all.sort_by_key(|incident| std::cmp::Reverse((incident.last_seen, incident.id)));
    for state in [None, Some(State::Open), Some(State::Resolved)] {
        let wanted = |incident: &&Incident| state.is_none_or(|state| incident.state == state);
        let expected: Vec<_> = all.iter().filter(wanted).cloned().collect();
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.list(state, after, 2).await.unwrap();
            assert!(page.items.len() <= 2);
            found.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, expected);
    }
}

async fn pending_and_silent_incidents_are_found(open: impl Fn() -> IncidentStore) {
    let store = open();
    let first = incident(1);
    assert!(save(&store, None, &first).await);
    assert_eq!(store.owing(10).await.unwrap(), std::slice::from_ref(&first));
    let told = first.told();
    assert!(save(&store, Some(&first), &told).await);
    assert!(store.owing(10).await.unwrap().is_empty());

    assert!(store.silent(at(1), 10).await.unwrap().is_empty());
    assert_eq!(
        store.silent(at(2), 10).await.unwrap(),
        std::slice::from_ref(&told)
    );
    let over = told.silent(at(1) + SILENCE).unwrap();
    assert!(save(&store, Some(&told), &over).await);
    assert!(store.silent(at(2), 10).await.unwrap().is_empty());
    assert_eq!(store.owing(10).await.unwrap(), [over]);
    let lasting = Report {
        lasts: true,
        ..report(2, false)
    };
    let lasting = Incident::first(&lasting, at(0));
    assert!(save(&store, None, &lasting).await);
    assert!(store.silent(at(2), 10).await.unwrap().is_empty());
}
