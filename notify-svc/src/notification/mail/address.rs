//! Email addresses in a form that every mail server accepts.
//!
//! A domain with non-ASCII characters (`bücher.example`) is converted to the form that every server
//! and DNS know (`xn--bcher-kva.example`), which is used in the envelope, the headers and the
//! `Message-ID`. The part before the `@` has no such form: a server accepts other characters there
//! only if it offers SMTPUTF8.

use std::str::FromStr;

use lettre::message::Mailbox;
use slipway_runtime::text::{check_line, is_blank};

/// Maximum length of an address in bytes (RFC 5321, section 4.5.3.1.3).
const LONGEST: usize = 254;

/// Start of an encoded word (RFC 2047). Mail programs decode these, also where none is meant.
pub(super) const ENCODED_WORD: &str = "=?";

/// The text is not an email address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an email address such as ada@example.com")]
pub struct MalformedAddress;

/// An address that mail can be sent to. It has no control characters, and its domain is ASCII.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address(lettre::Address);

impl Address {
    /// The domain in lower case.
    #[must_use]
    pub fn domain(&self) -> String {
        self.0.domain().to_lowercase()
    }

    pub(super) fn as_lettre(&self) -> &lettre::Address {
        &self.0
    }

    /// The same address with an ASCII domain.
    fn with_ascii_domain(address: &lettre::Address) -> Result<Self, MalformedAddress> {
        let (user, domain) = (address.user(), address.domain());
        if domain.is_ascii() {
            return Ok(Self(address.clone()));
        }
        let domain = idna::domain_to_ascii(domain).map_err(|_| MalformedAddress)?;
        let address = lettre::Address::new(user, domain).map_err(|_| MalformedAddress)?;
        Ok(Self(address))
    }

    fn is_usable(&self) -> bool {
        let text: &str = self.0.as_ref();
        text.len() <= LONGEST && !text.contains(ENCODED_WORD)
    }
}

impl FromStr for Address {
    type Err = MalformedAddress;

    fn from_str(text: &str) -> Result<Self, MalformedAddress> {
        if check_line(text).is_err() {
            return Err(MalformedAddress);
        }
        let address: lettre::Address = text.parse().map_err(|_| MalformedAddress)?;
        Self::with_ascii_domain(&address)
            .ok()
            .filter(Self::is_usable)
            .ok_or(MalformedAddress)
    }
}

/// The sender of mails: an ASCII address, optionally with a name, as `Slipway
/// <slipway@example.com>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender(Mailbox);

impl Sender {
    pub(super) fn mailbox(&self) -> &Mailbox {
        &self.0
    }
}

impl FromStr for Sender {
    type Err = MalformedAddress;

    fn from_str(text: &str) -> Result<Self, MalformedAddress> {
        if check_line(text).is_err() {
            return Err(MalformedAddress);
        }
        let Mailbox { name, email } = text.parse().map_err(|_| MalformedAddress)?;
        let address = Address::with_ascii_domain(&email)?;
        // With any other sender, no mail could be sent through a server without SMTPUTF8.
        if !address.is_usable() || !email.user().is_ascii() {
            return Err(MalformedAddress);
        }
        let name = name.filter(|name| !is_blank(name));
        Ok(Self(Mailbox::new(name, address.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> String {
        text.parse::<Address>().unwrap().0.to_string()
    }

    #[test]
    fn a_domain_is_written_in_ascii() {
        for (text, expected) in [
            ("ada@bücher.example", "ada@xn--bcher-kva.example"),
            ("ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
            ("ada@例え。テスト", "ada@xn--r8jz45g.xn--zckzah"),
            ("ädä@bücher.example", "ädä@xn--bcher-kva.example"),
            ("ada@Example.com", "ada@Example.com"),
            ("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
            ("ada@[127.0.0.1]", "ada@[127.0.0.1]"),
        ] {
            assert_eq!(address(text), expected, "{text}");
        }
        let bücher: Address = "ada@Bücher.example".parse().unwrap();
        assert_eq!(bücher.domain(), "xn--bcher-kva.example", "counted as one");
    }

    #[test]
    fn an_address_with_a_line_break_or_an_encoded_word_is_refused() {
        for text in [
            "ada@example.com\r\nBcc: eve@example.com",
            "ada@example.com\n",
            "\rada@example.com",
            "ada@example.com, eve@example.com",
            "ada@exam\0ple.com",
            "=?utf-8?q?a?=@example.com",
            "ada",
            "",
        ] {
            assert_eq!(text.parse::<Address>(), Err(MalformedAddress), "{text:?}");
        }
        let long = format!("ada@{}.example", "x".repeat(260));
        assert_eq!(long.parse::<Address>(), Err(MalformedAddress));
        // Short enough as text, too long in its ASCII form.
        let long = format!("ada@{}example", "ü.".repeat(60));
        assert!(long.len() < LONGEST);
        assert_eq!(long.parse::<Address>(), Err(MalformedAddress));
    }

    #[test]
    fn a_sender_must_be_acceptable_to_every_server() {
        let sender: Sender = "Bücher <post@bücher.example>".parse().unwrap();
        assert_eq!(sender.0.email.to_string(), "post@xn--bcher-kva.example");
        assert_eq!(sender.0.name.as_deref(), Some("Bücher"));
        let nameless: Sender = "\u{200b} <post@example.com>".parse().unwrap();
        assert_eq!(nameless.0.name, None);
        for text in [
            "a@b\r\nBcc: <c@d>",
            "Eve\n <eve@example.com>",
            "Post <pöst@example.com>",
            "pöst@bücher.example",
            "=?utf-8?q?a?=@example.com",
        ] {
            assert_eq!(text.parse::<Sender>(), Err(MalformedAddress), "{text:?}");
        }
    }
}
