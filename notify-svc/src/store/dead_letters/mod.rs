//! What the desk of dead letters needs of a database.

pub(crate) mod mongo;
pub(crate) mod sqlite;

#[cfg(test)]
mod contract;

use async_trait::async_trait;
use slipway_mesh::{
    bus::{Record, consumer::DeadLetter},
    page::Page,
};

use super::StoreError;
use crate::dead_letter::{Act, DeadLetterId, Filed, Filter, Summary};

/// The filed dead letters.
#[async_trait]
pub trait DeadLetterStore: Send + Sync + 'static {
    /// Files dead letters, each once: one that is filed already, by its
    /// [`DeadLetter::identity`], is passed over. Returns how many were new.
    ///
    /// # Errors
    /// If the database is away. Then some of them may be filed: try again with all.
    async fn file(&self, letters: Vec<Filed>) -> Result<usize, StoreError>;

    /// Those that `filter` admits, newest first, behind `after`. May be fewer than `limit`
    /// though more follow: a page has a weight, and a limit to how many it examines.
    ///
    /// # Errors
    /// If the database is away.
    async fn list(
        &self,
        filter: &Filter,
        after: Option<DeadLetterId>,
        limit: u32,
    ) -> Result<Page<Summary, DeadLetterId>, StoreError>;

    /// One of them.
    ///
    /// # Errors
    /// If the database is away.
    async fn get(&self, id: DeadLetterId) -> Result<Option<Filed>, StoreError>;

    /// Notes that it was replayed and puts `record` into the outbox, in one write; but
    /// only if it still waits: returns whether it did. Of two who replay it at the same
    /// moment, one does.
    ///
    /// # Errors
    /// If the database is away: then it is not known whether it was replayed.
    async fn replay(&self, id: DeadLetterId, act: Act, record: Record) -> Result<bool, StoreError>;
}

/// The hash of what tells a dead letter from all others: what of it is long, its headers,
/// anybody could have written.
fn identity(letter: &DeadLetter) -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(letter.identity()).to_vec()
}
