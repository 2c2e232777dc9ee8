//! The wall of activity, live.
//!
//! The [`hub`] follows the activity log by one stream for the whole process, renders each
//! entry once to a [`frame`] and hands it to everyone who listens. A [`session`] is one
//! client: it fetches what the client has missed, then goes on with what the hub hands
//! out, without a gap or a repeat at the seam, and leaves out what its [`filter`] does not
//! let through.

mod filter;
mod frame;
mod hub;
mod session;

pub(crate) use filter::{Filter, TypePattern};
pub(crate) use hub::Hub;
pub(crate) use session::Session;
