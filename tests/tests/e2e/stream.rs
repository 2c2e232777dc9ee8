//! The live activity stream over connections that break.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use slipway_tests::{Mesh, Options, Process, StreamEvent, Team, in_both_shapes, team::id, until};
use tokio::sync::watch;

in_both_shapes!(
    a_reader_that_reconnects_a_hundred_times_sees_every_number_once,
    every_reader_sees_the_same,
);

const DROPS: usize = 100;

async fn a_reader_that_reconnects_a_hundred_times_sees_every_number_once(mesh: Mesh) {
    let team = Team::at(&mesh.client(), 1).await.unwrap();
    let (stop, stopped) = watch::channel(false);
    let admin = team.admin.clone();
    // Entries are created while the reader is away and while it catches up.
    let writer = tokio::spawn(async move {
        let mut written = 0;
        while !*stopped.borrow() {
            let body = json!({"name": format!("release {written}")});
            let _ = admin.post("/releases", &body).await.unwrap().expect(201);
            written += 1;
        }
        written
    });

    let mut last = 0;
    for drop in 0..DROPS {
        let resume = mesh.anywhere(&team.admin).stream("", Some(last)).await;
        let mut stream = resume.unwrap();
        // A different number of entries each time, so that it breaks at every position.
        for _ in 0..=drop % 7 {
            let (sequence, _) = stream.entry().await.unwrap();
            assert_eq!(sequence, last + 1);
            last = sequence;
        }
    }
    stop.send(true).unwrap();
    let written: u64 = writer.await.unwrap();
    let total = written + 2;
    let mut stream = team
        .admin
        .stream(&format!("?after={last}"), None)
        .await
        .unwrap();
    while last < total {
        let (sequence, _) = stream.entry().await.unwrap();
        assert_eq!(sequence, last + 1);
        last = sequence;
    }
}

async fn every_reader_sees_the_same(mesh: Mesh) {
    let team = Team::at(&mesh.client(), 1).await.unwrap();
    let mut streams = Vec::new();
    for _ in 0..20 {
        let reader = mesh.anywhere(&team.admin);
        streams.push(reader.stream("?after=0", None).await.unwrap());
    }
    for n in 0..50 {
        let body = json!({"name": format!("release {n}")});
        let _ = team
            .admin
            .post("/releases", &body)
            .await
            .unwrap()
            .expect(201);
    }
    for stream in &mut streams {
        for number in 1..=52 {
            assert_eq!(stream.entry().await.unwrap().0, number);
        }
    }
}

#[tokio::test]
async fn deleted_entries_are_a_gap_and_the_others_follow() {
    let server = Process::start().await.unwrap();
    let team = Team::new(&server, 1).await.unwrap();
    for n in 0..8 {
        let body = json!({"name": format!("release {n}")});
        let _ = team
            .admin
            .post("/releases", &body)
            .await
            .unwrap()
            .expect(201);
    }
    let last = team
        .admin
        .seen(|entry| entry["sequence"] == 10)
        .await
        .unwrap();
    assert_eq!(last["type"], "release.created");
    let data = server.kill().await.unwrap();
    // Makes the first four entries a hundred days old.
    let database = rusqlite::Connection::open(data.path().join("data/notify.db")).unwrap();
    let stored_at = Timestamp::now() - SignedDuration::from_hours(100 * 24);
    let aged = database.execute(
        "UPDATE activity SET body = json_set(body, '$.storedAt', ?1) WHERE id <= ?2",
        [stored_at.to_string(), format!("{:020}", 4)],
    );
    assert_eq!(aged.unwrap(), 4);
    drop(database);

    let server = Process::start_on(data, &Options::default()).await.unwrap();
    let admin = server.admin().await.unwrap();
    // Old entries are deleted soon after the start; until then they still exist.
    let forgotten = until(async || {
        let mut stream = admin.stream("", Some(1)).await.unwrap();
        match stream.next().await.unwrap() {
            StreamEvent::Gap(gap) => Ok((gap, stream)),
            entry => Err(entry),
        }
    });
    let (gap, mut stream) = forgotten.await.unwrap();
    assert_eq!((&gap["from"], &gap["to"]), (&json!(2), &json!(4)));
    assert_eq!(stream.entry().await.unwrap().0, 5);
    // The sequence continues.
    let release = admin
        .post("/releases", &json!({"name": "next"}))
        .await
        .unwrap();
    let release = release.expect(201);
    let entry = admin
        .seen(|entry| entry["subject"] == id(&release))
        .await
        .unwrap();
    assert_eq!(entry["sequence"], 11);
}
