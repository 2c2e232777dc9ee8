//! Counts the commits of a database, in a header field that SQLite leaves to applications
//! (`application_id`). The count shows when files do not belong to the same moment.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

/// Offset of the field in SQLite's file format.
pub(super) const NUMBER_AT: usize = 68;

/// The number of commits made in a database: from 1, and after `i32::MAX` from 1 again. 0: none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Commits(i32);

impl Commits {
    /// Reads the value of the field.
    pub(super) fn from_field(field: i32) -> Self {
        Self(field.saturating_abs())
    }

    /// Parses a number in decimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let number = text.parse().ok()?;
        (0..=i32::MAX).contains(&number).then_some(Self(number))
    }

    /// The value of the field: negative if the database file is complete.
    pub(super) fn field(self, is_whole: bool) -> i32 {
        if is_whole { -self.0 } else { self.0 }
    }

    /// The number after one more commit.
    pub(super) fn next(self) -> Self {
        Self(self.0.checked_add(1).unwrap_or(1))
    }

    /// Whether this is a later number than `other`, in the life of one database.
    #[must_use]
    pub fn is_after(self, other: Self) -> bool {
        match (self.0, other.0) {
            (0, _) => false,
            (_, 0) => true,
            (number, other) => (1..i32::MAX / 2).contains(&(number - other).rem_euclid(i32::MAX)),
        }
    }
}

impl std::fmt::Display for Commits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of commits that the database file at `path` certainly contains, without its `-wal`
/// file. It never decreases, because the file is synced first.
///
/// Not while this process has the database open: the system ends all locks of a process on a file
/// when the process closes the file once. Then another program that opens the database believes to
/// be alone, and deletes the `-wal` file that is in use.
///
/// # Errors
/// If the file cannot be read or synced.
pub fn in_file(path: &Path) -> io::Result<Commits> {
    File::open(path)?.sync_all()?;
    field_in_file(path).map(Commits::from_field)
}

/// Whether the database file at `path` says that it contains every commit. As for [`in_file`], not
/// while it is open.
///
/// # Errors
/// If the file cannot be read.
pub fn is_complete(path: &Path) -> io::Result<bool> {
    Ok(field_in_file(path)? < 0)
}

/// The field in the header of the database file; 0 if it has no header yet.
pub(super) fn field_in_file(path: &Path) -> io::Result<i32> {
    let mut header = Vec::new();
    let length = NUMBER_AT + size_of::<i32>();
    File::open(path)?
        .take(length as u64)
        .read_to_end(&mut header)?;
    let field = header.get(NUMBER_AT..).and_then(|at| at.try_into().ok());
    Ok(field.map_or(0, i32::from_be_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_restarts_at_1_after_the_greatest_number() {
        let greatest = Commits(i32::MAX);
        assert_eq!(greatest.next(), Commits(1));
        for (number, other) in [(1, 0), (2, 1), (1, i32::MAX), (5, i32::MAX - 5)] {
            assert!(Commits(number).is_after(Commits(other)), "{number} {other}");
            assert!(
                !Commits(other).is_after(Commits(number)),
                "{other} {number}"
            );
        }
        assert!(!Commits(7).is_after(Commits(7)));
        assert_eq!(Commits::from_field(i32::MIN), greatest);
    }

    #[test]
    fn only_a_number_is_read() {
        assert_eq!(Commits::parse("0000000012"), Some(Commits(12)));
        for text in ["", "-1", "2147483648", "x"] {
            assert_eq!(Commits::parse(text), None, "{text}");
        }
    }
}
