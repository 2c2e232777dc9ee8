//! The sessions of browsers: their cookie, and who may use it. A second cookie holds the secret of
//! a sign-in with an identity provider for minutes.
//!
//! A browser sends the cookie with every request to this server, also with one that another site
//! caused. So on a request that changes something the cookie counts only if the browser says that
//! a page of this server caused it. Cookies ignore ports, so another port of the same host is
//! another site here.
//!
//! Services know tokens only: the gateway exchanges the cookie for one, and keeps it until shortly
//! before it expires. When the session ends, the verifier refuses the token.

use std::{sync::Arc, time::Duration};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{COOKIE, HOST, ORIGIN},
    request::Parts,
    uri::Authority,
};
use jiff::{SignedDuration, Timestamp};
use slipway_proto::{
    identity::v1::{ExchangeSessionRequest, identity_service_client::IdentityServiceClient},
    time::from_proto,
};
use slipway_rpc::{
    access::{Exchanges, Token},
    error::{Fault, Kind},
    grpc::{Link, Outbound},
};

/// The name of the cookie over http, and over https: then a browser takes it over https and for
/// this host only, and no other host can set it.
pub(crate) const COOKIE_NAME: &str = "slipway_session";

/// The name of the cookie of a sign-in with an identity provider.
const SIGN_IN_NAME: &str = "slipway_sign_in";

/// What stands before the names over https.
const SECURE_PREFIX: &str = "__Host-";

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Secrets of one request that are tried.
const MOST_SECRETS: usize = 3;

/// Exchanges cookies for tokens.
pub(crate) struct BrowserSessions {
    /// The origin of the public URL, if it is configured.
    origin: Option<String>,
    tokens: Exchanges,
}

impl BrowserSessions {
    /// The sessions of browsers that reach this server at `public_url`, if it is configured.
    pub(crate) fn new(public_url: Option<&str>) -> Self {
        Self {
            origin: public_url.and_then(origin),
            tokens: Exchanges::new(SignedDuration::MAX),
        }
    }

    /// Whether clients use https.
    pub(crate) fn is_secure(&self) -> bool {
        let origin = self.origin.as_ref();
        origin.is_some_and(|origin| origin.starts_with("https://"))
    }

    fn full_name(&self, name: &str) -> String {
        let prefix = if self.is_secure() { SECURE_PREFIX } else { "" };
        format!("{prefix}{name}")
    }

    /// The secrets in the cookies of a request. There may be several: over http another host of the
    /// domain can set a cookie of the same name.
    pub(crate) fn secrets(&self, headers: &HeaderMap) -> Vec<String> {
        self.values(COOKIE_NAME, headers)
    }

    /// The secret of a sign-in that has begun.
    pub(crate) fn sign_in_secret(&self, headers: &HeaderMap) -> Option<String> {
        self.values(SIGN_IN_NAME, headers).into_iter().next()
    }

    fn values(&self, name: &str, headers: &HeaderMap) -> Vec<String> {
        let name = self.full_name(name);
        let pairs = headers
            .get_all(COOKIE)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
        pairs
            // Cookies of others need not be text.
            .filter_map(|pair| str::from_utf8(pair).ok()?.trim().split_once('='))
            .filter(|(found, _)| *found == name)
            .map(|(_, secret)| secret.to_owned())
            .take(MOST_SECRETS)
            .collect()
    }

    /// The header that sets the cookie for `age`; zero deletes it.
    pub(crate) fn set(&self, secret: &str, age: Duration) -> Result<HeaderValue, Fault> {
        self.set_cookie(COOKIE_NAME, secret, age)
    }

    /// The same for the cookie of a sign-in.
    pub(crate) fn set_sign_in(&self, secret: &str, age: Duration) -> Result<HeaderValue, Fault> {
        self.set_cookie(SIGN_IN_NAME, secret, age)
    }

    fn set_cookie(&self, name: &str, secret: &str, age: Duration) -> Result<HeaderValue, Fault> {
        let name = self.full_name(name);
        let secure = if self.is_secure() { "; Secure" } else { "" };
        let age = age.as_secs();
        let cookie =
            format!("{name}={secret}; HttpOnly; SameSite=Lax; Path=/; Max-Age={age}{secure}");
        HeaderValue::try_from(cookie).map_err(|_| Fault::internal("the cookie fits into no header"))
    }

