//! What a configuration key is. The keys themselves are in the table of `settings`.

use slipway_runtime::text;

use super::format::Shape;
use crate::cli::Role;

/// One configuration key. In files it is called by its name, in the environment and on the
/// command line by what is derived from it.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// For example `data_dir`.
    pub name: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// What applies when it is not set.
    pub fallback: Fallback,
    /// The roles that read it, apart from [`Role::All`].
    pub roles: &'static [Role],
    /// Whether its value must not be shown.
    pub secret: bool,
    pub(super) shape: fn() -> Shape,
}

/// What applies when a key is not set.
#[derive(Debug, Clone, Copy)]
pub enum Fallback {
    /// This value.
    Value(&'static str),
    /// There is no default value.
    Unset {
        /// What Slipway does without a value.
        meaning: &'static str,
        /// A value that somebody could set.
        example: &'static str,
    },
}

impl Fallback {
    /// The default as shown to people.
    #[must_use]
    pub fn text(&self) -> &'static str {
        match self {
            Self::Value(text) | Self::Unset { meaning: text, .. } => text,
        }
    }
}

impl Key {
    /// What a value must be; completes "must be …".
    #[must_use]
    pub fn expects(&self) -> String {
        (self.shape)().expects
    }

    /// Whether its values are numbers, `true` or `false`, which need no quotes in a file.
    #[must_use]
    pub fn is_unquoted(&self) -> bool {
        (self.shape)().unquoted
    }

    /// Its name in the environment, for example `SLIPWAY_DATA_DIR`.
    #[must_use]
    pub fn env(&self) -> String {
        format!("SLIPWAY_{}", self.name.to_uppercase())
    }

    /// The name in the environment of a file with its value, if it is a secret: for example
    /// `SLIPWAY_SERVICE_SECRET_FILE`.
    #[must_use]
    pub fn env_file(&self) -> String {
        format!("{}_FILE", self.env())
    }

    /// Its name as a flag, without the dashes in front, for example `data-dir`.
    #[must_use]
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// Whether a process of `role` reads it.
    #[must_use]
    pub fn concerns(&self, role: Role) -> bool {
        role == Role::All || self.roles.contains(&role)
    }
}

/// Which of `names` was probably meant by `name`, which is none of them.
pub(super) fn meant_by<'a>(
    name: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let name = name.to_lowercase().replace('-', "_");
    // As it is called in the environment.
    let name = name.strip_prefix("slipway_").unwrap_or(&name);
    text::meant_by(name, names)
}

/// From the table of keys, makes everything that has one item for each of them:
///
/// - `Keys` with the one value `KEYS`, so that a key is written `KEYS.http_addr`, and `ALL`;
/// - `Settings`, the values that the program works with;
/// - `Values`, the same while they are read: each is `None` if it has no value that can be used.
///
/// A row is `/// help`, `name: type = fallback, format, roles;`, with `, secret` at its end if the
/// value must not be shown. The fallback is `default(text)`, or `unset(meaning, example)`, which
/// makes the setting an `Option`.
macro_rules! keys {
    ($(
        $(#[doc = $help:literal])+
        $name:ident: $type:ty = $kind:ident($($fallback:literal),+), $format:expr, $roles:expr
        $(, $secret:ident)?;
    )+) => {
        /// Every configuration key, by its name.
        pub struct Keys {
            $($(#[doc = $help])+ pub $name: Key,)+
        }

        /// Every configuration key, by its name.
        pub static KEYS: Keys = Keys {
            $($name: Key {
                name: stringify!($name),
                help: concat!($($help),+).trim_ascii_start(),
                fallback: keys!(@fallback $kind $($fallback)+),
                roles: $roles,
                secret: keys!(@secret $($secret)?),
                shape: || {
                    let format: Format<$type> = $format;
                    format.shape
                },
            },)+
        };

        /// Every key, in the order in which they are shown.
        pub static ALL: &[&Key] = &[$(&KEYS.$name),+];

        /// A valid configuration. `Debug` does not show secrets.
        #[derive(Debug, Clone)]
        pub struct Settings {
            $($(#[doc = $help])+ pub $name: keys!(@setting $kind $type),)+
            /// The keys that are not left at their defaults.
            set: BTreeSet<&'static str>,
        }

        /// The values of the keys, those that can be used.
        pub(super) struct Values {
            $(pub(super) $name: Option<$type>,)+
        }

        impl Values {
            /// Reads every key, so that every problem is found.
            pub(super) fn read(reader: &mut Reader<'_>) -> Self {
                Self {
                    $($name: reader.read(&KEYS.$name, &$format),)+
                }
            }

            /// `None` if a key that has a default has a value that cannot be used.
            pub(super) fn complete(self, set: BTreeSet<&'static str>) -> Option<Settings> {
                Some(Settings {
                    $($name: keys!(@complete $kind self.$name),)+
                    set,
                })
            }
        }
    };
    (@fallback default $text:literal) => { Fallback::Value($text) };
    (@fallback unset $meaning:literal $example:literal) => {
        Fallback::Unset { meaning: $meaning, example: $example }
    };
    (@setting default $type:ty) => { $type };
    (@setting unset $type:ty) => { Option<$type> };
    (@complete default $value:expr) => { $value? };
    (@complete unset $value:expr) => { $value };
    (@secret) => { false };
    (@secret secret) => { true };
}
pub(super) use keys;

#[cfg(test)]
mod tests {
    use super::{super::ALL, *};

    fn names() -> impl Iterator<Item = &'static str> {
        ALL.iter().map(|key| key.name)
    }

    #[test]
    fn a_mistyped_name_finds_the_one_that_was_meant() {
        for (typed, meant) in [
            ("data-dir", "data_dir"),
            ("SLIPWAY_DATA_DIR", "data_dir"),
            ("htp_addr", "http_addr"),
            ("token_tll", "token_ttl"),
            ("admin_pasword", "admin_password"),
        ] {
            assert_eq!(meant_by(typed, names()), Some(meant));
        }
        assert_eq!(meant_by("colour", names()), None);
    }

    #[test]
    fn names_are_flat() {
        let plain = |c: char| c.is_ascii_lowercase() || c == '_';
        for name in names() {
            assert!(name.chars().all(plain), "{name}");
        }
    }

    #[test]
    fn what_is_described_is_one_sentence() {
        for key in ALL {
            for text in [key.help, &key.expects()] {
                let whole = !text.contains("  ") && text == text.trim() && !text.ends_with('.');
                assert!(whole && !text.contains('|'), "{}: {text:?}", key.name);
            }
        }
    }
}
