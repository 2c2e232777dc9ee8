//! What administrators have saved of templates, in a database: the latest version of each
//! type, and those before it.

pub(crate) mod mongo;
pub(super) mod sqlite;

#[cfg(test)]
mod contract;

use async_trait::async_trait;
use slipway_mesh::life::Check;

pub(crate) use mongo::MongoTemplateStore;
pub(crate) use sqlite::SqliteTemplateStore;

use super::StoreError;
use crate::templates::Version;

/// Versions kept of each type, the latest among them.
pub const VERSIONS_KEPT: u64 = 50;

/// Types of administrators' own, as far as they are not deleted, at most.
pub const OWN_TYPES: usize = 200;

/// What became of a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// It is stored.
    Stored,
    /// Another was faster: its number is not the next.
    Overtaken,
    /// There are [`OWN_TYPES`] already.
    Full,
}

/// How far a type has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The type.
    pub kind: String,
    /// The number of its latest version.
    pub number: u64,
}

/// Saved templates.
#[async_trait]
pub trait TemplateStore: Check {
    /// How far each type has come that was ever saved, by name.
    ///
    /// # Errors
    /// If the database is away.
    async fn heads(&self) -> Result<Vec<Head>, StoreError>;

    /// The latest versions of these types, by name; those never saved are left out.
    ///
    /// # Errors
    /// If the database is away.
    async fn latest(&self, kinds: &[String]) -> Result<Vec<Version>, StoreError>;

    /// Versions of a type that are kept, newest first, those with a smaller number than
    /// `before`, at most `limit`.
    ///
    /// # Errors
    /// If the database is away.
    async fn versions(
        &self,
        kind: &str,
        before: u64,
        limit: u32,
    ) -> Result<Vec<Version>, StoreError>;

    /// Stores the version that follows the latest one of its type, unless its number is
    /// not the next, or it would be of one of administrators' own types too many: those
    /// whose latest version has a sample. Of the versions before, only [`VERSIONS_KEPT`]
    /// stay.
    ///
    /// # Errors
    /// If the database is away. Then it is not known whether it is stored.
    async fn append(&self, version: Version) -> Result<Saved, StoreError>;
}
