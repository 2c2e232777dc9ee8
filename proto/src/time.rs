//! Conversion of times to and from protobuf.

use jiff::Timestamp;

/// Converts a time to protobuf. Its nanoseconds count forward, also before 1970.
#[must_use]
pub fn to_proto(time: Timestamp) -> prost_types::Timestamp {
    let nanos = time.subsec_nanosecond();
    let before = nanos < 0;
    prost_types::Timestamp {
        seconds: time.as_second() - i64::from(before),
        nanos: nanos + if before { 1_000_000_000 } else { 0 },
    }
}

/// Converts a time from protobuf.
///
/// # Errors
/// If it is outside the years -9999 to 9999, or its nanoseconds are not a fraction of a second.
pub fn from_proto(time: prost_types::Timestamp) -> Result<Timestamp, jiff::Error> {
    Timestamp::new(time.seconds, time.nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_count_forward_before_and_after_the_epoch() -> Result<(), jiff::Error> {
        let after = to_proto("1970-01-01T00:00:01.250Z".parse()?);
        assert_eq!((after.seconds, after.nanos), (1, 250_000_000));
        let before = to_proto("1969-12-31T23:59:59.750Z".parse()?);
        assert_eq!((before.seconds, before.nanos), (-1, 750_000_000));
        for time in [after, before] {
            assert_eq!(to_proto(from_proto(time)?), time);
        }
        Ok(())
    }
}
