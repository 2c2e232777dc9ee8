//! How a client and a broker authenticate each other. Plain data, so that a configuration can be
//! parsed without a broker client.

use std::{fmt, path::PathBuf};

/// How a connection to the broker is secured; not at all by default.
#[derive(Debug, Clone, Default)]
pub struct Security {
    /// TLS, with a check of the broker's certificate.
    pub tls: Option<Tls>,
    /// User name and password.
    pub sign_in: Option<SignIn>,
}

/// TLS settings.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// PEM file with the CAs that the client trusts for the broker's certificate; `None`: the
    /// system's trust store.
    pub authorities: Option<PathBuf>,
    /// This client's certificate, for brokers that require one.
    pub identity: Option<Identity>,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Identity {
    /// PEM file with the certificate.
    pub certificate: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
}

/// SASL credentials. `Debug` does not show the password.
#[derive(Clone)]
pub struct SignIn {
    /// How the client proves the password.
    pub mechanism: Mechanism,
    /// The user's name.
    pub username: String,
    /// The password.
    pub password: String,
}

/// A SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// Sends the password itself: it is secret only over TLS.
    Plain,
    /// Challenge-response with SHA-256.
    ScramSha256,
    /// Challenge-response with SHA-512.
    ScramSha512,
}

impl Mechanism {
    /// Every mechanism.
    pub const ALL: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    /// The mechanism's name in SASL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn")
            .field("mechanism", &self.mechanism)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_the_password() {
        let sign_in = SignIn {
            mechanism: Mechanism::ScramSha512,
            username: "slipway".into(),
            password: "correct horse".into(),
        };
        let shown = format!("{sign_in:?}");
        assert!(
            shown.contains("slipway") && !shown.contains("horse"),
            "{shown}"
        );
    }
}
