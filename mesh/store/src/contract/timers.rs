//! Work at the times at which documents are due.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use jiff::SignedDuration;
use parking_lot::Mutex;
use slipway_runtime::{
    clock::{Clock as _, ManualClock, SharedClock, SystemClock},
    life::Background,
};
use tokio::sync::mpsc;

use super::{Fixture, Note, contract, newer, note};
use crate::{
    Documents, Write,
    due::{DueWake, Skipped, Timer},
};

fn timer(documents: &Documents, clock: SharedClock) -> Timer {
    Timer {
        name: "test",
        documents: documents.clone(),
        wake: DueWake::default(),
        clock,
    }
}

async fn insert(documents: &Documents, notes: &[Note]) {
    let writes = notes.iter().map(Write::insert).collect();
    for outcome in documents.write_many(writes).await.unwrap() {
        outcome.unwrap();
    }
}

/// Stores a note as done; returns whether no other timer was faster.
async fn finish(documents: &Documents, note: &Note) -> bool {
    let done = note.next().due(None);
    documents
        .write(Write::replace(note, &done))
        .await
        .unwrap()
        .is_ok()
}

/// Runs one pass of a timer; returns the ids of the documents it worked on.
async fn worked_on(timer: &Timer) -> Vec<String> {
    let done = Mutex::new(Vec::new());
    let work = async |note: Note| {
        done.lock().push(note.id.clone());
        finish(&timer.documents, &note).await;
        Ok::<_, Infallible>(())
    };
    timer.pass(&work, &mut Skipped::default()).await.unwrap();
    let mut done = done.into_inner();
    done.sort();
    done
}

