//! The activity log's own terms: what an entry is, how an event reads on the wall, and
//! which entries a reader wants. Pure: no I/O, no async, no clock.

mod entry;
mod filter;
pub(crate) mod jobs;
pub(crate) mod log_end;
mod sentence;
pub(crate) mod service;
pub mod store;

use slipway_proto::events::{CHAT, NOTIFICATIONS, SYSTEM, Topic};

pub use entry::{Activity, Entry};
pub use filter::{Filter, MalformedPattern, TypePattern};

/// Whether the wall shows the events of a topic. Who was sent which mail is between
/// Slipway and its recipient, and every mail tells of an event that is on the wall. That
/// somebody talks to the assistant is nobody else's business. What is wrong with the system
/// is for its administrators: everybody reads the wall.
#[must_use]
pub fn is_shown(topic: &Topic) -> bool {
    ![CHAT, NOTIFICATIONS, SYSTEM].contains(topic)
}
