//! The live activity stream.
//!
//! The [`hub`] follows the activity log by one stream per process, renders each entry once to a
//! [`frame`] and broadcasts it. A [`session`] is one client: it fetches the entries that the client
//! has missed, continues with the broadcast entries without a gap or a repeat, and drops entries
//! that do not match its [`filter`].

mod filter;
mod frame;
mod hub;
mod session;

pub(crate) use filter::{Filter, TypePattern};
pub(crate) use hub::Hub;
pub(crate) use session::Session;
