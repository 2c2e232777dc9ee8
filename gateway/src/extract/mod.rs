//! Extractors for requests: the caller, the path, the query, the body. Every error is answered
//! with a [`crate::problem::Problem`].
//!
//! A body for an operation that takes none (`PATCH …/start`) is refused by [`crate::operation`].

mod caller;
mod hook;
mod params;
mod payload;
mod values;

pub(crate) use caller::{
    AnonymousClient, BrowserCookie, Caller, EarlierCookie, MAX_IDEMPOTENCY_KEY, NotForeign, visitor,
};
pub(crate) use hook::Hook;
pub(crate) use params::{ListParams, Params, PathId, PathName};
pub(crate) use payload::Payload;
pub(crate) use values::{
    PlainMessage, clearable, clearable_time, clearable_whole, filled, flag, given, given_whole,
    list, or_absent, parsed, parsed_if_any, time, trimmed, up_to,
};
