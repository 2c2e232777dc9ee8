//! Reads request bodies up to a limit.
//!
//! A body is read only after the sender is authenticated as far as the route requires it. The
//! total size of all bodies, and of those of one client, is limited by the server.

use std::time::Duration;

use axum::body::Body;
use http_body::Body as _;
use http_body_util::BodyExt as _;

use crate::{middleware::BodyState, problem::Problem};

/// Maximum bytes of a body.
pub(crate) const BODY_LIMIT: usize = 1024 * 1024;

/// Maximum bytes of a body of `/auth/…`. Small, because the senders are mostly not authenticated.
pub(crate) const AUTH_BODY_LIMIT: usize = 16 * 1024;

/// Maximum bytes of a form that signs in. It may bring along what was typed before the session ended.
pub(crate) const SIGN_IN_LIMIT: usize = 256 * 1024;

/// Maximum bytes of a body for this route (the router's path template).
pub(crate) fn limit_of(route: &str) -> usize {
    let path = route.strip_prefix("/v1").unwrap_or(route);
    match path {
        "/ui/sign-in" => SIGN_IN_LIMIT,
        "/ui/sign-up" | "/ui/password" => AUTH_BODY_LIMIT,
        _ if path.starts_with("/auth/") => AUTH_BODY_LIMIT,
        _ => BODY_LIMIT,
    }
}

/// The kind of sender of a request. The extractors that authenticate the caller add it to the
/// request's extensions; without it no body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    /// A client of the API.
    Client,
    /// A webhook caller, which does not repeat refused requests.
    Hook,
}

/// Bytes allocated at most before the body arrives, whatever its announced length.
const ROOM: usize = 16 * 1024;

/// Reads a body, which must arrive within `deadline`.
///
/// # Errors
/// If it is too large, too slow, or cut off.
pub(crate) async fn read(
    body: Body,
    state: &BodyState,
    deadline: Duration,
) -> Result<Vec<u8>, Problem> {
    let reading = up_to(state.limit(), body);
    let read = tokio::time::timeout(deadline, reading).await;
    let body = read.map_err(|_| Problem::body_too_slow())??;
    state.note();
    Ok(body)
}

/// Reads a body of at most `limit` bytes.
async fn up_to(limit: usize, mut body: Body) -> Result<Vec<u8>, Problem> {
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
    fn the_limit_depends_on_the_route() {
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