    /// Refuses the cookie on a request that may change something, unless a page of this server
    /// caused it.
    ///
    /// # Errors
    /// `CROSS_ORIGIN`.
    pub(crate) fn check_origin(&self, parts: &Parts) -> Result<(), Fault> {
        match parts.method {
            Method::GET | Method::HEAD => Ok(()),
            _ if self.cause(parts) == Cause::OwnPage => Ok(()),
            _ => Err(cross_origin()),
        }
    }

    /// Refuses a request that a page of another site caused: it must not sign a browser in or out.
    ///
    /// # Errors
    /// `CROSS_ORIGIN`.
    pub(crate) fn check_not_foreign(&self, parts: &Parts) -> Result<(), Fault> {
        match self.cause(parts) {
            Cause::OtherSite => Err(cross_origin()),
            Cause::OwnPage | Cause::Unknown => Ok(()),
        }
    }

    fn cause(&self, parts: &Parts) -> Cause {
        let headers = &parts.headers;
        let is = |name, wanted: &dyn Fn(&str) -> bool| {
            let mut values = headers.get_all(name).iter();
            let first = values.next()?;
            let only = first.to_str().ok().filter(|_| values.next().is_none());
            Some(match only.is_some_and(wanted) {
                true => Cause::OwnPage,
                false => Cause::OtherSite,
            })
        };
        is(FETCH_SITE, &|site| site == "same-origin")
            .or_else(|| is(ORIGIN, &|origin| self.is_own(origin, parts)))
            .unwrap_or(Cause::Unknown)
    }

    /// Whether an origin is the one of the public URL; if there is none, that of the request.
    fn is_own(&self, origin: &str, parts: &Parts) -> bool {
        if let Some(own) = &self.origin {
            return origin == own;
        }
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| parts.uri.authority().map(Authority::as_str));
        let named = origin.strip_prefix("http://");
        host.zip(named)
            .is_some_and(|(host, named)| host.eq_ignore_ascii_case(named))
    }

    /// A token of the session with this secret. Requests at the same time make one call.
    pub(crate) async fn token(
        &self,
        identity: IdentityServiceClient<Link>,
        secret: &str,
        outbound: &Outbound,
        now: Timestamp,
    ) -> Result<Arc<str>, Fault> {
        let exchange = exchange(identity, secret, outbound);
        self.tokens.token(secret, now, exchange).await
    }

    /// Forgets a token that is not accepted: the session may have another one.
    pub(crate) fn forget(&self, secret: &str) {
        self.tokens.forget(secret);
    }
}

/// Which page caused a request, as far as the browser says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    OwnPage,
    OtherSite,
    /// It does not say: it is not a browser, or a very old one.
    Unknown,
}

async fn exchange(
    mut identity: IdentityServiceClient<Link>,
    secret: &str,
    outbound: &Outbound,
) -> Result<Token, Fault> {
    let request = outbound.request(ExchangeSessionRequest {
        secret: secret.to_owned(),
    });
    let answer = identity.exchange_session(request).await?.into_inner();
    let expires_at = answer.expires_at.and_then(|at| from_proto(at).ok());
    Ok(Token {
        text: answer.token,
        expires_at: expires_at.ok_or_else(|| Fault::internal("a token without an end"))?,
    })
}

fn cross_origin() -> Fault {
    Fault::new(
        Kind::Forbidden,
        "CROSS_ORIGIN",
        "Another site caused this request, so your session does not count for it.",
    )
}

