//! Errors of SQLite, and what they mean for later writes.

use std::sync::Arc;

use rusqlite::{Connection, ErrorCode, ffi};

use slipway_runtime::life::Problem;

/// A database operation failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// SQLite returned an error.
    #[error("SQLite: {0}")]
    Sqlite(Arc<rusqlite::Error>),
    /// The file cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// A file that is open was moved or deleted.
    #[error("{0}")]
    Displaced(String),
    /// The writer thread has ended, or the job panicked.
    #[error("the database writer has ended")]
    Gone,
}

impl StorageError {
    /// The unique constraint or index that refused a write, as SQLite names it (by its columns:
    /// `users.username_key`), if this is the error.
    #[must_use]
    pub fn unique_violation(&self) -> Option<&str> {
        let Self::Sqlite(error) = self else {
            return None;
        };
        match error.as_ref() {
            rusqlite::Error::SqliteFailure(failure, Some(message))
                if failure.code == ErrorCode::ConstraintViolation =>
            {
                message
                    .split_once("UNIQUE constraint failed: ")
                    .map(|(_, columns)| columns)
            }
            _ => None,
        }
    }

    /// Whether the disk is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let Self::Sqlite(error) = self else {
            return false;
        };
        error.sqlite_error_code() == Some(ErrorCode::DiskFull)
    }

    /// Whether the file accepts no writes at all at the moment.
    #[must_use]
    pub fn refuses_writes(&self) -> bool {
        self.fault() == Some(FileFault::Unwritable)
    }

    /// The fault of the file, if the error is caused by the file.
    pub(super) fn fault(&self) -> Option<FileFault> {
        match self {
            Self::Sqlite(error) => FileFault::of(error.sqlite_error_code()?),
            Self::Displaced(_) => Some(FileFault::Unwritable),
            Self::Unusable(_) | Self::Gone => None,
        }
    }
}

impl From<rusqlite::Error> for StorageError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(Arc::new(error))
    }
}

/// A fault of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileFault {
    /// It accepts no writes: the disk is full or has failed, or the file is read-only or was
    /// deleted. This may be temporary.
    Unwritable,
    /// Its content is not what SQLite wrote. This is permanent.
    Damaged,
}

impl FileFault {
    fn of(code: ErrorCode) -> Option<Self> {
        match code {
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::NoLargeFileSupport
            | ErrorCode::FileLockingProtocolFailed => Some(Self::Unwritable),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Some(Self::Damaged),
            _ => None,
        }
    }

    /// The problem for health checks.
    pub(super) fn problem(self, error: &StorageError) -> Problem {
        Problem::Unwritable(match self {
            Self::Unwritable => format!("it takes no writes: {error}"),
            Self::Damaged => format!("its file is damaged: {error}"),
        })
    }
}

/// The last error on `connection`. Call it directly after a failure: a job's own error may have
/// dropped the cause, and SQLite forgets it at the next call.
pub(super) fn last_error(connection: &Connection) -> StorageError {
    #[allow(
        unsafe_code,
        reason = "rusqlite does not expose the last error of a connection"
    )]
    // SAFETY: the handle lives as long as `connection`, which only this thread uses now, and
    // the call reads a number of it.
    let code = unsafe { ffi::sqlite3_extended_errcode(connection.handle()) };
    let text = ffi::code_to_str(code).to_owned();
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(text)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(code: i32) -> Option<FileFault> {
        StorageError::from(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)).fault()
    }

    #[test]
    fn faults_of_the_file_are_distinguished_from_errors_of_one_write() {
        for code in [
            ffi::SQLITE_FULL,
            ffi::SQLITE_IOERR,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_READONLY,
            ffi::SQLITE_READONLY_DIRECTORY,
            ffi::SQLITE_CANTOPEN,
        ] {
            assert_eq!(fault(code), Some(FileFault::Unwritable), "{code}");
        }
        for code in [
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_CORRUPT_INDEX,
            ffi::SQLITE_NOTADB,
        ] {
            assert_eq!(fault(code), Some(FileFault::Damaged), "{code}");
        }
        for code in [
            ffi::SQLITE_OK,
            ffi::SQLITE_DONE,
            ffi::SQLITE_ERROR,
            ffi::SQLITE_BUSY,
            ffi::SQLITE_CONSTRAINT_UNIQUE,
        ] {
            assert_eq!(fault(code), None, "{code}");
        }
    }

    #[test]
    fn the_last_error_of_a_connection_is_known() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (k)").unwrap();
        connection.pragma_update(None, "query_only", true).unwrap();
        let refused = connection.execute("INSERT INTO t VALUES (1)", []);
        assert!(refused.is_err());
        assert_eq!(last_error(&connection).fault(), Some(FileFault::Unwritable));
        connection.pragma_update(None, "query_only", false).unwrap();
        connection.execute("INSERT INTO t VALUES (1)", []).unwrap();
        assert_eq!(last_error(&connection).fault(), None);
    }
}
