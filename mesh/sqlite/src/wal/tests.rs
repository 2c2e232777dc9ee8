//! Databases whose files are copied, cut or mixed up, as after a crash or a wrong restore.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tempfile::TempDir;

use super::*;
use crate::Database;

const SCHEMA: &[&str] = &["CREATE TABLE t (k INTEGER PRIMARY KEY)"];

fn open(path: &Path) -> Result<Database, StorageError> {
    Database::open(path, "t", SCHEMA)
}

async fn insert(db: &Database, k: i64) {
    let insert = db.write(move |c| -> Result<(), StorageError> {
        c.execute("INSERT INTO t VALUES (?1)", [k])?;
        Ok(())
    });
    insert.await.unwrap();
}

async fn count(db: &Database) -> i64 {
    let count = db.read(|c| {
        let count = c.query_row("SELECT count(*) FROM t", [], |row| row.get(0));
        count.map_err(StorageError::from)
    });
    count.await.unwrap()
}

/// An open database with two rows, and its path.
async fn used(dir: &TempDir) -> (Database, PathBuf) {
    let path = dir.path().join("t.db");
    let db = open(&path).unwrap();
    insert(&db, 1).await;
    // The number is written to the file after the answer; the writer runs the next job after
    // that.
    insert(&db, 2).await;
    assert_ne!(field_in_file(&path).unwrap(), 0);
    (db, path)
}

/// Copies the database file and these additional files, in their present state, to another
/// directory.
fn copied(path: &Path, others: &[&str]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy.db");
    fs::copy(path, &copy).unwrap();
    for suffix in others {
        fs::copy(beside(path, suffix), beside(&copy, suffix)).unwrap();
    }
    (dir, copy)
}

#[tokio::test]
async fn after_close_the_database_file_is_complete() {
    let dir = tempfile::tempdir().unwrap();
    let (db, path) = used(&dir).await;
    db.close().await.unwrap();
    assert_eq!(fs::metadata(beside(&path, "-wal")).unwrap().len(), 0);
    assert!(!beside(&path, "-commits").exists());
    assert_eq!(field_in_file(&path).unwrap(), -2);
    let (_dir, copy) = copied(&path, &[]);
    assert_eq!(count(&open(&copy).unwrap()).await, 2);
    // So is the original when it is opened again.
    drop(db);
    let again = open(&path).unwrap();
    insert(&again, 3).await;
    assert_eq!(count(&again).await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_commit_is_counted_while_handles_are_opened_and_closed() {
    let dir = tempfile::tempdir().unwrap();
    let (db, path) = used(&dir).await;
    let ended = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn({
        let (db, ended) = (db.clone(), Arc::clone(&ended));
        async move {
            let mut written = 2;
            while !ended.load(Ordering::Relaxed) {
                written += 1;
                insert(&db, written).await;
            }
            written
        }
    });
    for n in 1..=100 {
        let other = open(&path).unwrap();
        insert(&other, -n).await;
        // While another handle writes, this one may be unable to complete the file.
        let _ = other.close().await;
    }
    ended.store(true, Ordering::Relaxed);
    let commits = 100 + writing.await.unwrap();
    assert_eq!(count(&db).await, commits);
    db.close().await.unwrap();
    assert_eq!(i64::from(field_in_file(&path).unwrap()), -commits);
}

#[tokio::test]
async fn a_file_whose_latest_commits_are_missing_is_refused_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    let (_running, path) = used(&dir).await;
    for others in [&[][..], &["-commits"], &["-commits", "-shm"]] {
        let (_dir, copy) = copied(&path, others);
        let refused = open(&copy).err().unwrap().to_string();
        for word in ["incomplete", "copy.db-wal", "missing", "backup"] {
            assert!(refused.contains(word), "{word} is not in: {refused}");
        }
    }
    let (_dir, copy) = copied(&path, &["-wal"]);
    assert_eq!(count(&open(&copy).unwrap()).await, 2);
}

#[tokio::test]
async fn a_truncated_wal_is_refused_with_advice_and_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let (_running, path) = used(&dir).await;
    for kept in [0, 100] {
        let (_dir, copy) = copied(&path, &["-wal", "-commits"]);
        let wal = beside(&copy, "-wal");
        let file = OpenOptions::new().write(true).open(&wal).unwrap();
        file.set_len(kept).unwrap();
        let before = fs::read(&copy).unwrap();
        for _ in 0..2 {
            let refused = open(&copy).err().unwrap().to_string();
            for word in [
                "missing",
                "copy.db-commits says that there were 2",
                "backup",
            ] {
                assert!(refused.contains(word), "{word} is not in: {refused}");
            }
        }
        assert_eq!(fs::read(&copy).unwrap(), before);
        fs::remove_file(beside(&copy, "-commits")).unwrap();
        assert_eq!(count(&open(&copy).unwrap()).await, 1);
    }
}

