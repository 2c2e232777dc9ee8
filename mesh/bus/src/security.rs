//! How a client and a broker convince each other who they are. Plain data, so that a
//! configuration can be read without any client of a broker.

use std::{fmt, path::PathBuf};

/// What a connection to the broker is secured with; nothing by default.
#[derive(Debug, Clone, Default)]
pub struct Security {
    /// Encryption, and the broker's certificate checked.
    pub tls: Option<Tls>,
    /// A name and a password.
    pub sign_in: Option<SignIn>,
}

/// Encryption.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// PEM file with the authorities that the broker's certificate may come from; `None`:
    /// those that the system trusts.
    pub authorities: Option<PathBuf>,
    /// This client's own certificate, for brokers that want one.
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

/// How a client signs in by SASL. `Debug` does not show the password.
#[derive(Clone)]
pub struct SignIn {
    /// How the password is proven.
    pub mechanism: Mechanism,
    /// Who.
    pub username: String,
    /// The password.
    pub password: String,
}

/// A SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// The password itself is sent: only over TLS is it a secret.
    Plain,
    /// Challenge and response, with SHA-256.
    ScramSha256,
    /// Challenge and response, with SHA-512.
    ScramSha512,
}

impl Mechanism {
    /// Every mechanism.
    pub const ALL: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    /// As brokers call it.
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
    fn a_password_is_not_shown() {
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
