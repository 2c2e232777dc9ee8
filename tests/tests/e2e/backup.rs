//! Backups of the embedded mode, made while it runs, and what is started from them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{anyhow, ensure};
use futures::future::join_all;
use serde_json::{Value, json};
use slipway_tests::{Client, Options, Process, process, until};
use tempfile::TempDir;

const WRITERS: usize = 8;

async fn run(dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let options = arguments
        .iter()
        .fold(Options::default(), |options, argument| {
            options.arg(*argument)
        });
    let (status, output, errors) = process::run(dir, &options).await.unwrap();
    (status.code(), output, errors)
}

/// Backs up the data directory in `dir` into a new directory.
async fn backup(dir: &Path, to: &TempDir) -> PathBuf {
    let to = to.path().join("backup");
    let (code, output, errors) = run(dir, &["backup", to.to_str().unwrap()]).await;
    assert_eq!(code, Some(0), "{errors}");
    assert!(
        output.contains("Backed up release, forum, chat, notify, bus"),
        "{output}"
    );
    to
}

/// Restores the backup into a new directory, and starts on it.
async fn restored(backup: &Path) -> Process {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let (code, output, errors) = run(dir.path(), &["restore", backup.to_str().unwrap()]).await;
    assert_eq!(code, Some(0), "{errors}");
    assert!(output.contains("Restored 5 databases"), "{output}");
    Process::start_on(dir, &Options::default()).await.unwrap()
}

async fn plan(admin: &Client, name: &str) -> String {
    let body = json!({"name": name});
    let release = admin.post("/releases", &body).await.unwrap().expect(201);
    release["id"].as_str().unwrap().to_owned()
}

fn ids(items: &[Value], field: &str) -> BTreeSet<String> {
    let ids = items
        .iter()
        .map(|item| item[field].as_str().unwrap().to_owned());
    ids.collect()
}

