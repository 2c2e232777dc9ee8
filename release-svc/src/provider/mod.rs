//! Sign-in with an OpenID Connect provider, such as Keycloak: the authorization code flow with
//! PKCE.
//!
//! A browser gets the address of the provider, and a secret for a cookie. The provider signs the
//! user in and sends the browser back with a code, which this service exchanges for an ID token.
//! The token names the user, and with it an account. So an answer counts only in the browser that
//! asked, once, and only if the token was made for this question.
//!
//! | to find | look in |
//! | --- | --- |
//! | what is remembered until the browser comes back | [`flow`] (pure) |
//! | the username, the address and the role that a provider gives | [`person`] (pure) |
//! | discovery, keys, and the verification of answers | `client` |
//! | how an account is found, created and linked | [`crate::accounts`] |

mod client;
pub mod flow;
pub mod person;

use std::{fmt, str::FromStr};

use slipway_rpc::error::{Fault, Kind};
use url::{Host, Url};

pub(crate) use client::Provider;
pub use client::SetupError;
pub(crate) use client::{BroughtBack, ProviderError};
use person::RoleRule;

/// The path of the page to which the provider sends browsers back.
const CALLBACK: &str = "/auth/oidc/callback";

/// The path of the page to which the provider sends browsers that have signed out there.
const SIGNED_OUT: &str = "/sign-in";

/// The URL that a provider calls itself: https, or http on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer(String);

impl Issuer {
    /// The URL as configured.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Issuer {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let url = Url::parse(text).map_err(drop)?;
        let is_bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        match is_bare && is_protected(&url) {
            true => Ok(Self(text.to_owned())),
            false => Err(()),
        }
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether nobody in between reads or changes what is sent to this URL.
fn is_protected(url: &Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(host)) => is_loopback(&host),
        _ => false,
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// How people sign in with a provider.
#[derive(Clone)]
pub struct ProviderConfig {
    /// The provider.
    pub issuer: Issuer,
    /// The name by which the provider knows Slipway.
    pub client_id: String,
    /// The secret that proves it; `None` for a public client.
    pub client_secret: Option<String>,
    /// What is asked for, in addition to `openid`.
    pub scopes: Vec<String>,
    /// Which role users have; `None`: new accounts are developers, and admins change roles.
    pub roles: Option<RoleRule>,
    /// What people call the provider.
    pub name: String,
    /// PEM of the CAs that the provider's certificate is verified with; `None`: public ones.
    pub authorities: Option<Vec<u8>>,
    /// The URL at which users reach Slipway.
    pub public_url: String,
}

/// Without the secret.
impl fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderConfig")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

impl ProviderConfig {
    /// The address of a page of Slipway.
    fn page(&self, path: &str) -> String {
        format!("{}{path}", self.public_url.trim_end_matches('/'))
    }
}

/// The answer if no provider is configured.
pub(crate) fn no_provider() -> Fault {
    Fault::new(
        Kind::NotFound,
        "NO_PROVIDER",
        "This server has no identity provider. Sign in with a password.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_reached_over_https_or_on_this_machine() {
        for good in [
            "https://id.example.com",
            "https://id.example.com:8443/realms/slipway",
            "https://id.example.com/",
            "http://localhost:8081/realms/slipway",
            "http://127.0.0.1:8081",
            "http://127.9.9.9",
            "http://[::1]:8081",
        ] {
            assert_eq!(good.parse(), Ok(Issuer(good.to_owned())));
        }
        for bad in [
            "",
            "id.example.com",
            "http://id.example.com",
            "http://10.0.0.1",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "http://[fe80::1]",
            "ftp://localhost",
            "file:///etc/passwd",
            "https://user@id.example.com",
            "https://:secret@id.example.com",
            "https://id.example.com?realm=slipway",
            "https://id.example.com#a",
        ] {
            assert_eq!(bad.parse::<Issuer>(), Err(()), "{bad}");
        }
    }
}
