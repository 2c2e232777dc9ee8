//! Names, addresses and passwords within their limits.

use std::fmt;

use email_address::{EmailAddress, Options};
use slipway_mesh::text;

/// A name: 3 to 40 of `a-z A-Z 0-9 . _ -`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// A name asked for.
    ///
    /// # Errors
    /// What is wrong, continuing a sentence that begins with the field's name.
    pub fn new(name: &str) -> Result<Self, &'static str> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if (3..=40).contains(&name.len()) && name.chars().all(allowed) {
            Ok(Self(name.to_owned()))
        } else {
            Err("must be 3 to 40 characters of a-z A-Z 0-9 . _ -")
        }
    }

    /// A name as it was stored.
    #[must_use]
    pub fn stored(name: String) -> Self {
        Self(name)
    }

    /// What is unique: the name in lower case.
    #[must_use]
    pub fn key(&self) -> String {
        key(&self.0)
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An email address of at most 254 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// An address asked for.
    ///
    /// # Errors
    /// What is wrong, continuing a sentence that begins with the field's name.
    pub fn new(address: &str) -> Result<Self, &'static str> {
        let plain = Options::default()
            .without_display_text()
            .without_domain_literal();
        // A quoted local part may hold almost anything, line breaks included; nobody
        // has one.
        let quoted = address.starts_with('"');
        let fits = address.len() <= 254 && text::check_line(address).is_ok();
        match EmailAddress::parse_with_options(address, plain) {
            Ok(_) if fits && !quoted => Ok(Self(address.to_owned())),
            _ => Err("must be an email address"),
        }
    }

    /// An address as it was stored.
    #[must_use]
    pub fn stored(address: String) -> Self {
        Self(address)
    }

    /// What is unique: the address in lower case.
    #[must_use]
    pub fn key(&self) -> String {
        key(&self.0)
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a name or an address is compared by.
#[must_use]
pub fn key(text: &str) -> String {
    text.to_lowercase()
}

/// A password of 8 to 128 characters that is to be set. It has no `Debug`.
pub struct NewPassword(String);

impl NewPassword {
    /// A password asked for.
    ///
    /// # Errors
    /// What is wrong, continuing a sentence that begins with the field's name.
    pub fn new(password: String) -> Result<Self, &'static str> {
        if (8..=128).contains(&password.chars().count()) {
            Ok(Self(password))
        } else {
            Err("must have 8 to 128 characters")
        }
    }

    /// The password.
    #[must_use]
    pub fn into_inner(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_are_short_and_plain() {
        for good in ["ada", "A.d_a-1", &"x".repeat(40)] {
            assert!(Username::new(good).is_ok(), "{good}");
        }
        for bad in ["", "ab", &"x".repeat(41), "a b c", "ada@x", "ädä", "ada\n"] {
            assert!(Username::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Username::new("ADA").unwrap().key(), "ada");
    }

    #[test]
    fn email_addresses_are_plain() {
        for good in ["ada@example.com", "a.b+c@x.org", "admin@localhost"] {
            assert!(Email::new(good).is_ok(), "{good}");
        }
        let long = format!("{}@example.com", "x".repeat(250));
        for bad in [
            "",
            "ada",
            "@x.org",
            "ada@",
            "ada@x.org\r\nBcc: eve@x.org",
            "\"a b\"@x.org",
            "Ada <ada@x.org>",
            "ada@[127.0.0.1]",
            &long,
        ] {
            assert!(Email::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn passwords_have_eight_to_128_characters() {
        assert!(NewPassword::new("ä".repeat(8)).is_ok());
        assert!(NewPassword::new("x".repeat(7)).is_err());
        assert!(NewPassword::new("x".repeat(129)).is_err());
    }
}