#[tokio::test]
async fn a_wal_of_another_database_is_refused_before_it_is_read() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (_running, path) = used(&dirs[0]).await;
    let (other, other_path) = used(&dirs[1]).await;
    // It has more commits than the one that it replaces.
    insert(&other, 3).await;
    let (_dir, copy) = copied(&path, &["-wal", "-commits"]);
    fs::copy(beside(&other_path, "-wal"), beside(&copy, "-wal")).unwrap();
    for _ in 0..2 {
        let refused = open(&copy).err().unwrap().to_string();
        assert!(
            refused.contains("copy.db-wal is of another database"),
            "{refused}"
        );
    }
    assert!(!beside(&copy, "-shm").exists(), "SQLite has read it");
    fs::copy(beside(&path, "-wal"), beside(&copy, "-wal")).unwrap();
    assert_eq!(count(&open(&copy).unwrap()).await, 2);
}

/// The state after a process started and ended without a commit.
#[tokio::test]
async fn a_wal_that_begins_after_an_emptied_one_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let (db, path) = used(&dir).await;
    let (_dir, copy) = copied(&path, &["-commits"]);
    db.close().await.unwrap();
    fs::copy(&path, &copy).unwrap();
    fs::write(beside(&copy, "-wal"), "").unwrap();
    let begun = Database::open_with(&copy, "t", |connection| {
        Ok(connection.execute_batch("CREATE TABLE another (k INTEGER)")?)
    });
    let (_killed, killed) = {
        let _running = begun.unwrap();
        copied(&copy, &["-wal", "-commits"])
    };
    assert_eq!(count(&open(&killed).unwrap()).await, 2);
}

#[tokio::test]
async fn a_database_older_or_newer_than_its_wal_is_refused_and_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let (db, path) = used(&dir).await;
    let (_old, old) = copied(&path, &["-wal", "-commits"]);
    db.close().await.unwrap();
    let (_whole, whole) = copied(&path, &[]);
    let db = open(&path).unwrap();
    // The first number is in the database file; the next commit begins a `-wal` file, and then
    // another.
    for k in 3..6 {
        insert(&db, k).await;
    }
    let (_new, new) = copied(&path, &["-wal", "-commits"]);
    for (database, log, expected) in [
        (&old, &new, "copy.db-wal is newer than"),
        (&whole, &new, "copy.db-wal is newer than"),
        (&new, &old, "copy.db-wal is older than"),
    ] {
        for suffixes in [&["-wal", "-commits"][..], &["-wal"]] {
            let (_dir, copy) = copied(database, &[]);
            for suffix in suffixes {
                fs::copy(beside(log, suffix), beside(&copy, suffix)).unwrap();
            }
            let before = fs::read(&copy).unwrap();
            for _ in 0..2 {
                let refused = open(&copy).err().unwrap().to_string();
                assert!(
                    refused.contains(expected),
                    "{expected} is not in: {refused}"
                );
            }
            assert_eq!(fs::read(&copy).unwrap(), before);
        }
    }
    assert_eq!(count(&open(&new).unwrap()).await, 5);
    assert_eq!(count(&open(&old).unwrap()).await, 2);
    assert_eq!(count(&open(&whole).unwrap()).await, 2);
}

