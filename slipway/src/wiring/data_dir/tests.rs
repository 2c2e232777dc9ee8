//! Data directories that are shared, incomplete or mixed up.

use slipway_sqlite::{Database, StorageError};

use super::*;

/// Opens the database `a` at `path`, commits once, and closes it.
async fn run(path: &Path) {
    let db = Database::open(path, "a", &["CREATE TABLE t (k INTEGER)"]).unwrap();
    let insert = db.write(|c| -> Result<(), StorageError> {
        c.execute("INSERT INTO t VALUES (1)", [])?;
        Ok(())
    });
    insert.await.unwrap();
    db.close().await.unwrap();
}

/// Checks that the directory is refused, again and again, and how its database `a` is called.
fn assert_refused(dir: &Path, what: &str) {
    for _ in 0..2 {
        let refused = DataDir::take(dir, &["a", "b"]).err().unwrap().to_string();
        for words in [
            format!("{} is {what}", dir.join("a.db").display()),
            format!("delete {}", dir.join(COMMITS).display()),
        ] {
            assert!(refused.contains(&words), "{words} is not in: {refused}");
        }
    }
}

#[test]
fn a_second_process_is_refused_with_the_id_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let held = DataDir::take(&path, &[]).unwrap();
    let refused = DataDir::take(&path, &[]).err().unwrap().to_string();
    assert!(
        refused.contains(&std::process::id().to_string()),
        "{refused}"
    );
    // Without the file it is still locked.
    fs::remove_file(path.join(LOCK)).unwrap();
    let refused = DataDir::take(&path, &[]).err().unwrap().to_string();
    assert!(refused.ends_with("in use by another process"), "{refused}");
    drop(held);
    DataDir::take(&path, &[]).unwrap();
}

#[test]
fn a_missing_database_is_refused_with_instructions() {
    let dir = tempfile::tempdir().unwrap();
    let take = || DataDir::take(dir.path(), &["a", "b"]);
    let (a, b) = (dir.path().join("a.db"), dir.path().join("b.db"));
    // The first start creates all of them, even if it ends before any data is written.
    drop(take().unwrap());
    assert!(a.exists());
    fs::remove_file(&a).unwrap();
    drop(take().unwrap());
    fs::write(&b, "content").unwrap();
    drop(take().unwrap());
    fs::remove_file(&a).unwrap();
    let refused = take().err().unwrap().to_string();
    let (a_name, b_name) = (a.display(), b.display());
    for words in [
        format!("{a_name} is missing, but {b_name} is there"),
        format!("touch {a_name}"),
    ] {
        assert!(refused.contains(&words), "{words} is not in: {refused}");
    }
    assert!(!a.exists());
    fs::write(&a, "").unwrap();
    take().unwrap();
}

#[tokio::test]
async fn when_all_databases_are_missing_it_is_not_a_first_start() {
    let dir = tempfile::tempdir().unwrap();
    let take = || DataDir::take(dir.path(), &["a"]);
    let path = dir.path().join("a.db");
    let data = take().unwrap();
    run(&path).await;
    data.note_opened().unwrap();
    drop(data);
    for suffix in ["db", "db-wal", "db-shm"] {
        let _ = fs::remove_file(path.with_extension(suffix));
    }
    let refused = take().err().unwrap().to_string();
    let note = dir.path().join(COMMITS);
    let words = format!("To start without any data, delete {}", note.display());
    assert!(refused.contains(&words), "{refused}");
    assert!(!path.exists());
    fs::remove_file(note).unwrap();
    assert!(take().unwrap().is_new());
}

#[tokio::test]
async fn a_database_older_than_at_the_last_start_is_refused_with_instructions() {
    let dir = tempfile::tempdir().unwrap();
    let start = || {
        let data = DataDir::take(dir.path(), &["a", "b"]).unwrap();
        data.note_opened().unwrap();
    };
    start();
    let path = dir.path().join("a.db");
    run(&path).await;
    // A backup after a clean stop, and one run after it.
    start();
    let backup = fs::read(&path).unwrap();
    start();
    run(&path).await;
    start();
    fs::write(&path, backup).unwrap();
    assert_refused(dir.path(), "older");
    fs::remove_file(dir.path().join(COMMITS)).unwrap();
    start();
    // An emptied database is accepted, and is another one from then on.
    run(&path).await;
    start();
    for suffix in ["db-wal", "db-shm"] {
        let _ = fs::remove_file(path.with_extension(suffix));
    }
    fs::write(&path, "").unwrap();
    fs::write(dir.path().join("b.db"), "content").unwrap();
    start();
    run(&path).await;
    start();
}

#[tokio::test]
async fn a_database_newer_than_at_the_last_clean_stop_is_refused_with_instructions() {
    let dir = tempfile::tempdir().unwrap();
    let take = || DataDir::take(dir.path(), &["a", "b"]).unwrap();
    let path = dir.path().join("a.db");
    drop(take());
    run(&path).await;
    take().note_closed().unwrap();
    run(&path).await;
    assert_refused(dir.path(), "newer");
    fs::remove_file(dir.path().join(COMMITS)).unwrap();
    // After a crash it may be newer.
    take().note_closed().unwrap();
    drop(take());
    run(&path).await;
    take().note_opened().unwrap();
    run(&path).await;
    take().note_closed().unwrap();
}

#[tokio::test]
async fn a_database_of_another_server_is_refused_with_instructions() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [own, other] = dirs.each_ref().map(|dir| dir.path().join("a.db"));
    for path in [&own, &other] {
        let dir = path.parent().unwrap();
        drop(DataDir::take(dir, &["a", "b"]).unwrap());
        run(path).await;
        let data = DataDir::take(dir, &["a", "b"]).unwrap();
        data.note_opened().unwrap();
    }
    // It has more commits.
    run(&other).await;
    fs::copy(&other, &own).unwrap();
    assert_refused(dirs[0].path(), "not from here, but from another server");
    fs::remove_file(dirs[0].path().join(COMMITS)).unwrap();
    DataDir::take(dirs[0].path(), &["a", "b"]).unwrap();
}

#[test]
fn a_directory_that_cannot_be_written_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(DataDir::take(dir.path(), &[]).unwrap());
    // Root may write everywhere, but not a directory.
    fs::create_dir(dir.path().join("commits.tmp")).unwrap();
    let refused = DataDir::take(dir.path(), &[]).err().unwrap().to_string();
    assert!(refused.ends_with("commits cannot be written"), "{refused}");
}

#[test]
fn a_path_that_is_a_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "").unwrap();
    assert!(DataDir::take(&path, &[]).is_err());
}
