//! Full disks, and database files that are copied, mixed up, lost or deleted.

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

/// A new directory with only the `.db` files, as copied by somebody who does not know of the other
/// files.
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

/// The problems of the dependencies with this name.
fn problems(ready: &Value, dependency: &str) -> Vec<Value> {
    let checks = ready["checks"].as_array().unwrap().iter();
    checks
        .filter(|check| check["dependency"] == dependency)
        .map(|check| check["problem"].clone())
        .collect()
}

/// Every write of the process fails, as on a full disk.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn with_a_full_disk_it_is_not_ready_and_has_an_incident() {
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
    let message = refused.refused(503, "UNAVAILABLE");
    assert_eq!(
        message["detail"],
        "The database cannot be written at the moment."
    );
    let unready = until(async || {
        let (status, ready) = readiness(&server).await;
        ensure!(status == 503, "{ready:#}");
        Ok(ready)
    });
    let unready = unready.await.unwrap();
    let message = serde_json::to_string(&problems(&unready, "store")).unwrap();
    assert!(
        message.contains("it takes no writes: SQLite: "),
        "{message}"
    );
    // Stored data can still be read.
    let releases = admin.get("/releases").await.unwrap().expect(200);
    assert_eq!(releases["items"].as_array().unwrap().len(), 1);
    // The problem lasts: two checks in a row make it an incident, which is stored once there is
    // room.
    let raised = until(async || {
        let log = server.log();
        ensure!(log.contains("dependency unhealthy"), "{log}");
        Ok(())
    });
    raised.await.unwrap();
    assert_eq!(readiness(&server).await.0, 503);

    server.limit_file_size(None).unwrap();
    // There is no other writer.
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
async fn after_a_clean_stop_the_database_files_are_complete() {
    let server = Process::start().await.unwrap();
    let admin = server.admin().await.unwrap();
    assert_eq!(plan(&admin, "kept").await, 201);
    // It was published on the bus and is in the activity feed.
    admin
        .seen(|entry| entry["type"] == "release.created")
        .await
        .unwrap();
    let before = admin.feed().await.unwrap();
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
    assert_eq!(admin.feed().await.unwrap(), before);
    // The bus continues from its position.
    let body = json!({"name": "new"});
    let new = admin.post("/releases", &body).await.unwrap().expect(201);
    admin
        .seen(|entry| entry["subject"] == new["id"])
        .await
        .unwrap();
}

#[tokio::test]
async fn an_incomplete_copy_is_refused_with_advice() {
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
    // In the original directory nothing is missing.
    let server = Process::start_on(data, &Options::default()).await.unwrap();
    let admin = server.admin().await.unwrap();
    let releases = admin.get("/releases").await.unwrap().expect(200);
    assert_eq!(releases["items"][0]["name"], "lost");
}

/// Starts on `data`, which must be refused; returns the message.
async fn refused(data: &Path) -> String {
    let run = process::run(data, &Options::default()).await;
    let (status, output, errors) = run.unwrap();
    assert_eq!((status.code(), output.as_str()), (Some(1), ""), "{errors}");
    errors
}

#[tokio::test]
async fn mixed_up_or_missing_databases_are_refused_with_advice() {
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
    let message = refused(data.path()).await;
    assert!(
        message.contains("release.db is the database of forum, not of release"),
        "{message}"
    );
    swap();

    fs::rename(file("release.db"), file("elsewhere")).unwrap();
    let message = refused(data.path()).await;
    for words in [
        "release.db is missing, but",
        "bus.db",
        "are there",
        "same backup",
    ] {
        assert!(message.contains(words), "{words} is not in: {message}");
    }
    fs::rename(file("elsewhere"), file("release.db")).unwrap();
    let server = Process::start_on(data, &Options::default()).await.unwrap();
    server.admin().await.unwrap();
}

#[tokio::test]
async fn with_deleted_data_it_is_not_ready_and_accepts_nothing() {
    let server = Process::start().await.unwrap();
    let admin = server.admin().await.unwrap();
    fs::remove_dir_all(server.data.path().join("data")).unwrap();
    assert_eq!(plan(&admin, "lost").await, 503);
    // Each check is made at its own time.
    let unready = until(async || {
        let (status, ready) = readiness(&server).await;
        ensure!(status == 503, "{ready:#}");
        for (dependency, cause) in [
            ("store", "release.db was deleted or moved"),
            ("mail", "data/mail cannot be used"),
        ] {
            let message = serde_json::to_string(&problems(&ready, dependency))?;
            ensure!(message.contains(cause), "{message}");
        }
        Ok(())
    });
    unready.await.unwrap();
    let raised = until(async || {
        let log = server.log();
        ensure!(log.contains("dependency unhealthy"), "{log}");
        Ok(())
    });
    raised.await.unwrap();
}

#[tokio::test]
async fn that_commits_are_not_noted_is_logged_once() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("data/release.db-commits")).unwrap();
    let server = Process::start_on(Arc::new(dir), &Options::default()).await;
    let server = server.unwrap();
    let admin = server.admin().await.unwrap();
    for name in ["one", "two"] {
        assert_eq!(plan(&admin, name).await, 201);
    }
    server.signal("TERM").await.unwrap();
    let (_, log) = server.ended().await.unwrap();
    let logged = log.matches("failed to write the -commits file").count();
    assert_eq!(logged, 1, "{log}");
}

/// Such as `sqlite3`, which deletes the `-wal` file when it closes a database that nobody else has
/// locked.
#[tokio::test(flavor = "multi_thread")]
async fn another_program_may_read_the_databases_of_a_running_process() {
    let server = Process::start().await.unwrap();
    let admin = server.admin().await.unwrap();
    assert_eq!(plan(&admin, "before").await, 201);
    for database in databases(server.data.path()) {
        let connection = rusqlite::Connection::open(&database).unwrap();
        let count = "SELECT count(*) FROM sqlite_schema";
        let tables: u32 = connection.query_row(count, [], |row| row.get(0)).unwrap();
        assert!(tables > 0);
        connection.close().unwrap();
        assert!(database.with_extension("db-wal").exists(), "{database:?}");
    }
    assert_eq!(plan(&admin, "after").await, 201);
    assert_eq!(readiness(&server).await.0, 200);
    let data = server.kill().await.unwrap();
    let server = Process::start_on(data, &Options::default()).await.unwrap();
    let releases = server
        .admin()
        .await
        .unwrap()
        .get("/releases")
        .await
        .unwrap();
    assert_eq!(releases.expect(200)["items"].as_array().unwrap().len(), 2);
}
