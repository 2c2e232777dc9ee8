//! Typed identifiers: UUIDv7, so that sorting by id is sorting by time.

use uuid::Uuid;

/// A text that is not an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057")]
pub struct MalformedId;

/// Reads an identifier in the one form that is handed out (hyphenated), so that an id
/// has one spelling.
///
/// # Errors
/// Everything else is malformed.
pub fn parse(text: &str) -> Result<Uuid, MalformedId> {
    if text.len() != 36 {
        return Err(MalformedId);
    }
    Uuid::try_parse(text).map_err(|_| MalformedId)
}

/// An identifier that cannot be taken for another kind of thing's.
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
