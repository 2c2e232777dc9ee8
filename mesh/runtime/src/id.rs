//! Typed identifiers: UUIDv7, so that sorting by id sorts by time of creation.

use jiff::Timestamp;
use parking_lot::Mutex;
use uuid::{Builder, Uuid};

/// A text that is not an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057")]
pub struct MalformedId;

/// Parses an identifier, only in the hyphenated form that Slipway itself uses, so that an id has
/// one spelling.
///
/// # Errors
/// If the text has any other form.
pub fn parse(text: &str) -> Result<Uuid, MalformedId> {
    if text.len() != 36 {
        return Err(MalformedId);
    }
    Uuid::try_parse(text).map_err(|_| MalformedId)
}

/// A new identifier with the time `now`. Those that this
/// process makes in the same millisecond keep their order, unless other times come in between.
#[must_use]
pub fn at(now: Timestamp) -> Uuid {
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    // The first 12 bits after the time count the identifiers of the millisecond.
    let mut bytes: [u8; 10] = rand::random();
    bytes[..2].copy_from_slice(&count_in(millis).to_be_bytes());
    Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}

/// How many identifiers this process has made in a row in this millisecond; from 4096 on, 4095.
fn count_in(millis: u64) -> u16 {
    static LAST: Mutex<(u64, u16)> = Mutex::new((0, 0));
    let mut last = LAST.lock();
    *last = match *last {
        (same, count) if same == millis => (same, (count + 1).min(0x0FFF)),
        _ => (millis, 0),
    };
    last.1
}

/// The smallest identifier with the time `now`: all identifiers of earlier times are smaller. So a
/// range of times is a range of identifiers.
#[must_use]
pub fn first_at(now: Timestamp) -> Uuid {
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}

/// Defines an identifier type that cannot be confused with those of other kinds of objects.
#[macro_export]
macro_rules! typed_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            ::serde::Serialize, ::serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub ::uuid::Uuid);

        impl $name {
            /// A new identifier; later ones sort after earlier ones.
            #[must_use]
            pub fn generate() -> Self {
                Self(::uuid::Uuid::now_v7())
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::id::MalformedId;

            fn from_str(text: &str) -> ::std::result::Result<Self, Self::Err> {
                $crate::id::parse(text).map(Self)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_of_a_millisecond_keep_their_order() {
        let now = Timestamp::from_millisecond(1_798_761_600_000).unwrap();
        let made: Vec<_> = (0..1000).map(|_| at(now)).collect();
        // Another test may have made one of another time in between.
        let descents = made.windows(2).filter(|pair| pair[0] >= pair[1]).count();
        assert!(descents <= 1, "{descents}");
        assert!(made[0] > first_at(now) && made[0].get_version_num() == 7);
    }
}
