//! Validates and normalises usernames and email addresses.

use std::{fmt, ops::RangeInclusive};

use email_address::{EmailAddress, Options};
use serde::{Deserialize, Serialize};
use slipway_runtime::text;

/// Names that nobody may register, in lower case: Slipway uses them for itself (as actors of
/// events and in logs), or people read them as "nobody" or "all".
const RESERVED: &[&str] = &[
    "slipway",
    "system",
    "unknown",
    "gateway",
    "release",
    "forum",
    "chat",
    "notify",
    "release-svc",
    "forum-svc",
    "chat-svc",
    "notify-svc",
    "service",
    "assistant",
    "alerts",
    "all",
    "everyone",
    "here",
    "channel",
    // Pronouns, and the empty values of programs.
    "you",
    "everybody",
    "anybody",
    "anyone",
    "somebody",
    "someone",
    "nobody",
    "team",
    "none",
    "null",
    "undefined",
];

/// A name: 3 to 40 of `a-z A-Z 0-9 . _ -`, the first and the last a letter or digit. So
/// punctuation next to a mention is never a part of the name: `@ada.` mentions `ada`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Username(String);

impl Username {
    /// Length of a name in characters.
    pub const LENGTH: RangeInclusive<usize> = 3..=40;

    /// Validates a name that is to be registered.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the field's name.
    pub fn new(name: &str) -> Result<Self, &'static str> {
        let of_word = |c: char| c.is_ascii_alphanumeric();
        if !Self::is_well_formed(name) || !name.starts_with(of_word) || !name.ends_with(of_word) {
            return Err(
                "must be 3 to 40 characters of a-z A-Z 0-9 . _ -, the first and the last a letter \
                 or digit",
            );
        }
        if RESERVED.contains(&key(name).as_str()) {
            return Err("is reserved by Slipway");
        }
        // An assignee is given by id or by name, so a name must not look like an id.
        if uuid::Uuid::try_parse(name).is_ok() {
            return Err("must not be an id");
        }
        Ok(Self(name.to_owned()))
    }

    /// Whether an account can have this name. Unlike [`Self::new`], it accepts names of older
    /// accounts, which may be reserved now or begin or end with another character.
    #[must_use]
    pub fn is_well_formed(name: &str) -> bool {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        Self::LENGTH.contains(&name.len()) && name.chars().all(allowed)
    }

    /// The unique key: the name in lower case.
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

/// What people call a user: 1 to 80 characters in one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DisplayName(String);

impl DisplayName {
    /// Characters at most.
    pub const MOST: usize = 80;

    /// Validates a name. Blanks at its ends are dropped; `None` if nothing else is given.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the field's name.
    pub fn new(name: &str) -> Result<Option<Self>, &'static str> {
        let name = text::kept_line(name);
        if name.is_empty() {
            return Ok(None);
        }
        if text::is_blank(&name) || name.chars().count() > Self::MOST {
            return Err("must have at most 80 characters, and one that can be seen");
        }
        text::check_line(&name)?;
        Ok(Some(Self(name)))
    }
}

