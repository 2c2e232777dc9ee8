//! Reads the proto messages of services. A missing or malformed field is an internal error.

use std::fmt;

use jiff::Timestamp;
use slipway_proto::time::from_proto;
pub(super) use slipway_proto::time::to_proto;
use slipway_rpc::error::Fault;

use super::Id;
use crate::problem::Problem;

/// A response of a service without a field that the contract requires.
#[derive(Debug)]
pub(crate) struct Malformed(&'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a service answered without a valid {}", self.0)
    }
}

impl From<Malformed> for Problem {
    fn from(malformed: Malformed) -> Self {
        Fault::internal(malformed).into()
    }
}

/// A field that the contract requires.
pub(crate) fn required<T>(field: &'static str, value: Option<T>) -> Result<T, Malformed> {
    value.ok_or(Malformed(field))
}

pub(super) fn id(field: &'static str, text: &str) -> Result<Id, Malformed> {
    text.parse().map_err(|_| Malformed(field))
}

pub(super) fn optional_id(field: &'static str, text: &str) -> Result<Option<Id>, Malformed> {
    match text {
        "" => Ok(None),
        text => id(field, text).map(Some),
    }
}

pub(super) fn time(
    field: &'static str,
    value: Option<prost_types::Timestamp>,
) -> Result<Timestamp, Malformed> {
    required(field, optional_time(field, value)?)
}

pub(super) fn optional_time(
    field: &'static str,
    value: Option<prost_types::Timestamp>,
) -> Result<Option<Timestamp>, Malformed> {
    value
        .map(|time| from_proto(time).map_err(|_| Malformed(field)))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_the_conversion_to_proto_and_back() {
        for text in [
            "2026-03-01T10:00:00.25Z",
            "1969-12-31T23:59:59.75Z",
            "1970-01-01T00:00:00Z",
        ] {
            let original: Timestamp = text.parse().unwrap();
            let proto = to_proto(original);
            assert!(proto.nanos >= 0);
            assert_eq!(time("t", Some(proto)).unwrap(), original);
        }
    }

    #[test]
    fn a_required_time_must_be_present() {
        assert!(time("t", None).is_err());
        assert!(optional_time("t", None).unwrap().is_none());
    }
}