#[tokio::test]
async fn the_error_for_a_copy_made_by_sqlite_says_how_to_complete_it() {
    let dir = tempfile::tempdir().unwrap();
    let (_running, path) = used(&dir).await;
    let copy = dir.path().join("copy.db");
    let reader = Connection::open(&path).unwrap();
    reader.execute("VACUUM INTO ?1", [copy.to_str()]).unwrap();
    let refused = open(&copy).err().unwrap().to_string();
    let (_, pragma) = refused.split_once("copy.db '").unwrap();
    let (pragma, _) = pragma.split_once('\'').unwrap();
    Connection::open(&copy)
        .unwrap()
        .execute_batch(pragma)
        .unwrap();
    assert_eq!(count(&open(&copy).unwrap()).await, 2);
}

#[test]
fn a_restarted_wal_is_recognised() {
    let noted = Salts(u32::MAX, 7);
    assert!(noted.may_become(noted));
    assert!(noted.may_become(Salts(0, 8)));
    for other in [
        Salts(u32::MAX, 8),
        Salts(u32::MAX - 1, 7),
        Salts(1 << 31, 7),
    ] {
        assert!(!noted.may_become(other), "{other:?}");
    }
}

#[tokio::test]
async fn a_wal_without_its_database_is_refused_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    let (_running, path) = used(&dir).await;
    let (_dir, copy) = copied(&path, &["-wal"]);
    for missing in [true, false] {
        if missing {
            fs::remove_file(&copy).unwrap();
        } else {
            fs::write(&copy, "").unwrap();
        }
        let refused = open(&copy).err().unwrap().to_string();
        for word in ["copy.db is missing or empty", "copy.db-wal", "Restore"] {
            assert!(refused.contains(word), "{word} is not in: {refused}");
        }
    }
}

#[tokio::test]
async fn after_a_crash_another_program_may_open_and_close_it() {
    let dir = tempfile::tempdir().unwrap();
    let (running, path) = used(&dir).await;
    let noted = fs::read(beside(&path, "-commits")).unwrap();
    let (_dir, at_rest) = copied(&path, &["-wal", "-commits"]);
    insert(&running, 3).await;
    // Killed after the commit, before the note of it.
    let (_dir, in_between) = copied(&path, &["-wal"]);
    fs::write(beside(&in_between, "-commits"), noted).unwrap();
    for copy in [at_rest, in_between] {
        let other = Connection::open(&copy).unwrap();
        other.execute("INSERT INTO t VALUES (4)", []).unwrap();
        drop(other);
        assert!(!beside(&copy, "-wal").exists(), "SQLite deletes it");
        let again = open(&copy).unwrap();
        let found = count(&again).await;
        insert(&again, 5).await;
        assert_eq!(count(&again).await, found + 1);
    }
}

#[tokio::test]
async fn a_database_that_was_only_read_needs_no_other_file() {
    let dir = tempfile::tempdir().unwrap();
    let (db, path) = used(&dir).await;
    db.close().await.unwrap();
    let db = open(&path).unwrap();
    assert_eq!(count(&db).await, 2);
    let (_dir, copy) = copied(&path, &[]);
    assert_eq!(count(&open(&copy).unwrap()).await, 2);
}

#[tokio::test]
async fn a_closed_database_accepts_no_writes() {
    let dir = tempfile::tempdir().unwrap();
    let (db, _) = used(&dir).await;
    db.close().await.unwrap();
    let late = db.write(|_| Ok::<_, StorageError>(())).await;
    assert!(matches!(late, Err(StorageError::Gone)), "{late:?}");
    db.close().await.unwrap();
}

#[tokio::test]
async fn without_the_commits_file_it_still_accepts_writes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    fs::create_dir(beside(&path, "-commits")).unwrap();
    let db = open(&path).unwrap();
    insert(&db, 1).await;
    insert(&db, 2).await;
    db.close().await.unwrap();
    assert_eq!(count(&open(&path).unwrap()).await, 2);
}