/// The origin of a URL, as browsers write it.
fn origin(url: &str) -> Option<String> {
    let url: http::Uri = url.parse().ok()?;
    let scheme = url.scheme_str()?.to_ascii_lowercase();
    let host = url.host()?.to_ascii_lowercase();
    let usual = match &*scheme {
        "https" => 443,
        _ => 80,
    };
    let port = url.port_u16().filter(|port| *port != usual);
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{scheme}://{host}{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: Method, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().method(method).uri("/releases");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for (url, expected) in [
            ("https://slipway.example.com", "https://slipway.example.com"),
            (
                "HTTPS://Slipway.Example.COM:443/base/",
                "https://slipway.example.com",
            ),
            ("http://h:80", "http://h"),
            ("http://h:443", "http://h:443"),
            ("https://h:8443/x", "https://h:8443"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(origin(url).as_deref(), Some(expected), "{url}");
        }
    }

    #[test]
    fn the_cookie_counts_for_reads_and_for_requests_of_own_pages() {
        let own = ("origin", "http://h:8080");
        let host = ("host", "h:8080");
        let site = |site| ("sec-fetch-site", site);
        let sessions = BrowserSessions::new(None);
        let counts = |method: Method, headers: &[(&str, &str)]| {
            sessions.check_origin(&parts(method, headers)).is_ok()
        };
        for (headers, expected) in [
            (vec![host], false),
            (vec![host, site("same-origin")], true),
            (vec![host, site("same-site"), own], false),
            (vec![host, site("cross-site"), own], false),
            (vec![host, site("none"), own], false),
            (vec![host, site("same-origin"), site("same-origin")], false),
            (vec![host, own], true),
            (vec![host, own, own], false),
            (vec![host, ("origin", "http://h:8081")], false),
            (vec![host, ("origin", "https://h:8080")], false),
            (vec![host, ("origin", "null")], false),
            (vec![own], false),
        ] {
            for method in [Method::POST, Method::PATCH, Method::PUT, Method::DELETE] {
                assert_eq!(counts(method, &headers), expected, "{headers:?}");
            }
            assert!(counts(Method::GET, &headers) && counts(Method::HEAD, &headers));
        }
    }

    #[test]
    fn with_a_public_url_its_origin_counts_and_not_that_of_the_request() {
        let sessions = BrowserSessions::new(Some("https://slipway.example.com/base"));
        let host = ("host", "127.0.0.1:8080");
        for (origin, expected) in [
            ("https://slipway.example.com", true),
            ("http://slipway.example.com", false),
            ("http://127.0.0.1:8080", false),
        ] {
            let parts = parts(Method::POST, &[host, ("origin", origin)]);
            assert_eq!(sessions.check_origin(&parts).is_ok(), expected, "{origin}");
        }
    }

    #[test]
    fn only_what_another_site_caused_may_not_sign_in_or_out() {
        let sessions = BrowserSessions::new(None);
        let host = ("host", "h");
        for (headers, expected) in [
            (vec![host], true),
            (vec![host, ("sec-fetch-site", "same-origin")], true),
            (vec![host, ("origin", "http://h")], true),
            (vec![host, ("sec-fetch-site", "same-site")], false),
            (vec![host, ("origin", "http://evil.example")], false),
        ] {
            let parts = parts(Method::POST, &headers);
            assert_eq!(
                sessions.check_not_foreign(&parts).is_ok(),
                expected,
                "{headers:?}"
            );
        }
    }

    #[test]
    fn over_https_only_the_cookie_that_no_other_host_can_set_counts() {
        let age = Duration::from_secs(60);
        let plain = BrowserSessions::new(Some("http://h"));
        let secure = BrowserSessions::new(Some("https://h"));
        assert_eq!(
            plain.set("s", age).unwrap(),
            "slipway_session=s; HttpOnly; SameSite=Lax; Path=/; Max-Age=60"
        );
        assert_eq!(
            secure.set("s", age).unwrap(),
            "__Host-slipway_session=s; HttpOnly; SameSite=Lax; Path=/; Max-Age=60; Secure"
        );
        let both = "theme=dark; slipway_session=a; __Host-slipway_session=b";
        let parts = parts(Method::GET, &[("cookie", both)]);
        assert_eq!(plain.secrets(&parts.headers), ["a"]);
        assert_eq!(secure.secrets(&parts.headers), ["b"]);
    }

    #[test]
    fn cookies_of_others_do_not_hide_the_own_one() {
        let sessions = BrowserSessions::new(None);
        let mut headers = HeaderMap::new();
        for cookie in [
            &b"x=\xe9; slipway_session=a"[..],
            "y=é;slipway_session=b; z".as_bytes(),
        ] {
            headers.append(COOKIE, HeaderValue::from_bytes(cookie).unwrap());
        }
        assert_eq!(sessions.secrets(&headers), ["a", "b"]);
    }
}
