//! The configured location of a service: one or more URLs of hosts.

use std::{fmt, net::SocketAddr, str::FromStr};

use http::Uri;
use tokio::net::lookup_host;

/// An `http` or `https` URL with only a host and an optional port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    uri: Uri,
    host: String,
}

/// One or more URLs, separated by commas. Each stands for all addresses of its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origins(Vec<Origin>);

/// A text that is not a URL of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an http or https URL of a host")]
pub struct MalformedOrigin;

impl FromStr for Origin {
    type Err = MalformedOrigin;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.parse().map_err(|_| MalformedOrigin)?;
        let web = matches!(uri.scheme_str(), Some("http" | "https"));
        let authority = uri.authority().ok_or(MalformedOrigin)?.as_str();
        let host = uri.host().unwrap_or_default();
        // After the host only a port may follow: no user, and the number must be valid.
        let plain = authority == host || (uri.port_u16().is_some() && !authority.contains('@'));
        let bare = uri.path() == "/" && uri.query().is_none() && !text.contains('#');
        if !(web && !host.is_empty() && plain && bare) {
            return Err(MalformedOrigin);
        }
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        Ok(Self { uri, host })
    }
}

impl FromStr for Origins {
    type Err = MalformedOrigin;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl Origins {
    /// Iterates over the URLs.
    pub fn iter(&self) -> impl Iterator<Item = &Origin> {
        self.0.iter()
    }
}

impl Origin {
    /// The host name or IP address, without brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Whether calls to it use TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// Resolves all current addresses of the host.
    pub(super) async fn resolve(&self) -> std::io::Result<Vec<SocketAddr>> {
        let usual = if self.is_encrypted() { 443 } else { 80 };
        let port = self.uri.port_u16().unwrap_or(usual);
        Ok(lookup_host((self.host(), port)).await?.collect())
    }

    /// The URI of `path` on this host.
    pub(super) fn join(&self, path: &Uri) -> Uri {
        let mut parts = self.uri.clone().into_parts();
        parts.path_and_query = path.path_and_query().cloned();
        // A scheme, an authority and a path always make a valid URI.
        Uri::from_parts(parts).unwrap_or_else(|_| self.uri.clone())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.uri.scheme_str().unwrap_or_default();
        let authority = self
            .uri
            .authority()
            .map_or("", |authority| authority.as_str());
        write!(f, "{scheme}://{authority}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_have_no_path_and_no_user() {
        for text in [
            "http://release:50051",
            "https://r.example/",
            "http://[::1]:1",
            "http://a:1,https://b:2",
        ] {
            assert!(text.parse::<Origins>().is_ok(), "{text}");
        }
        for text in [
            "",
            "release:50051",
            "ftp://release",
            "http://",
            "http://release:50051/api",
            "http://release?x=1",
            "http://release#x",
            "http://user:word@release",
            "http://release:",
            "http://release:99999999",
            "http://a:1,",
            "http://a:1, http://b:1",
        ] {
            assert!(text.parse::<Origins>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn numbers_are_addresses_as_they_are() {
        for (text, address) in [
            ("http://127.0.0.1:7", "127.0.0.1:7"),
            ("https://[::1]", "[::1]:443"),
        ] {
            let origin: Origin = text.parse().unwrap();
            assert_eq!(origin.resolve().await.unwrap(), [address.parse().unwrap()]);
        }
    }
}