/// The releases, once each is in the activity feed, which has no gap and nothing else.
async fn releases_in_the_feed(admin: &Client) -> BTreeSet<String> {
    let releases = admin.all("/releases?limit=200").await.unwrap();
    let releases = ids(&releases, "id");
    let all_seen = until(async || {
        let feed = admin.feed().await?;
        let created = feed
            .iter()
            .filter(|entry| entry["type"] == "release.created");
        let created: Vec<_> = created.cloned().collect();
        let seen = ids(&created, "subject");
        ensure!(
            releases.is_subset(&seen),
            "{} of {}",
            seen.len(),
            releases.len()
        );
        assert_eq!(releases, seen, "the feed is ahead of the releases");
        assert_eq!(created.len(), seen.len(), "an entry is there twice");
        let numbers = feed.iter().map(|entry| entry["sequence"].as_u64().unwrap());
        assert!(numbers.eq(1..=feed.len() as u64), "the feed has a gap");
        Ok(())
    });
    all_seen.await.unwrap();
    releases
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_has_everything_that_was_answered_before_and_no_gap() {
    let server = Process::start().await.unwrap();
    let admin = server.admin().await.unwrap();
    let (answered, stop) = (Mutex::new(BTreeSet::new()), AtomicBool::new(false));
    let writers = (0..WRITERS).map(async |writer| {
        let mut count = 0;
        while !stop.load(Ordering::Relaxed) {
            let id = plan(&admin, &format!("{writer} {count}")).await;
            answered.lock().unwrap().insert(id);
            count += 1;
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let backing_up = async {
        let warm = until(async || {
            ensure!(answered.lock().unwrap().len() > 50);
            Ok(())
        });
        warm.await.unwrap();
        let before = answered.lock().unwrap().clone();
        let backup = backup(server.data.path(), &dir).await;
        stop.store(true, Ordering::Relaxed);
        (before, backup)
    };
    let ((before, backup), _) = tokio::join!(backing_up, join_all(writers));
    // Writing went on.
    assert!(answered.lock().unwrap().len() > before.len());
    server.kill().await.unwrap();

    let server = restored(&backup).await;
    // Its token is still valid: the signing keys are in the backup.
    let admin = server.client().with_token(admin.token());
    let kept = releases_in_the_feed(&admin).await;
    assert!(before.is_subset(&kept), "{} {}", before.len(), kept.len());
    let admin = server.admin().await.unwrap();
    let new = plan(&admin, "after").await;
    admin
        .seen(|entry| entry["subject"] == new.as_str())
        .await
        .unwrap();
    assert!(releases_in_the_feed(&admin).await.contains(&new));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_can_be_backed_up_when_nobody_uses_it() {
    let server = Process::start().await.unwrap();
    let admin = server.admin().await.unwrap();
    let id = plan(&admin, "kept").await;
    let data = server.kill().await.unwrap();
    for _ in 0..2 {
        // After a kill, and then after a clean stop.
        let dir = tempfile::tempdir().unwrap();
        let backup = backup(data.path(), &dir).await;
        let server = restored(&backup).await;
        let kept = releases_in_the_feed(&server.admin().await.unwrap()).await;
        assert!(kept.contains(&id));
        // The original is as it was.
        let server = Process::start_on(data.clone(), &Options::default())
            .await
            .unwrap();
        server.admin().await.unwrap();
        server.signal("TERM").await.unwrap();
        server.ended().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_incomplete_or_was_changed_is_not_restored() {
    let server = Process::start().await.unwrap();
    let (dir, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let backup = backup(server.data.path(), &dir).await;
    let restore = async |words: &str| {
        let (code, _, errors) = run(target.path(), &["restore", backup.to_str().unwrap()]).await;
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.contains(words), "{words} is not in: {errors}");
    };
    let (code, _, errors) = run(server.data.path(), &["backup", backup.to_str().unwrap()]).await;
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("is not empty"), "{errors}");

    let forum = backup.join("forum.db");
    let content = fs::read(&forum).unwrap();
    fs::write(&forum, &content[..content.len() - 1]).unwrap();
    restore("forum.db is not as it was when the backup was made").await;
    assert!(!target.path().join("data").exists());
    fs::write(&forum, content).unwrap();

    let sums = fs::read_to_string(backup.join("SHA256SUMS")).unwrap();
    fs::write(
        backup.join("SHA256SUMS"),
        sums.replace("forum.db", "../forum.db"),
    )
    .unwrap();
    restore("names ../forum.db").await;
    fs::remove_file(backup.join("SHA256SUMS")).unwrap();
    restore("is no complete backup").await;
    fs::write(backup.join("SHA256SUMS"), sums).unwrap();

    fs::create_dir(target.path().join("data")).unwrap();
    fs::write(target.path().join("data/other"), "").unwrap();
    restore("is not empty. Restore into another one").await;
    fs::remove_file(target.path().join("data/other")).unwrap();
    let (code, _, errors) = run(target.path(), &["restore", backup.to_str().unwrap()]).await;
    assert_eq!(code, Some(0), "{errors}");
    restore("is not empty").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_in_use_is_not_restored_into() {
    let server = Process::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let backup = backup(server.data.path(), &dir).await;
    let backup = backup.to_str().unwrap();
    let (code, _, errors) = run(server.data.path(), &["restore", backup]).await;
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("is in use by process"), "{errors}");
}

/// The complete backups that a process made, oldest first.
fn made(dir: &Path) -> Vec<PathBuf> {
    let backups = fs::read_dir(dir).into_iter().flatten();
    let backups = backups.map(|backup| backup.unwrap().path());
    let mut made: Vec<_> = backups
        .filter(|path| path.join("SHA256SUMS").exists())
        .collect();
    made.sort();
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_makes_backups_by_itself_and_keeps_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let backups = dir.path().join("backups");
    let options = Options::default()
        .env("SLIPWAY_BACKUP_DIR", backups.to_str().unwrap())
        .env("SLIPWAY_BACKUP_EVERY", "1s")
        .env("SLIPWAY_BACKUP_KEEP", "2");
    let server = Process::start_with(&options).await.unwrap();
    let admin = server.admin().await.unwrap();
    let id = plan(&admin, "kept").await;
    let first = until(async || {
        let made = made(&backups);
        made.first()
            .cloned()
            .ok_or_else(|| anyhow!("there is none"))
    });
    let first = first.await.unwrap();
    let replaced = until(async || {
        let made = made(&backups);
        ensure!(made.len() == 2 && made[0] > first, "{made:?}");
        Ok(())
    });
    replaced.await.unwrap();
    let metrics = Client::new(&server.ops).get("/metrics").await.unwrap().text;
    assert!(
        metrics.contains("slipway_backup_last_success_timestamp_seconds "),
        "{metrics}"
    );
    server.signal("TERM").await.unwrap();
    let (status, log) = server.ended().await.unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("still needs its -wal file"), "{log}");
    let newest = made(&backups).pop().unwrap();
    let server = restored(&newest).await;
    let kept = releases_in_the_feed(&server.admin().await.unwrap()).await;
    assert!(kept.contains(&id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_fails_is_an_incident() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let options = Options::default().env("SLIPWAY_BACKUP_DIR", file.to_str().unwrap());
    let server = Process::start_with(&options).await.unwrap();
    let admin = server.admin().await.unwrap();
    let incident = until(async || {
        let page = admin.get("/admin/incidents").await?.expect(200);
        let all = page["items"].as_array().unwrap();
        let failed = all.iter().find(|one| one["kind"] == "backup-failed");
        failed.cloned().ok_or_else(|| anyhow!("{page}"))
    });
    let incident = incident.await.unwrap();
    let summary = incident["summary"].as_str().unwrap();
    assert!(summary.contains("cannot be created"), "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_check_tells_whether_a_process_can_serve() {
    let server = Process::start().await.unwrap();
    let address = server.ops.trim_start_matches("http://").to_owned();
    let check = async || run(server.data.path(), &["healthcheck", "--ops-addr", &address]).await;
    let (code, output, errors) = check().await;
    assert_eq!((code, output.as_str(), errors.as_str()), (Some(0), "", ""));
    fs::remove_dir_all(server.data.path().join("data")).unwrap();
    let unready = until(async || {
        let (code, _, errors) = check().await;
        ensure!(
            code == Some(1) && errors.contains("was deleted or moved"),
            "{errors}"
        );
        Ok(())
    });
    unready.await.unwrap();
    let (code, _, errors) = run(
        server.data.path(),
        &["healthcheck", "--ops-addr", "127.0.0.1:1"],
    )
    .await;
    assert_eq!(code, Some(1));
    assert!(errors.contains("does not answer"), "{errors}");
}