contract! {
    async fn a_document_is_worked_on_at_its_due_time_and_not_before(fixture: &Fixture) {
        let documents = &fixture.documents;
        let clock = Arc::new(ManualClock::at("2026-03-01T10:00:00Z".parse().unwrap()));
        let second = SignedDuration::from_secs(1);
        let due = clock.now() + second;
        let notes = ["on-time", "moved", "cancelled", "deleted"].map(|id| note(id).due(due));
        insert(documents, &notes).await;
        insert(documents, &[note("later").due(due + second), note("never")]).await;
        let [_, moved, cancelled, deleted] = notes;
        let (later, never) = (moved.next().due(due + second), cancelled.next().due(None));
        let changes = vec![
            Write::replace(&moved, &later),
            Write::replace(&cancelled, &never),
            Write::delete(&deleted),
        ];
        for outcome in documents.write_many(changes).await.unwrap() {
            outcome.unwrap();
        }
        let timer = timer(documents, clock.clone());
        assert_eq!(worked_on(&timer).await, [""; 0]);
        clock.advance(second - SignedDuration::from_millis(1));
        assert_eq!(worked_on(&timer).await, [""; 0]);
        clock.advance(SignedDuration::from_millis(1));
        assert_eq!(worked_on(&timer).await, ["on-time"]);
        assert_eq!(worked_on(&timer).await, [""; 0]);
        clock.advance(second * 100);
        assert_eq!(worked_on(&timer).await, ["later", "moved"]);
    }

    async fn replicas_work_on_each_document_once(fixture: &Fixture) {
        const NOTES: usize = 150;
        let documents = &fixture.documents;
        let (background, (done, mut seen)) = (Background::default(), mpsc::unbounded_channel());
        let timers = [(); 2].map(|()| timer(documents, Arc::new(SystemClock)));
        for timer in &timers {
            let (documents, done) = (documents.clone(), done.clone());
            timer.clone().spawn(&background, move |note: Note| {
                let (documents, done) = (documents.clone(), done.clone());
                async move {
                    if finish(&documents, &note).await {
                        done.send(note.id).unwrap();
                    }
                    Ok::<_, Infallible>(())
                }
            });
        }
        let now = SystemClock.now();
        let notes = (0..NOTES).map(|n| {
            let after = SignedDuration::from_millis(i64::try_from(n).unwrap());
            note(&format!("{n:03}")).due(now + after)
        });
        insert(documents, &notes.collect::<Vec<_>>()).await;
        for timer in &timers {
            timer.wake.stored(Some(now));
        }
        let mut times = BTreeMap::new();
        while times.len() < NOTES {
            *times.entry(seen.recv().await.unwrap()).or_insert(0) += 1;
        }
        background.stop(Duration::from_secs(10)).await;
        while let Ok(note) = seen.try_recv() {
            *times.entry(note).or_insert(0) += 1;
        }
        assert!(times.values().all(|times| *times == 1), "{times:?}");
    }

    async fn a_write_that_is_due_earlier_wakes_the_timer(fixture: &Fixture) {
        let documents = &fixture.documents;
        let (background, (done, mut seen)) = (Background::default(), mpsc::unbounded_channel());
        let timer = timer(documents, Arc::new(SystemClock));
        let now = SystemClock.now();
        let in_an_hour = now + SignedDuration::from_hours(1);
        insert(documents, &[note("first").due(now), note("later").due(in_an_hour)]).await;
        timer.clone().spawn(&background, {
            let documents = documents.clone();
            move |note: Note| {
                let (documents, done) = (documents.clone(), done.clone());
                async move {
                    finish(&documents, &note).await;
                    done.send(note.id).unwrap();
                    Ok::<_, Infallible>(())
                }
            }
        });
        assert_eq!(seen.recv().await.unwrap(), "first");
        insert(documents, &[note("earlier").due(now)]).await;
        timer.wake.stored(Some(now));
        assert_eq!(seen.recv().await.unwrap(), "earlier");
        background.stop(Duration::from_secs(10)).await;
    }

    async fn a_document_that_cannot_be_read_delays_no_other(fixture: &Fixture) {
        let documents = &fixture.documents;
        let clock = Arc::new(ManualClock::at("2026-03-01T10:00:00Z".parse().unwrap()));
        let before = clock.now() - SignedDuration::from_secs(1);
        // More than are read at once.
        let newer = (0..40).map(|n| newer::Note(note(&format!("newer-{n}")).due(before)));
        let newer: Vec<_> = newer.collect();
        let writes = newer.iter().map(Write::insert).collect();
        for outcome in documents.write_many(writes).await.unwrap() {
            outcome.unwrap();
        }
        insert(documents, &[note("sound").due(clock.now())]).await;
        let timer = timer(documents, clock.clone());
        assert_eq!(worked_on(&timer).await, ["sound"]);
        assert_eq!(worked_on(&timer).await, [""; 0]);
        let later = clock.now() + SignedDuration::from_secs(1);
        insert(documents, &[note("later").due(later)]).await;
        clock.advance(SignedDuration::from_secs(1));
        assert_eq!(worked_on(&timer).await, ["later"]);
    }

    async fn failed_work_is_repeated_and_delays_no_other(fixture: &Fixture) {
        let documents = &fixture.documents;
        let (background, (done, mut seen)) = (Background::default(), mpsc::unbounded_channel());
        let now = SystemClock.now();
        insert(documents, &[note("broken").due(now - SignedDuration::from_secs(1))]).await;
        insert(documents, &[note("sound").due(now)]).await;
        let attempts = Arc::new(AtomicU32::new(0));
        timer(documents, Arc::new(SystemClock)).spawn(&background, {
            let documents = documents.clone();
            move |note: Note| {
                let (documents, done, attempts) = (documents.clone(), done.clone(), attempts.clone());
                async move {
                    if note.id == "broken" && attempts.fetch_add(1, Ordering::SeqCst) < 2 {
                        return Err("it fails");
                    }
                    finish(&documents, &note).await;
                    done.send(note.id).unwrap();
                    Ok(())
                }
            }
        });
        assert_eq!(seen.recv().await.unwrap(), "sound");
        assert_eq!(seen.recv().await.unwrap(), "broken");
        background.stop(Duration::from_secs(10)).await;
    }
}
