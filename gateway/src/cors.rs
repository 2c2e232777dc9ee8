//! Which pages of other sites may call the API from a browser. None, unless they are configured.

use std::time::Duration;

use http::{
    HeaderName, HeaderValue, Method,
    header::{
        ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, LOCATION, RETRY_AFTER,
        WWW_AUTHENTICATE,
    },
};
use slipway_rpc::metadata::{IDEMPOTENCY_KEY, REQUEST_ID};
use slipway_runtime::telemetry::trace::TRACEPARENT;
use tower_http::cors::CorsLayer;

/// How long a browser may remember what it was allowed.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// Allows pages of these origins to call every route with a token in `Authorization`. Never with
/// cookies: then any page of such a site could act for whoever is signed in.
pub(crate) fn layer(origins: &[HeaderValue]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let own = |names: &[&'static str]| -> Vec<HeaderName> {
        names.iter().copied().map(HeaderName::from_static).collect()
    };
    let mut sent = vec![ACCEPT, AUTHORIZATION, CONTENT_TYPE, IF_MATCH];
    sent.extend(own(&[
        IDEMPOTENCY_KEY,
        REQUEST_ID,
        TRACEPARENT,
        "last-event-id",
    ]));
    let mut read = vec![ETAG, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE];
    read.extend(own(&[REQUEST_ID, TRACEPARENT]));
    let methods = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ];
    Some(
        CorsLayer::new()
            .allow_origin(origins.to_vec())
            .allow_methods(methods)
            .allow_headers(sent)
            .expose_headers(read)
            .max_age(REMEMBERED),
    )
}
