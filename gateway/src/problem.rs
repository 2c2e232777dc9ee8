//! Renders every error of the gateway as `application/problem+json` (RFC 9457).
//!
//! The error of a service arrives as a gRPC status and is read back as a [`Fault`]; its HTTP status
//! and title come from the table in mesh. Errors that only exist in HTTP (a wrong method, a body
//! that is too large) are defined here.

use axum::response::{IntoResponse, Response};
use http::{
    HeaderValue, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde_json::Value;
use slipway_rpc::error::{Fault, FieldError, Kind};
use slipway_runtime::telemetry::TraceContext;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::names;

/// The media type of every error.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// The error code for a compressed body; the response names the supported coding.
const CODED: &str = "UNSUPPORTED_CONTENT_CODING";

/// The error code if there is no such route.
pub(crate) const UNKNOWN_ROUTE: &str = "NOT_FOUND";

/// An error response.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    title: &'static str,
    fault: Arc<Fault>,
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self {
            status: StatusCode::from_u16(fault.kind.http_status())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            title: fault.kind.title(),
            fault: Arc::new(fault),
        }
    }
}

impl From<tonic::Status> for Problem {
    fn from(status: tonic::Status) -> Self {
        Fault::from(status).with_names(names::in_api).into()
    }
}

impl Problem {
    /// There is no such route.
    pub(crate) fn unknown_route() -> Self {
        Fault::new(
            Kind::NotFound,
            UNKNOWN_ROUTE,
            "There is nothing at this address. GET /docs lists what there is.",
        )
        .into()
    }

    /// The route exists, for other methods. The router adds `Allow`.
    pub(crate) fn wrong_method() -> Self {
        Self::of_http(
            StatusCode::METHOD_NOT_ALLOWED,
            "Method not allowed",
            "METHOD_NOT_ALLOWED",
            "This address does not take this method. The Allow header lists those it takes.",
        )
    }

    /// The body is larger than `limit`, in bytes.
    pub(crate) fn body_too_large(limit: usize) -> Self {
        Self::of_http(
            StatusCode::PAYLOAD_TOO_LARGE,
            "Body too large",
            "BODY_TOO_LARGE",
            format!(
                "The body of this request may have at most {}.",
                in_words(limit)
            ),
        )
    }

    /// The head of the request is not valid HTTP.
    pub(crate) fn malformed_request(detail: &'static str) -> Self {
        Fault::new(Kind::Invalid, "MALFORMED_REQUEST", detail).into()
    }

    /// The body is compressed, or coded in another way.
    pub(crate) fn coded_body() -> Self {
        Self::of_http(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Unsupported content coding",
            CODED,
            "The body is compressed. Send it as it is ('identity'), without 'Content-Encoding'.",
        )
    }

    /// The body takes too long to arrive.
    pub(crate) fn body_too_slow() -> Self {
        Self::of_http(
            StatusCode::REQUEST_TIMEOUT,
            "Body too slow",
            "BODY_TOO_SLOW",
            "The body of the request did not arrive in time.",
        )
    }

    /// The content type of the body is not JSON.
    pub(crate) fn not_json() -> Self {
        Self::of_http(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Unsupported media type",
            "UNSUPPORTED_MEDIA_TYPE",
            "Send the body as JSON in UTF-8, with 'Content-Type: application/json'.",
        )
    }

    /// The body is not valid JSON, or did not arrive completely.
    pub(crate) fn malformed_body(detail: String) -> Self {
        Fault::new(Kind::Invalid, "MALFORMED_BODY", detail).into()
    }

    /// The error of a request with `If-Match`: a service error with the code `changed` becomes 412.
    pub(crate) fn of_condition(status: tonic::Status, changed: &str) -> Self {
        let problem = Self::from(status);
        if problem.fault.code != changed {
            return problem;
        }
        Self {
            status: StatusCode::PRECONDITION_FAILED,
            title: "Changed by others",
            ..problem
        }
    }

    /// The error of a service about a request whose field `field` this operation calls `name`,
    /// unlike others.
    pub(crate) fn naming(status: tonic::Status, field: &str, name: &str) -> Self {
        let name = |path: &str| match path == field {
            true => name.to_owned(),
            false => names::in_api(path),
        };
        Fault::from(status).with_names(name).into()
    }

    fn of_http(
        status: StatusCode,
        title: &'static str,
        code: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            title,
            fault: Arc::new(Fault::new(Kind::Invalid, code, detail)),
        }
    }

    /// Its JSON, on one line.
    pub(crate) fn body(&self) -> Vec<u8> {
        let fault = &self.fault;
        // The facts are inserted first, so that they cannot overwrite the members of the format.
        let mut members: BTreeMap<String, Value> = fault.facts.clone();
        if !fault.fields.is_empty() {
            members.insert("errors".into(), fields(&fault.fields));
        }
        members.insert("traceId".into(), TraceContext::current().trace_id().into());
        members.insert("code".into(), fault.code.as_str().into());
        members.insert("detail".into(), fault.detail.as_str().into());
        members.insert("status".into(), self.status.as_u16().into());
        members.insert("title".into(), self.title.into());
        members.insert(
            "type".into(),
            format!("urn:slipway:problem:{}", fault.code).into(),
        );
        serde_json::to_vec(&members).expect("texts and JSON values under names are a JSON object")
    }

    /// The value of `Retry-After` in seconds, if the status needs one.
    /// Adds when to try again, and the limit that was reached.
    pub(crate) fn add_retry(&self, headers: &mut http::HeaderMap) {
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, seconds.into());
            if self.status == StatusCode::TOO_MANY_REQUESTS {
                add_rate_limit(headers, &self.fault, seconds);
            }
        }
    }

    fn retry_after(&self) -> Option<u64> {
        let waits = matches!(
            self.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        match self.fault.retry_after {
            Some(delay) => Some(ceil_seconds(delay).max(1)),
            None => waits.then_some(1),
        }
    }
}

/// A number of bytes for people: whole mebibytes, or kibibytes.
pub(crate) fn in_words(bytes: usize) -> String {
    match bytes / (1024 * 1024) {
        0 => format!("{} KiB", bytes / 1024),
        mebibytes => format!("{mebibytes} MiB"),
    }
}

fn fields(errors: &[FieldError]) -> Value {
    errors
        .iter()
        .map(|error| serde_json::json!({"field": error.field, "message": error.message}))
        .collect()
}

fn ceil_seconds(delay: Duration) -> u64 {
    delay.as_secs() + u64::from(delay.subsec_nanos() > 0)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body()).into_response();
        // For who prefers a page that says the same.
        response.extensions_mut().insert(Arc::clone(&self.fault));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.fault.code == CODED {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        self.add_retry(headers);
        response
    }
}

/// Adds the headers of the IETF draft on rate limits: nothing is left (`r=0`) for `t` seconds; and
/// the policy, if the service sent it as facts.
fn add_rate_limit(headers: &mut http::HeaderMap, fault: &Fault, seconds: u64) {
    let fact = |name| fault.facts.get(name).and_then(Value::as_u64);
    if let Ok(value) = HeaderValue::try_from(format!("\"default\";r=0;t={seconds}")) {
        headers.insert("ratelimit", value);
    }
    if let (Some(limit), Some(window)) = (fact("limit"), fact("windowSeconds"))
        && let Ok(value) = HeaderValue::try_from(format!("\"default\";q={limit};w={window}"))
    {
        headers.insert("ratelimit-policy", value);
    }
}
