//! Determines whether the file is writable, for health checks.
//!
//! A write that fails because of the file is noticed at once. Whether writing works again is
//! determined by a probe write, while other writes are refused. When nothing was written for a
//! while, a small probe also detects that writing has stopped working.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::error::{FileFault, StorageError};
use slipway_runtime::life::Problem;

/// Interval between the last write and a probe, while writing works.
const IDLE: Duration = Duration::from_secs(60);

/// Interval between probes, while writing does not work.
const RETRY: Duration = Duration::from_secs(1);

/// Bytes of a probe while writing works: more would only wear out the disk.
const SMALL: usize = 4 * 1024;

/// Bytes of a probe while writing does not work. With a smaller probe, a nearly full disk would
/// fail again at the next larger write, and the state would alternate.
const LARGE: usize = 256 * 1024;

/// The known state of the file. Pure: the caller passes the time.
#[derive(Debug)]
pub(super) struct Writability {
    problem: Option<Problem>,
    is_damaged: bool,
    /// The last time that writing worked or was tried.
    known_at: Instant,
}

impl Writability {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            problem: None,
            is_damaged: false,
            known_at: now,
        }
    }

    /// Records a successful write. While there is a problem, this does not prove that there is room
    /// for more: only a probe does.
    pub(super) fn wrote(&mut self, now: Instant) {
        if self.problem.is_none() {
            self.known_at = now;
        }
    }

    /// Records an error; returns whether it is a new problem.
    pub(super) fn failed(&mut self, error: &StorageError, now: Instant) -> bool {
        let Some(fault) = error.fault() else {
            return false;
        };
        if self.is_damaged {
            return false;
        }
        let is_news = self.problem.is_none() || fault == FileFault::Damaged;
        self.is_damaged = fault == FileFault::Damaged;
        self.problem = Some(fault.problem(error));
        self.known_at = now;
        is_news
    }

    /// The number of bytes to write now as a probe, if one is due.
    pub(super) fn due(&self, now: Instant) -> Option<usize> {
        let since = now.duration_since(self.known_at);
        match &self.problem {
            _ if self.is_damaged => None,
            Some(_) => (since >= RETRY).then_some(LARGE),
            None => (since >= IDLE).then_some(SMALL),
        }
    }

    /// Records a successful probe; returns whether a problem is over.
    pub(super) fn probed(&mut self, now: Instant) -> bool {
        self.known_at = now;
        self.problem.take().is_some()
    }

    /// The current problem, if there is one.
    pub(super) fn problem(&self) -> Option<Problem> {
        self.problem.clone()
    }
}

/// Writes `bytes` of random data, replacing those of the last probe.
pub(super) fn probe(connection: &Connection, bytes: usize) -> Result<(), StorageError> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS write_probe (
             id   INTEGER PRIMARY KEY CHECK (id = 1),
             data BLOB NOT NULL
         ) STRICT",
    )?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO write_probe (id, data) VALUES (1, randomblob(?1))")?
        .execute([bytes])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    fn error(code: i32) -> StorageError {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into()
    }

    #[test]
    fn a_full_disk_is_a_problem_until_a_large_probe_is_written() {
        let start = Instant::now();
        let mut file = Writability::new(start);
        assert!(file.failed(&error(ffi::SQLITE_FULL), start));
        assert!(!file.failed(&error(ffi::SQLITE_FULL), start), "no news");
        assert!(matches!(file.problem(), Some(Problem::Unwritable(_))));
        // A small write may still find room.
        file.wrote(start);
        assert!(file.problem().is_some());
        assert_eq!(file.due(start + RETRY - MOMENT), None);
        assert_eq!(file.due(start + RETRY), Some(LARGE));
        let again = start + RETRY;
        assert!(!file.failed(&error(ffi::SQLITE_FULL), again));
        assert_eq!(file.due(again + RETRY - MOMENT), None);
        assert!(file.probed(again + RETRY));
        assert_eq!(file.problem(), None);
    }

    #[test]
    fn without_writes_there_is_a_small_probe_every_minute() {
        let start = Instant::now();
        let mut file = Writability::new(start);
        assert_eq!(file.due(start + IDLE - MOMENT), None);
        assert_eq!(file.due(start + IDLE), Some(SMALL));
        file.wrote(start + IDLE);
        assert_eq!(file.due(start + IDLE + IDLE - MOMENT), None);
        assert!(!file.probed(start + IDLE + IDLE), "it was well before");
    }

    #[test]
    fn an_error_of_one_write_is_not_a_problem_of_the_file() {
        let start = Instant::now();
        let mut file = Writability::new(start);
        for code in [ffi::SQLITE_CONSTRAINT_UNIQUE, ffi::SQLITE_BUSY] {
            assert!(!file.failed(&error(code), start));
        }
        assert!(!file.failed(&StorageError::Gone, start));
        assert_eq!(file.problem(), None);
    }

    #[test]
    fn a_damaged_file_stays_damaged() {
        let start = Instant::now();
        let mut file = Writability::new(start);
        assert!(file.failed(&error(ffi::SQLITE_CORRUPT), start));
        assert!(!file.failed(&error(ffi::SQLITE_FULL), start));
        assert_eq!(file.due(start + IDLE), None);
        let described = file.problem().unwrap().to_string();
        assert!(described.contains("damaged"), "{described}");
    }
}
