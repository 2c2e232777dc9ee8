//! Disks that are full, and database files that are copied, mixed up, lost or deleted.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::ensure;
use serde_json::{Value, json};
use slipway_tests::{Client, Options, Process, process, until};

/// The database files in the data directory of `dir`.
fn databases(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir.join("data")).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let databases: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|ext| ext == "db"))
        .collect();
    assert_eq!(databases.len(), 5, "{databases:?}");
    databases
}

/// Another place with the database files alone, as somebody copies them who does not know of
/// the others.
fn copied(dir: &Path) -> Arc<tempfile::TempDir> {
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir(copy.path().join("data")).unwrap();
    for database in databases(dir) {
        let name = database.file_name().unwrap();
        fs::copy(&database, copy.path().join("data").join(name)).unwrap();
    }
    Arc::new(copy)
}

async fn plan(admin: &Client, name: &str) -> u16 {
    let body = json!({"name": name});
    admin.post("/releases", &body).await.unwrap().status
}

async fn readiness(server: &Process) -> (u16, Value) {
    let answer = Client::new(&server.ops).get("/readyz").await.unwrap();
    (answer.status, answer.body)
}

/// What is wrong with the dependencies of this name.
fn problems(ready: &Value, dependency: &str) -> Vec<Value> {
    let checks = ready["checks"].as_array().unwrap().iter();
    checks
        .filter(|check| check["dependency"] == dependency)
        .map(|check| check["problem"].clone())
        .collect()
}

/// Every write of the process fails, as on a full disk: no file may grow, or be written at all.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn with_a_full_disk_it_is_not_ready_and_raises_an_incident_until_there_is_room() {
    let server = Process::start().await.unwrap();
    let admin = server.admin().await.unwrap();
    assert_eq!(plan(&admin, "before").await, 201);
    server.limit_file_size(Some(0)).unwrap();
    for n in 0..20 {
        assert_eq!(plan(&admin, &format!("full {n}")).await, 503);
    }
    let refused = admin
        .post("/releases", &json!({"name": "full"}))
        .await
        .unwrap();
    let said = refused.refused(503, "UNAVAILABLE");
    assert_eq!(
        said["detail"],
        "The database cannot be written at the moment."
    );
    let unready = until(async || {
        let (status, ready) = readiness(&server).await;
        ensure!(status == 503, "{ready:#}");
        Ok(ready)
    });
    let unready = unready.await.unwrap();
    let said = serde_json::to_string(&problems(&unready, "store")).unwrap();
    assert!(said.contains("it takes no writes: SQLite: "), "{said}");
    // What is there is read all the same.
    let releases = admin.get("/releases").await.unwrap().expect(200);
    assert_eq!(releases["items"].as_array().unwrap().len(), 1);
    // It lasts: two looks in a row make it an incident, which waits for a place to be kept.
    let raised = until(async || {
        let log = server.log();
        ensure!(log.contains("dependency unhealthy"), "{log}");
        Ok(())
    });
    raised.await.unwrap();
    assert_eq!(readiness(&server).await.0, 503);

    server.limit_file_size(None).unwrap();
    // Nobody else writes.
    let ready = until(async || {
        let (status, ready) = readiness(&server).await;
        ensure!(status == 200, "{ready:#}");
        let problems = [problems(&ready, "store"), problems(&ready, "bus")].concat();
        ensure!(problems.iter().all(Value::is_null), "{ready:#}");
        Ok(())
    });
    ready.await.unwrap();
    assert_eq!(plan(&admin, "after").await, 201);
    let over = until(async || {
        let page = admin.get("/admin/incidents").await.unwrap().expect(200);
        let all = page["items"].as_array().unwrap();
        let over = all
            .iter()
            .find(|one| one["kind"] == "unwritable" && one["state"] == "RESOLVED");
        over.cloned().ok_or(page)
    });
    let over = over.await.unwrap();
    let summary = over["summary"].as_str().unwrap();
    assert!(summary.contains("cannot use its store"), "{summary}");
}

