//! How much of the body of a request is taken.
//!
//! A body is read only after its sender is known. What the bodies of all requests take
//! together, and those of one client, is bounded where requests arrive.

use axum::body::Body;
use http_body::Body as _;
use http_body_util::BodyExt as _;

use crate::problem::Problem;

/// Bytes of a body at most.
pub(crate) const BODY_LIMIT: usize = 1024 * 1024;

/// Bytes of a body of `/auth/…` at most: names and passwords, mostly of nobody who is known.
pub(crate) const AUTH_BODY_LIMIT: usize = 16 * 1024;

/// Bytes of a body at most at this route, which is the router's own path.
pub(crate) fn limit_of(route: &str) -> usize {
    let path = route.strip_prefix("/v1").unwrap_or(route);
    if path.starts_with("/auth/") {
        AUTH_BODY_LIMIT
    } else {
        BODY_LIMIT
    }
}

/// Who sends the request, as far as its route asks for that. The extractors that find out who
/// calls leave this with the request; without it no body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    /// A client of the API.
    Client,
    /// Another program, which does not send again what is refused.
    Hook,
}

/// A body that announces more than this gets no more room before it comes.
const ROOM: usize = 16 * 1024;

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read(mut body: Body, limit: usize) -> Result<Vec<u8>, Problem> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(Problem::body_too_large(limit));
    }
    let mut bytes = Vec::with_capacity(announced.min(ROOM));
    while let Some(frame) = body.frame().await {
        let cut_off = || Problem::malformed_body("The body did not arrive whole.".to_owned());
        let frame = frame.map_err(|_| cut_off())?;
        if let Ok(data) = frame.into_data() {
            if bytes.len() + data.len() > limit {
                return Err(Problem::body_too_large(limit));
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_that_of_the_address() {
        for route in ["/auth/login", "/v1/auth/register", "/auth/reset/{token}"] {
            assert_eq!(limit_of(route), AUTH_BODY_LIMIT, "{route}");
        }
        for route in [
            "/releases",
            "/v1/releases",
            "unmatched",
            "/authors",
            "/auth",
        ] {
            assert_eq!(limit_of(route), BODY_LIMIT, "{route}");
        }
    }
}
