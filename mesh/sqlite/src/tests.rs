//! Tests of a database through its public API.

use futures::future::join_all;

use super::*;

const SCHEMA: &[&str] = &["CREATE TABLE t (k INTEGER PRIMARY KEY, v TEXT NOT NULL UNIQUE)"];

fn insert(k: i64, v: &'static str) -> impl FnOnce(&Connection) -> Result<(), StorageError> {
    move |connection| {
        connection.execute("INSERT INTO t (k, v) VALUES (?1, ?2)", (k, v))?;
        Ok(())
    }
}

async fn count(db: &Database) -> i64 {
    db.read(|c| {
        c.query_row("SELECT count(*) FROM t", [], |row| row.get(0))
            .map_err(StorageError::from)
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_refused_job_leaves_no_trace_and_does_not_affect_others() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(&dir.path().join("t.db"), "t", SCHEMA).unwrap();
    let jobs = (0..20).map(|k| {
        let db = db.clone();
        async move {
            db.write(move |c| {
                c.execute("INSERT INTO t VALUES (?1, ?2)", (k, format!("v{k}")))?;
                if k % 2 == 0 {
                    return Err(StorageError::Unusable("refused".into()));
                }
                Ok(())
            })
            .await
        }
    });
    let results = join_all(jobs).await;
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 10);
    assert_eq!(count(&db).await, 10);
}

#[tokio::test]
async fn a_panicking_job_fails_alone() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(&dir.path().join("t.db"), "t", SCHEMA).unwrap();
    let panicked = db
        .write(|c| -> Result<(), StorageError> {
            c.execute("INSERT INTO t VALUES (1, 'a')", [])?;
            panic!("boom")
        })
        .await;
    assert!(matches!(panicked, Err(StorageError::Gone)));
    db.write(insert(2, "b")).await.unwrap();
    assert_eq!(count(&db).await, 1);
}

#[tokio::test]
async fn a_panicking_read_fails_alone() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(&dir.path().join("t.db"), "t", SCHEMA).unwrap();
    for _ in 0..20 {
        let panicked = db
            .read(|_| -> Result<(), StorageError> { panic!("boom") })
            .await;
        assert!(matches!(panicked, Err(StorageError::Gone)));
    }
    assert_eq!(count(&db).await, 0);
}

#[tokio::test]
async fn a_unique_violation_names_its_columns() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(&dir.path().join("t.db"), "t", SCHEMA).unwrap();
    db.write(insert(1, "a")).await.unwrap();
    let error = db.write(insert(2, "a")).await.unwrap_err();
    assert_eq!(error.unique_violation(), Some("t.v"));
    let error = db.write(insert(1, "b")).await.unwrap_err();
    assert_eq!(error.unique_violation(), Some("t.k"));
}

#[tokio::test]
async fn two_handles_on_one_file_take_turns() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let (a, b) = (
        Database::open(&path, "t", SCHEMA).unwrap(),
        Database::open(&path, "t", SCHEMA).unwrap(),
    );
    let jobs = (0..100).map(|k| {
        let db = if k % 2 == 0 { a.clone() } else { b.clone() };
        async move {
            db.write(move |c| {
                c.execute("INSERT INTO t VALUES (?1, ?2)", (k, format!("v{k}")))
                    .map_err(StorageError::from)
            })
            .await
        }
    });
    for result in join_all(jobs).await {
        result.unwrap();
    }
    assert_eq!(count(&a).await, 100);
}

#[test]
fn a_file_of_a_newer_version_is_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    drop(Database::open(&path, "t", SCHEMA).unwrap());
    let error = Database::open(&path, "t", &[]).err().unwrap();
    assert!(error.to_string().contains("newer"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(&dir.path().join("t.db"), "t", SCHEMA).unwrap();
    db.write(insert(1, "a")).await.unwrap();
    let mut files = 0;
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        files += 1;
    }
    assert_eq!(
        files, 4,
        "the database, its log, the log's index, its commits"
    );
}

#[test]
fn a_file_that_is_not_a_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    std::fs::write(&path, "this is a letter, not a database").unwrap();
    let refused = Database::open(&path, "t", SCHEMA).err().unwrap();
    let refused = refused.to_string();
    assert!(refused.contains("t.db is damaged"), "{refused}");
}

