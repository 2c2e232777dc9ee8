//! Refuses ambiguous requests, to prevent request smuggling.
//!
//! A request that a proxy in front of the gateway may interpret differently is refused, and its
//! connection is closed: a request with two hosts, with an ambiguous end of the body, or with a
//! duplicate of a single-value header.

use http::{
    Request, Version,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, TRANSFER_ENCODING},
    uri::Authority,
};

/// What is wrong with the head of a request, if anything.
pub(crate) fn fault<B>(request: &Request<B>) -> Option<&'static str> {
    if request.version() > Version::HTTP_11 {
        // HTTP/2 has the host and the end of the body in the protocol itself, so only duplicate
        // headers are checked.
        return doubled(request);
    }
    host(request)
        .or_else(|| transfer_encoding(request))
        .or_else(|| doubled(request))
}

/// RFC 9110, section 5.3: a header that is not a list may occur only once.
fn doubled<B>(request: &Request<B>) -> Option<&'static str> {
    let is_doubled = |name| request.headers().get_all(name).iter().nth(1).is_some();
    if is_doubled(AUTHORIZATION) {
        return Some("The request has more than one Authorization header.");
    }
    is_doubled(CONTENT_TYPE).then_some("The request has more than one Content-Type header.")
}

/// RFC 9112, section 3.2.
fn host<B>(request: &Request<B>) -> Option<&'static str> {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() == Version::HTTP_11 => {
            Some("The request has no Host header.")
        }
        (Some(_), Some(_)) => Some("The request has more than one Host header."),
        (Some(host), None) => {
            let valid = host.is_empty() || host.to_str().is_ok_and(is_host);
            (!valid).then_some("The Host header is no name of a host.")
        }
        (None, _) => None,
    }
}

/// A name or an address, and perhaps a port.
fn is_host(text: &str) -> bool {
    let Ok(authority) = text.parse::<Authority>() else {
        return false;
    };
    // Text before the host would be user information, which is not allowed.
    let port = text.strip_prefix(authority.host());
    port.is_some_and(|port| {
        let digits = port.strip_prefix(':').unwrap_or(port);
        digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// RFC 9112, sections 6.1 and 7: only the coding `chunked` is supported, once.
fn transfer_encoding<B>(request: &Request<B>) -> Option<&'static str> {
    let mut codings = request.headers().get_all(TRANSFER_ENCODING).iter();
    let chunked = codings
        .next()
        .is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    (!chunked || codings.next().is_some())
        .then_some("The Transfer-Encoding of the request must be 'chunked', once.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(version: Version, headers: &[(&str, &str)]) -> Option<&'static str> {
        let mut request = Request::builder().version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        fault(&request.body(()).unwrap())
    }

    #[test]
    fn http_1_1_has_one_host() {
        for host in ["a.example", "a.example:80", "[::1]:8080", "127.0.0.1", ""] {
            assert_eq!(of(Version::HTTP_11, &[("host", host)]), None, "{host}");
        }
        let twice = [("host", "a.example"), ("host", "a.example")];
        assert!(of(Version::HTTP_11, &twice).is_some());
        assert!(of(Version::HTTP_10, &twice).is_some());
        assert!(of(Version::HTTP_11, &[]).is_some());
        assert_eq!(of(Version::HTTP_10, &[]), None);
        assert_eq!(of(Version::HTTP_2, &[]), None);
        for host in ["a b", "a/b", "user@a.example", "a.example:port"] {
            assert!(of(Version::HTTP_11, &[("host", host)]).is_some(), "{host}");
        }
    }

    #[test]
    fn headers_that_are_not_lists_may_occur_once() {
        for version in [Version::HTTP_11, Version::HTTP_2] {
            for name in ["authorization", "content-type"] {
                let host = ("host", "a.example");
                assert_eq!(of(version, &[host, (name, "a")]), None);
                let fault = of(version, &[host, (name, "a"), (name, "a")]);
                assert!(fault.is_some_and(|fault| fault.contains("more than one")));
            }
        }
    }

    #[test]
    fn a_body_is_chunked_once_or_not_at_all() {
        let coded = |codings: &[&str]| {
            let mut headers = vec![("host", "a.example")];
            headers.extend(codings.iter().map(|coding| ("transfer-encoding", *coding)));
            of(Version::HTTP_11, &headers)
        };
        assert_eq!(coded(&[]), None);
        assert_eq!(coded(&["chunked"]), None);
        assert_eq!(coded(&["Chunked"]), None);
        for codings in [
            &["chunked, chunked"][..],
            &["gzip, chunked"],
            &["chunked", "chunked"],
            &["gzip", "chunked"],
            &["identity"],
            &["chunked;q=1"],
            &[""],
        ] {
            assert!(coded(codings).is_some(), "{codings:?}");
        }
    }
}
