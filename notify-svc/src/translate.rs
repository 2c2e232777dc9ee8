//! Translates messages that several services share.

use jiff::Timestamp;
use serde_json::{Map, Value};
use slipway_proto::{common::v1, events::UserRef, time::from_proto};
use slipway_rpc::{access::Principal, error::Fault};

/// The caller, as events and stores refer to users.
pub(crate) fn caller(principal: &Principal) -> UserRef {
    UserRef {
        id: principal.user_id,
        username: principal.username.clone(),
    }
}

/// Translates a user.
pub(crate) fn user(user: &UserRef) -> v1::UserRef {
    v1::UserRef {
        id: user.id.to_string(),
        username: user.username.clone(),
    }
}

/// Parses a JSON object in a field.
///
/// # Errors
/// If it is not a JSON object.
pub(crate) fn object(field: &str, text: &str) -> Result<Map<String, Value>, Fault> {
    serde_json::from_str(text).map_err(|_| Fault::invalid_field(field, "must be a JSON object"))
}

/// Parses the two ends of a period in the filter of a request.
///
/// # Errors
/// If a time is out of range, or the first is later than the second.
pub(crate) fn period(
    from: Option<prost_types::Timestamp>,
    to: Option<prost_types::Timestamp>,
) -> Result<(Option<Timestamp>, Option<Timestamp>), Fault> {
    let time = |field: &str, time: Option<prost_types::Timestamp>| {
        let time = time.map(from_proto).transpose();
        time.map_err(|_| Fault::invalid_field(field, "must be a time of the years -9999 to 9999"))
    };
    let (from, to) = (time("filter.from", from)?, time("filter.to", to)?);
    if to.is_some_and(|to| from.is_some_and(|from| from > to)) {
        return Err(Fault::invalid_field(
            "filter.from",
            "must not be later than to",
        ));
    }
    Ok((from, to))
}