impl fmt::Display for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An email address of at most 254 characters, in one form (NFC).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// Validates an address that is to be registered.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the field's name.
    pub fn new(address: &str) -> Result<Self, &'static str> {
        let plain = Options::default()
            .without_display_text()
            .without_domain_literal();
        let address = text::normal(address);
        // A quoted local part may hold almost anything, even line breaks, and is not used in
        // practice.
        let quoted = address.starts_with('"');
        // An address with an invisible character looks like another address.
        let fits = address.len() <= 254 && !address.contains(text::is_invisible);
        let is_deliverable = || Self::ascii_domain(&address).is_some();
        match EmailAddress::parse_with_options(&address, plain) {
            Ok(_) if fits && !quoted && is_deliverable() => Ok(Self(address)),
            _ => Err("must be an email address"),
        }
    }

    /// The unique key: the address in lower case, with its domain in ASCII.
    #[must_use]
    pub fn key(&self) -> String {
        key(&self.0)
    }

    /// The address in lower case with its domain in ASCII (`bücher.example` is
    /// `xn--bcher-kva.example`); `None` if the domain cannot be converted.
    fn ascii_domain(address: &str) -> Option<String> {
        let (local, domain) = address.rsplit_once('@')?;
        // An ASCII domain is used as it is, even with an underscore.
        let domain = match domain.is_ascii() {
            true => domain.to_owned(),
            false => idna::domain_to_ascii(domain).ok()?,
        };
        Some(format!("{local}@{domain}").to_lowercase())
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The key by which names and addresses are compared: lower case, normalised. A username cannot
/// contain an `@` and an address must, so their keys never collide.
#[must_use]
pub fn key(text: &str) -> String {
    let text = text::normal(text);
    Email::ascii_domain(&text).unwrap_or_else(|| text.to_lowercase())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn usernames_are_short_and_plain() {
        for good in ["ada", "A.d_a-1", &"x".repeat(40)] {
            assert!(Username::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "ab",
            &"x".repeat(41),
            "a b c",
            "ada@x",
            "ädä",
            "ada\n",
            "ada.",
            "ada-",
            "_ada",
            "---",
        ] {
            assert!(Username::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Username::new("ADA").unwrap().key(), "ada");
        for invisible in [
            '\u{202e}', '\u{2066}', '\u{200b}', '\u{200f}', '\u{feff}', '\u{1b}',
        ] {
            assert!(
                Username::new(&format!("ada{invisible}")).is_err(),
                "{invisible:?}"
            );
        }
    }

    #[test]
    fn reserved_names_cannot_be_registered() {
        for reserved in [
            "system",
            "Slipway",
            "GATEWAY",
            "unknown",
            "release-svc",
            "Everyone",
        ] {
            let refused = Username::new(reserved).unwrap_err();
            assert_eq!(refused, "is reserved by Slipway", "{reserved}");
        }
        for free in ["admin", "systems", "slipway2", "forum.moderator"] {
            assert!(Username::new(free).is_ok(), "{free}");
        }
    }

    #[test]
    fn a_name_must_not_look_like_an_id() {
        let id = uuid::Uuid::now_v7().to_string();
        for id in [id.to_uppercase(), id.replace('-', ""), id] {
            assert_eq!(Username::new(&id), Err("must not be an id"));
        }
    }

    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        let keys = |addresses: &[&str]| {
            let keys = addresses.iter().map(|text| Email::new(text).unwrap().key());
            keys.collect::<BTreeSet<_>>()
        };
        let one = [
            "ada@bücher.example",
            "Ada@BÜCHER.example",
            "ada@bu\u{308}cher.example",
            "ada@xn--bcher-kva.example",
        ];
        assert_eq!(keys(&one).len(), 1, "{:?}", keys(&one));
        assert_eq!(keys(&["ädä@x.org", "a\u{308}DÄ@x.org"]).len(), 1);
        assert_eq!(keys(&["ada@x.org", "ädä@x.org"]).len(), 2);
        let stored = Email::new("a\u{308}da@Bücher.example").unwrap();
        assert_eq!(stored.to_string(), "äda@Bücher.example");
        // A domain that cannot be converted to ASCII cannot receive mail.
        assert!(Email::new("ada@\u{221e}\u{301}-.example").is_err());
    }

    #[test]
    fn a_display_name_is_one_line_that_can_be_seen() {
        let new = DisplayName::new;
        let name = |text: &str| new(text).unwrap().map(|name| name.to_string());
        assert_eq!(name(" Ada Lovelace "), Some("Ada Lovelace".to_owned()));
        assert_eq!(name("<b>Ada</b>").as_deref(), Some("<b>Ada</b>"));
        assert_eq!((name(""), name(" \u{200b} ")), (None, None));
        assert!(new(&"ä".repeat(80)).is_ok() && new(&"ä".repeat(81)).is_err());
        for bad in ["Ada\r\nBcc: eve@x.org", "A\u{202e}da", "a\tb"] {
            assert!(new(bad).is_err(), "{bad:?}");
        }
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
            "a\u{202e}da@x.org",
            "a\u{200b}da@x.org",
            "ada@x\u{2066}y.org",
            "a\u{3164}da@x.org",
            "a\u{2800}da@x.org",
            "ada@x.org\u{2028}",
            &long,
        ] {
            assert!(Email::new(bad).is_err(), "{bad:?}");
        }
    }
}
