//! Errors of MongoDB, and which unique index refused a write.

use mongodb::error::{Error, ErrorKind, WriteFailure};

/// A unique index already contains the key.
const DUPLICATE_KEY: i32 = 11000;

/// The write conflicted with another one inside the server and was aborted; nothing of it is
/// stored. The codes of MongoDB and of DocumentDB (PostgreSQL's deadlock, 40P01, as a number).
const GAVE_WAY: [i32; 2] = [112, 16_908_292];

/// The document would be larger than the maximum of 16 MiB. The codes of MongoDB, and of DocumentDB
/// as a number in PostgreSQL's form.
const TOO_LARGE: [i32; 4] = [10_334, 17_419, 17_420, 285_999_133];

/// The server does not know the user, or the password is wrong.
const AUTHENTICATION_FAILED: i32 = 18;

/// The user has no permission.
const UNAUTHORIZED: i32 = 13;

/// The index exists already under another name or with other options.
const INDEX_CONFLICTS: [i32; 2] = [85, 86];

/// The server accepts no writes: its disk is full, it is not the primary or is shutting down, its
/// replicas are too far behind, or an administrator has blocked writes.
const REFUSES_WRITES: [i32; 12] = [
    64, 91, 100, 189, 371, 10058, 10107, 11600, 11602, 13435, 13436, 14031,
];

/// The codes of these for a full disk.
const DISK_FULL: [i32; 2] = [14031, 4_293];

/// The same for DocumentDB, as PostgreSQL's numbers: disk_full, io_error,
/// read_only_sql_transaction.
const REFUSES_WRITES_DOCUMENTDB: [i32; 3] = [4_293, 786_949, 100_663_618];

/// A database operation failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// The driver or the server returned an error.
    #[error("MongoDB: {}", .0.kind)]
    Mongo(#[from] Error),
    /// The server is known to be unavailable: the operation was not sent.
    #[error("MongoDB is unavailable")]
    Away,
    /// The server did not answer in time: the operation may have been executed.
    #[error("MongoDB did not answer in time")]
    Silent,
    /// The database cannot be used.
    #[error("{0}")]
    Unusable(String),
}

impl StorageError {
    /// The unique index that refused a write of one document, if this is the error.
    #[must_use]
    pub fn duplicate_key(&self) -> Option<&str> {
        match self {
            Self::Mongo(error) => match error.kind.as_ref() {
                ErrorKind::Write(WriteFailure::WriteError(error))
                    if error.code == DUPLICATE_KEY =>
                {
                    index_name(&error.message)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether a write of one document was aborted because of a conflict: nothing of it is stored,
    /// and it can be retried.
    #[must_use]
    pub fn gave_way(&self) -> bool {
        match self {
            Self::Mongo(error) => match error.kind.as_ref() {
                ErrorKind::Write(WriteFailure::WriteError(error)) => GAVE_WAY.contains(&error.code),
                ErrorKind::Command(error) => GAVE_WAY.contains(&error.code),
                _ => false,
            },
            _ => false,
        }
    }

    /// Whether a write was refused because its document would be larger than the maximum.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        let Self::Mongo(error) = self else {
            return false;
        };
        match error.kind.as_ref() {
            ErrorKind::Write(WriteFailure::WriteError(error)) => TOO_LARGE.contains(&error.code),
            ErrorKind::Command(error) => TOO_LARGE.contains(&error.code),
            _ => false,
        }
    }

    /// The number of stored documents of an ordered insert, if the next one was refused by a unique
    /// index or aborted because of a conflict.
    #[must_use]
    pub fn inserted_before_refusal(&self) -> Option<usize> {
        let Self::Mongo(error) = self else {
            return None;
        };
        let ErrorKind::InsertMany(error) = error.kind.as_ref() else {
            return None;
        };
        let first = error.write_errors.as_ref()?.first()?;
        let refused = first.code == DUPLICATE_KEY || GAVE_WAY.contains(&first.code);
        refused.then_some(first.index)
    }

    /// Whether the server accepts no writes at all at the moment.
    #[must_use]
    pub fn refuses_writes(&self) -> bool {
        self.code_of_write().is_some_and(|code| {
            REFUSES_WRITES.contains(&code) || REFUSES_WRITES_DOCUMENTDB.contains(&code)
        })
    }

    /// Whether it accepts no writes because its disk is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.code_of_write()
            .is_some_and(|code| DISK_FULL.contains(&code))
    }

    /// The server's code for a failed write.
    fn code_of_write(&self) -> Option<i32> {
        let Self::Mongo(error) = self else {
            return None;
        };
        match error.kind.as_ref() {
            ErrorKind::Command(error) => Some(error.code),
            ErrorKind::Write(WriteFailure::WriteError(error)) => Some(error.code),
            ErrorKind::Write(WriteFailure::WriteConcernError(error)) => Some(error.code),
            ErrorKind::InsertMany(error) => {
                let concern = error.write_concern_error.as_ref().map(|error| error.code);
                let first = error
                    .write_errors
                    .as_ref()
                    .and_then(|errors| errors.first());
                concern.or(first.map(|error| error.code))
            }
            _ => None,
        }
    }

    /// Whether another try fails in the same way until an operator fixes something: the credentials
    /// are wrong or insufficient, or an index differs from its declaration or cannot be built.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        let error = match self {
            Self::Mongo(error) => error,
            Self::Unusable(_) => return true,
            Self::Away | Self::Silent => return false,
        };
        match error.kind.as_ref() {
            ErrorKind::Authentication { .. } | ErrorKind::InvalidTlsConfig { .. } => true,
            ErrorKind::Command(error) => {
                [AUTHENTICATION_FAILED, UNAUTHORIZED, DUPLICATE_KEY].contains(&error.code)
                    || INDEX_CONFLICTS.contains(&error.code)
            }
            _ => false,
        }
    }
}

