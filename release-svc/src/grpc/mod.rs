//! The gRPC services: each method translates the request, calls the domain, and translates the
//! result.

mod conditions;
mod drafts;
mod identity;
mod releases;
mod tasks;
mod translate;

pub(crate) use identity::Identity;
pub(crate) use releases::Releases;
pub(crate) use tasks::Tasks;

use std::{fmt::Display, str::FromStr};

use slipway_rpc::error::Fault;

use crate::release::Revision;

/// Parses an id in a field of a request.
fn id<T>(field: &str, text: &str) -> Result<T, Fault>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse()
        .map_err(|error: T::Err| Fault::invalid_field(field, error.to_string()))
}

/// The revision that a request is based on; 0 means none.
fn revision(revision: u64) -> Option<Revision> {
    (revision != 0).then_some(Revision(revision))
}