#[tokio::test]
async fn a_full_file_is_unhealthy_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(&dir.path().join("t.db"), "t", SCHEMA).unwrap();
    let pages = |count: i64| {
        db.write(move |c| {
            let max = format!("PRAGMA max_page_count = {count}");
            c.query_row(&max, [], |_| Ok(()))
                .map_err(StorageError::from)
        })
    };
    pages(1).await.unwrap();
    let large = |k: i64| {
        db.write(move |c| -> Result<(), StorageError> {
            let text = "x".repeat(100_000);
            c.execute("INSERT INTO t VALUES (?1, ?2)", (k, text))?;
            Ok(())
        })
    };
    let error = large(1).await.unwrap_err();
    assert_eq!(error.fault(), Some(FileFault::Unwritable), "{error}");
    let problem = db.check().await.unwrap_err();
    assert!(problem.to_string().contains("full"), "{problem}");
    assert!(matches!(problem, Problem::Unwritable(_)), "{problem:?}");
    // Reading still works, and the problem remains, however often it is checked.
    assert_eq!(count(&db).await, 0);
    db.check().await.unwrap_err();
    pages(1_000_000).await.unwrap();
    // Without any other write.
    let healthy = slipway_runtime::testing::until(async || db.check().await);
    healthy.await.unwrap();
    large(1).await.unwrap();
}

#[tokio::test]
async fn a_job_that_could_not_begin_returns_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(&dir.path().join("t.db"), "t", SCHEMA).unwrap();
    let read_only = |c: &Connection| -> Result<(), StorageError> {
        Ok(c.pragma_update(None, "query_only", true)?)
    };
    db.write(read_only).await.unwrap();
    let error = db.write(insert(1, "a")).await.unwrap_err();
    assert_eq!(error.fault(), Some(FileFault::Unwritable), "{error}");
    db.check().await.unwrap_err();
}

#[test]
fn a_file_of_another_store_is_refused_with_advice_and_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    drop(Database::open(&path, "other", SCHEMA).unwrap());
    for _ in 0..2 {
        let refused = Database::open(&path, "t", SCHEMA).err().unwrap();
        let refused = refused.to_string();
        for words in ["t.db is the database of other, not of t", "other.db"] {
            assert!(refused.contains(words), "{words} is not in: {refused}");
        }
    }
    drop(Database::open(&path, "other", SCHEMA).unwrap());
}

#[tokio::test]
async fn owner_and_id_of_a_file_are_read_without_a_trace() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("50% or so? #1.db");
    let db = Database::open(&path, "mine", SCHEMA).unwrap();
    db.close().await.unwrap();
    drop(db);
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(crate::beside(&path, suffix));
    }
    assert_eq!(crate::owner(&path).as_deref(), Some("mine"));
    let id = crate::id(&path).unwrap();
    let other = dir.path().join("other.db");
    let db = Database::open(&other, "mine", SCHEMA).unwrap();
    db.close().await.unwrap();
    assert_ne!(crate::id(&other).unwrap(), id);
    drop(db);
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(crate::beside(&other, suffix));
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(crate::owner(&dir.path().join("none.db")), None);
}

#[test]
fn a_file_of_a_version_without_names_gets_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    crate::migrations::apply(&mut Connection::open(&path).unwrap(), SCHEMA).unwrap();
    // The refused file was not assigned to a store.
    assert!(Database::open(&path, "other", &[]).is_err());
    drop(Database::open(&path, "t", SCHEMA).unwrap());
    assert!(Database::open(&path, "other", SCHEMA).is_err());
}

#[tokio::test]
async fn a_moved_file_accepts_no_writes_until_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["t.db", "t.db-wal"] {
        let path = dir.path().join("t.db");
        let db = Database::open(&path, "t", SCHEMA).unwrap();
        let (there, away) = (dir.path().join(name), dir.path().join("away"));
        std::fs::rename(&there, &away).unwrap();
        let problem = db.check().await.unwrap_err();
        assert!(matches!(problem, Problem::Unwritable(_)), "{problem:?}");
        let refused = db.write(insert(1, "a")).await.unwrap_err().to_string();
        // A reader may have created another -wal file.
        let expected = format!("{} was ", there.display());
        assert!(refused.contains(&expected), "{refused}");
        // Another file with the same name does not help.
        std::fs::write(&there, "").unwrap();
        let refused = db.write(insert(1, "a")).await.unwrap_err().to_string();
        assert!(refused.contains("was replaced"), "{refused}");

        std::fs::rename(&away, &there).unwrap();
        let healthy = slipway_runtime::testing::until(async || db.check().await);
        healthy.await.unwrap();
        db.write(insert(1, "a")).await.unwrap();
        db.close().await.unwrap();
        drop(db);
        std::fs::remove_file(&path).unwrap();
    }
}
