//! The activity log's own terms: what an entry is, how an event reads on the wall, and
//! which entries a reader wants. Pure: no I/O, no async, no clock.

mod entry;
mod filter;
mod sentence;

pub use entry::{Activity, Entry};
pub use filter::{Filter, MalformedPattern, TypePattern};
