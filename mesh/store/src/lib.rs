//! Documents behind one port, with an adapter for SQLite and one for MongoDB.
//!
//! A service stores each of its aggregates as one document. The type implements [`Document`] and
//! declares its collection, its unique keys, and its lists. All access goes through [`Documents`],
//! so a store is written once and runs on both databases.
//!
//! The port guarantees only what both databases can do with a single document:
//!
//! - A write of one document is atomic, including its index entries, the events about it (outbox)
//!   and the receipt of the request that caused it.
//! - A change replaces the document only at the revision that the writer has read. If another
//!   writer was faster, the write is [refused](Refusal::Revision).
//! - The database itself enforces unique keys, also for concurrent writes, and the refusal names
//!   the index.
//! - A list is read in the order of a declared index, starting at a key. Every query uses an index,
//!   because there are no other queries.
//! - Several documents can be written [in order](Documents::write_in_order): if this is
//!   interrupted, the stored writes are the first ones.
//!
//! There are no transactions over several documents, no joins and no query language.

pub mod base64_bytes;
mod document;
mod documents;
pub mod due;
mod error;
pub mod json_text;
pub mod metrics;
mod mongo;
mod order;
pub mod outbox;
mod query;
pub mod receipts;
mod sqlite;
#[cfg(feature = "testing")]
pub mod testing;
mod write;

#[cfg(test)]
mod contract;

pub use self::{
    document::{BY_ID, Collection, Document, Entries, Index, IndexKind},
    documents::{Documents, Schema},
    error::StoreError,
    order::{behind_time, by_time},
    query::{Direction, Query},
    write::{Refusal, Write},
};
