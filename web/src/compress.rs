//! Compresses pages and their assets.
//!
//! The length of a compressed page tells whether a text that another site chose, such as a search in
//! its address, occurs in what only the visitor may see. So a page that another site caused to be
//! loaded is sent as it is. Streams are none of the pages.

use std::io::Write as _;

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use flate2::{Compression, write::GzEncoder};
use http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY},
};
use http_body::Body as _;

/// The coding of what is compressed.
pub(crate) const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// Bytes below which it does not pay.
const LEAST: u64 = 1024;

/// Compresses a page, unless another site may have caused its request. Over plain HTTP browsers do
/// not say so, and whoever could measure a page there can read it.
pub(crate) async fn pages(State(https): State<bool>, request: Request, next: Next) -> Response {
    let site = request.headers().get("sec-fetch-site");
    let is_own = match site.map(HeaderValue::as_bytes) {
        Some(site) => matches!(site, b"same-origin" | b"none"),
        None => !https,
    };
    let wanted = accepts(request.headers());
    let mut response = next.run(request).await;
    if !is_page(response.headers()) {
        return response;
    }
    let coding = HeaderValue::from_static("accept-encoding");
    response.headers_mut().append(VARY, coding);
    // The answer to HEAD has no body.
    if !is_own || !wanted || response.body().size_hint().lower() < LEAST {
        return response;
    }
    let (mut head, body) = response.into_parts();
    // A page is whole when it is answered: nothing of it can fail or has to be waited for.
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    head.headers.remove(CONTENT_LENGTH);
    head.headers.insert(CONTENT_ENCODING, GZIP);
    Response::from_parts(head, Body::from(gzip(&bytes, Compression::new(4))))
}

fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

/// Whether the client takes gzip.
pub(crate) fn accepts(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(ACCEPT_ENCODING).iter();
    let mut codings = lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','))
        .filter_map(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
            let weight = weight.trim().strip_prefix("q=")?.trim().parse().ok()?;
            Some((name.trim(), weight))
        });
    codings.any(|(name, weight): (&str, f32)| name.eq_ignore_ascii_case("gzip") && weight > 0.0)
}

/// The bytes, compressed.
pub(crate) fn gzip(bytes: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    // Writing to memory cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_if_it_is_accepted() {
        for (header, expected) in [
            ("gzip, deflate, br", true),
            ("br;q=1.0, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("br", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, header.parse().unwrap());
            assert_eq!(accepts(&headers), expected, "{header}");
        }
        assert!(!accepts(&HeaderMap::new()));
    }
}