#[tokio::test]
async fn after_a_clean_stop_the_database_files_alone_are_everything() {
    let server = Process::start().await.unwrap();
    let admin = server.admin().await.unwrap();
    assert_eq!(plan(&admin, "kept").await, 201);
    // It has arrived on the wall, by the bus.
    admin
        .seen(|entry| entry["type"] == "release.created")
        .await
        .unwrap();
    let before = admin.wall().await.unwrap();
    server.signal("TERM").await.unwrap();
    let data = Arc::clone(&server.data);
    let (status, log) = server.ended().await.unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    for database in databases(data.path()) {
        let wal = database.with_extension("db-wal");
        let left = fs::metadata(&wal).map_or(0, |wal| wal.len());
        assert_eq!(left, 0, "{}", wal.display());
    }

    let copy = copied(data.path());
    let server = Process::start_on(copy, &Options::default()).await.unwrap();
    let admin = server.admin().await.unwrap();
    let releases = admin.get("/releases").await.unwrap().expect(200);
    assert_eq!(releases["items"][0]["name"], "kept");
    assert_eq!(admin.wall().await.unwrap(), before);
    // The bus goes on where it was.
    let body = json!({"name": "new"});
    let new = admin.post("/releases", &body).await.unwrap().expect(201);
    admin
        .seen(|entry| entry["subject"] == new["id"])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_copy_that_lacks_the_latest_changes_is_refused_with_what_to_do() {
    let server = Process::start().await.unwrap();
    let admin = server.admin().await.unwrap();
    assert_eq!(plan(&admin, "lost").await, 201);
    admin
        .seen(|entry| entry["type"] == "release.created")
        .await
        .unwrap();
    let data = server.kill().await.unwrap();
    let copy = copied(data.path());
    let (status, output, errors) = process::run(copy.path(), &Options::default())
        .await
        .unwrap();
    assert_eq!((status.code(), output.as_str()), (Some(1), ""), "{errors}");
    for word in [".db is incomplete", ".db-wal", "is missing", "clean stop"] {
        assert!(errors.contains(word), "{word} is not in: {errors}");
    }
    // Where it was written, nothing is missing.
    let server = Process::start_on(data, &Options::default()).await.unwrap();
    let admin = server.admin().await.unwrap();
    let releases = admin.get("/releases").await.unwrap().expect(200);
    assert_eq!(releases["items"][0]["name"], "lost");
}

/// Starts on `data`, which must be refused; what is said.
async fn refused(data: &Path) -> String {
    let run = process::run(data, &Options::default()).await;
    let (status, output, errors) = run.unwrap();
    assert_eq!((status.code(), output.as_str()), (Some(1), ""), "{errors}");
    errors
}

#[tokio::test]
async fn databases_that_are_mixed_up_or_missing_are_refused_with_what_to_do() {
    let server = Process::start().await.unwrap();
    server.signal("TERM").await.unwrap();
    let data = Arc::clone(&server.data);
    server.ended().await.unwrap();
    let file = |name: &str| data.path().join("data").join(name);
    let swap = || {
        fs::rename(file("forum.db"), file("swapped")).unwrap();
        fs::rename(file("release.db"), file("forum.db")).unwrap();
        fs::rename(file("swapped"), file("release.db")).unwrap();
    };
    swap();
    let said = refused(data.path()).await;
    assert!(
        said.contains("release.db is the database of forum, not of release"),
        "{said}"
    );
    swap();

    fs::rename(file("release.db"), file("elsewhere")).unwrap();
    let said = refused(data.path()).await;
    for words in [
        "release.db is missing, but",
        "bus.db",
        "are there",
        "same backup",
    ] {
        assert!(said.contains(words), "{words} is not in: {said}");
    }
    fs::rename(file("elsewhere"), file("release.db")).unwrap();
    let server = Process::start_on(data, &Options::default()).await.unwrap();
    server.admin().await.unwrap();
}

#[tokio::test]
async fn when_its_data_is_deleted_it_is_not_ready_and_accepts_nothing() {
    let server = Process::start().await.unwrap();
    let admin = server.admin().await.unwrap();
    fs::remove_dir_all(server.data.path().join("data")).unwrap();
    assert_eq!(plan(&admin, "lost").await, 503);
    let unready = until(async || {
        let (status, ready) = readiness(&server).await;
        ensure!(status == 503, "{ready:#}");
        Ok(ready)
    });
    let unready = unready.await.unwrap();
    let said = serde_json::to_string(&problems(&unready, "store")).unwrap();
    assert!(said.contains("release.db was deleted or moved"), "{said}");
    let said = serde_json::to_string(&problems(&unready, "mail")).unwrap();
    assert!(said.contains("data/mail cannot be used"), "{said}");
    let raised = until(async || {
        let log = server.log();
        ensure!(log.contains("dependency unhealthy"), "{log}");
        Ok(())
    });
    raised.await.unwrap();
}
