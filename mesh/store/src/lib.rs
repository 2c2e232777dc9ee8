//! Documents behind one port, with an adapter for SQLite and one for MongoDB.
//!
//! A service keeps each of its things as one document. Its type says, as [`Document`], in
//! which collection it is, what must be unique, and in which lists it is found. All access
//! goes through [`Documents`], so that a store is written once and runs on both databases.
//!
//! What the port promises is what both databases do for a single document:
//!
//! - A write of one document is atomic, together with its index entries, the events that
//!   tell of it (outbox) and the receipt of the request that caused it.
//! - A change replaces the document of the revision that the writer has read. If somebody
//!   else was faster, the write is [refused](Refusal::Revision).
//! - A unique key is refused by the database itself, whoever else writes at the same
//!   moment, and the refusal names the index.
//! - A list is read in the order of a declared index, from a key on: every query has one,
//!   because there is no other way to ask.
//!
//! - Writes of several documents can be carried out [in order](Documents::write_in_order):
//!   wherever they end, those that are stored are the first of them.
//!
//! There are no transactions over several documents, no joins and no query language.

pub mod base64_bytes;
mod document;
mod documents;
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
    document::{BY_ID, Collection, Document, Entries, Index},
    documents::{Documents, Schema},
    error::StoreError,
    order::{behind_time, by_time},
    query::{Direction, Query},
    write::{Refusal, Write},
};
