//! The audit trail: every change that somebody made, as a chain of hashes that shows whether an
//! entry was changed, removed or moved later.
//!
//! | question | in |
//! | --- | --- |
//! | What does an entry contain, and what is its hash? | [`entry`] |
//! | When is a chain whole? | [`chain`] |
//! | What is the evidence of a release? | [`evidence`] |
//! | Which fields did a change affect? | [`changes`] |
//!
//! Entries are never deleted, because the chain would break. The types outside of `store`, `service`
//! and `jobs` are pure.

pub mod chain;
pub mod changes;
pub mod entry;
pub mod evidence;
mod filter;
pub(crate) mod jobs;
pub(crate) mod service;
pub mod store;

use slipway_proto::events::{CHAT, NOTIFICATIONS, SYSTEM, Topic};

pub use chain::{Broken, Chain, Flaw, Head};
pub use entry::Entry;
pub use evidence::Evidence;
pub use filter::Filter;

/// Whether events of a topic are changes that somebody made. Talking to the assistant changes
/// nothing, a mail is a consequence, and faults are incidents.
#[must_use]
pub fn is_audited(topic: &Topic) -> bool {
    ![CHAT, NOTIFICATIONS, SYSTEM].contains(topic)
}
