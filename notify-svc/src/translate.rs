//! Between the contract's messages and this crate's terms, where several services need it.

use jiff::Timestamp;
use serde_json::{Map, Value};
use slipway_proto::{common::v1, events::UserRef, time::from_proto};
use slipway_rpc::{access::Principal, error::Fault};

/// Who calls, as events and stores name them.
pub(crate) fn caller(principal: &Principal) -> UserRef {
    UserRef {
        id: principal.user_id,
        username: principal.username.clone(),
    }
}

/// A user as the contract shows them.
pub(crate) fn user(user: &UserRef) -> v1::UserRef {
    v1::UserRef {
        id: user.id.to_string(),
        username: user.username.clone(),
    }
}

/// A JSON object in a field.
///
/// # Errors
/// If it is none.
pub(crate) fn object(field: &str, text: &str) -> Result<Map<String, Value>, Fault> {
    serde_json::from_str(text).map_err(|_| Fault::invalid_field(field, "must be a JSON object"))
}

/// The times between which something happened that is asked for.
///
/// # Errors
/// If one is no time of ours, or nothing can be between them.
pub(crate) fn period(
    from: Option<prost_types::Timestamp>,
    to: Option<prost_types::Timestamp>,
) -> Result<(Option<Timestamp>, Option<Timestamp>), Fault> {
    let time = |field: &str, time: Option<prost_types::Timestamp>| {
        let time = time.map(from_proto).transpose();
        time.map_err(|_| Fault::invalid_field(field, "must be a time of the years -9999 to 9999"))
    };
    let (from, to) = (time("from", from)?, time("to", to)?);
    if to.is_some_and(|to| from.is_some_and(|from| from > to)) {
        return Err(Fault::invalid_field("from", "must not be later than to"));
    }
    Ok((from, to))
}
