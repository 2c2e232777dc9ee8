//! The gRPC services: proto in, domain call, proto out.

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

/// Reads an identifier from a request's field.
fn id<T>(field: &str, text: &str) -> Result<T, Fault>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse()
        .map_err(|error: T::Err| Fault::invalid_field(field, error.to_string()))
}
