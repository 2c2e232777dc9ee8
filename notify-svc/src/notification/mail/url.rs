//! The address of a mail server, and how to connect to it.

use std::{fmt, str::FromStr};

use lettre::{AsyncSmtpTransport, Tokio1Executor, transport::smtp::AsyncSmtpTransportBuilder};
use url::{Host, Url};

/// The text is not the URL of a mail server. The message does not contain the text, which may have
/// a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be an smtp:// or smtps:// URL such as smtp://user:password@mail.example:587?tls=required, \
     without other parameters"
)]
pub struct MalformedUrl;

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encryption {
    /// Not encrypted.
    None,
    /// With STARTTLS if the server offers it; an attacker can suppress the offer.
    Opportunistic,
    /// With STARTTLS, or no mail is sent.
    Required,
    /// From the first byte: SMTPS.
    Wrapped,
}

/// The URL of a mail server: `smtp://`, with `?tls=required` or `?tls=opportunistic` for STARTTLS,
/// or `smtps://`; with user and password if needed.
#[derive(Clone)]
pub struct SmtpUrl {
    text: String,
    host: String,
    encryption: Encryption,
    has_password: bool,
}

impl SmtpUrl {
    /// Whether it has a password that is, or can be made to be, sent unencrypted.
    #[must_use]
    pub fn exposes_password(&self) -> bool {
        let open = matches!(
            self.encryption,
            Encryption::None | Encryption::Opportunistic
        );
        self.has_password && open
    }

    /// Whether the server must show a certificate.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.encryption != Encryption::None
    }

    pub(super) fn encryption(&self) -> Encryption {
        self.encryption
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// A transport builder for this URL.
    pub(super) fn transport(&self) -> Result<AsyncSmtpTransportBuilder, MalformedUrl> {
        AsyncSmtpTransport::<Tokio1Executor>::from_url(&self.text).map_err(|_| MalformedUrl)
    }
}

/// Omits the password.
impl fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpUrl")
            .field("host", &self.host)
            .field("encryption", &self.encryption)
            .finish_non_exhaustive()
    }
}

impl FromStr for SmtpUrl {
    type Err = MalformedUrl;

    fn from_str(text: &str) -> Result<Self, MalformedUrl> {
        let mut url = Url::parse(text).map_err(|_| MalformedUrl)?;
        if url.port() == Some(0) {
            return Err(MalformedUrl);
        }
        // In the form of DNS and certificates: the URL parser only escapes non-ASCII hosts.
        let host = Host::parse(url.host_str().ok_or(MalformedUrl)?);
        let host = host.map_err(|_| MalformedUrl)?.to_string();
        url.set_host(Some(&host)).map_err(|_| MalformedUrl)?;
        // Refuse unknown parameters: one may be a mistyped `tls`.
        let encryption = match (url.scheme(), url.query(), url.fragment()) {
            ("smtp", None, None) => Encryption::None,
            ("smtp", Some("tls=opportunistic"), None) => Encryption::Opportunistic,
            ("smtp", Some("tls=required"), None) => Encryption::Required,
            ("smtps", None, None) => Encryption::Wrapped,
            _ => return Err(MalformedUrl),
        };
        let parsed = Self {
            host,
            encryption,
            has_password: url.password().is_some(),
            text: url.into(),
        };
        parsed.transport().map(|_| parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_without_tls_is_noticed() {
        for (text, exposes, encrypted) in [
            ("smtp://localhost:2525", false, false),
            ("smtp://u:p@mail.example:587?tls=required", false, true),
            ("smtps://u:p@mail.example", false, true),
            ("smtp://u:p@mail.example", true, false),
            ("smtp://u:p@mail.example?tls=opportunistic", true, true),
            ("smtp://u:tls=required@mail.example", true, false),
        ] {
            let url: SmtpUrl = text.parse().unwrap();
            assert_eq!(url.exposes_password(), exposes, "{text}");
            assert_eq!(url.is_encrypted(), encrypted, "{text}");
        }
    }

    #[test]
    fn a_non_ascii_host_is_converted_to_its_dns_form() {
        for (text, host) in [
            (
                "smtp://post.bücher.example:587",
                "post.xn--bcher-kva.example",
            ),
            (
                "smtps://ada:s%40cret@bücher.example",
                "xn--bcher-kva.example",
            ),
            ("smtp://mail_server", "mail_server"),
            ("smtp://127.0.0.1:2525", "127.0.0.1"),
            ("smtp://[::1]:2525", "[::1]"),
        ] {
            let url: SmtpUrl = text.parse().unwrap();
            assert_eq!(url.host(), host, "{text}");
            assert!(url.text.contains(host), "{}", url.text);
        }
        let url: SmtpUrl = "smtps://ada:s%40cret@bücher.example".parse().unwrap();
        assert_eq!(url.text, "smtps://ada:s%40cret@xn--bcher-kva.example");
    }

    #[test]
    fn a_malformed_url_is_refused() {
        for text in [
            "",
            "localhost:25",
            "http://localhost",
            "smtp://",
            "smtp://x?tls=maybe",
            "smtps://x?tls=required",
            "smtp://x?tsl=required",
            "smtp://x?tls=required&timeout=5",
            "smtp://x?tls=required&tls=required",
            "smtp://x?TLS=required",
            "smtps://x?",
            "smtp://x#tls=required",
        ] {
            assert_eq!(text.parse::<SmtpUrl>().unwrap_err(), MalformedUrl, "{text}");
        }
    }

    #[test]
    fn debug_output_has_no_password() {
        let url: SmtpUrl = "smtps://ada:s3cret@mail.example".parse().unwrap();
        let shown = format!("{url:?}");
        assert!(
            shown.contains("mail.example") && !shown.contains("s3cret"),
            "{shown}"
        );
    }
}