/// The index in the message of a duplicate key error. MongoDB writes `index: NAME dup key`,
/// DocumentDB `Index 'NAME'`; neither has a separate field for it.
fn index_name(message: &str) -> Option<&str> {
    if let Some((_, rest)) = message.split_once("Index '") {
        return rest.split_once('\'').map(|(name, _)| name);
    }
    let (_, rest) = message.split_once("index: ")?;
    rest.split_once(" dup key").map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use mongodb::{
        bson::{deserialize_from_document, doc},
        error::CommandError,
    };

    use super::*;

    #[test]
    fn the_index_is_named_in_either_format() {
        let mongodb = "E11000 duplicate key error collection: slipway_release.releases \
                       index: one_active dup key: { activeDevelopers: \"x\" }";
        assert_eq!(index_name(mongodb), Some("one_active"));
        let documentdb = "Duplicate key violation on the requested collection: Index 'one_active'";
        assert_eq!(index_name(documentdb), Some("one_active"));
        assert_eq!(index_name("something else"), None);
    }

    #[test]
    fn a_server_that_accepts_no_writes_is_distinguished_from_one_refused_write() {
        let of = |code: i32| {
            let error = doc! { "code": code, "codeName": "", "errmsg": "no" };
            let error: CommandError = deserialize_from_document(error).unwrap();
            StorageError::Mongo(ErrorKind::Command(error).into())
        };
        for code in REFUSES_WRITES.into_iter().chain(REFUSES_WRITES_DOCUMENTDB) {
            assert!(of(code).refuses_writes(), "{code}");
        }
        for code in [DUPLICATE_KEY, UNAUTHORIZED, GAVE_WAY[0], GAVE_WAY[1]] {
            assert!(!of(code).refuses_writes(), "{code}");
        }
        for code in DISK_FULL {
            assert!(of(code).is_full() && of(code).refuses_writes(), "{code}");
        }
        assert!(!of(REFUSES_WRITES[0]).is_full());
        assert!(!StorageError::Away.refuses_writes());
    }

    #[test]
    fn errors_that_an_operator_must_fix_are_refusals() {
        let of = |code: i32| {
            let error = doc! { "code": code, "codeName": "", "errmsg": "no" };
            let error: CommandError = deserialize_from_document(error).unwrap();
            StorageError::Mongo(ErrorKind::Command(error).into())
        };
        for (code, refusal) in [(13, true), (18, true), (85, true), (86, true), (112, false)] {
            assert_eq!(of(code).is_refusal(), refusal, "{code}");
        }
        assert!(StorageError::Unusable("no".into()).is_refusal());
        assert!(!StorageError::Away.is_refusal());
        assert!(!StorageError::Silent.is_refusal());
    }
}
