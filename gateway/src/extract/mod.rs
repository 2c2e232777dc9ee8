//! Reading requests: who calls, the path, the query, the body. Every way in which one of
//! them can be wrong is a [`crate::problem::Problem`].
//!
//! An operation that takes no body (`PATCH …/start`) does not look at one: whatever a
//! client sends there, up to the size that any body may have, is ignored.

mod caller;
mod hook;
mod params;
mod payload;
mod values;

pub(crate) use caller::{AnonymousClient, COOKIE, Caller, MAX_IDEMPOTENCY_KEY};
pub(crate) use hook::Hook;
pub(crate) use params::{ListParams, Params, PathId, PathName};
pub(crate) use payload::Payload;
pub(crate) use values::{PlainMessage, flag, list, or_absent, parsed, parsed_if_any, time, up_to};
