//! The activity log: how an event reads in the activity feed, filters for entries, the store and
//! the API.

mod entry;
mod filter;
pub(crate) mod jobs;
pub(crate) mod log_end;
mod sentence;
pub(crate) mod service;
pub mod store;

use slipway_proto::events::{ADMIN, CHAT, NOTIFICATIONS, SYSTEM, Topic};

pub use entry::{Activity, Entry};
pub(crate) use entry::{commented_task, release_of};
pub use filter::{Filter, MalformedPattern, TypePattern};
pub(crate) use service::type_patterns;

/// Whether events of a topic appear in the activity feed, which every user can read. Mails are
/// private to their recipient, and each is about an event that is in the feed. Use of the assistant
/// is private. Incidents, ends of sessions, and what administrators change of Slipway itself, are
/// for administrators.
#[must_use]
pub fn is_shown(topic: &Topic) -> bool {
    ![CHAT, NOTIFICATIONS, SYSTEM, ADMIN].contains(topic)
}
