//! What all streams of server-sent events have in common.

use std::convert::Infallible;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::Stream;
use http::{HeaderName, header::CONTENT_TYPE};

/// Their media type.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";

/// Shows that the stream is alive.
pub(crate) const KEEP_ALIVE: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// An answer that is such a stream: nothing on the way holds it back.
pub(crate) struct EventStream<S>(pub(crate) S);

impl<S> IntoResponse for EventStream<S>
where
    S: Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
{
    fn into_response(self) -> Response {
        let headers = [
            (CONTENT_TYPE, EVENT_STREAM),
            (HeaderName::from_static("x-accel-buffering"), "no"),
        ];
        (headers, Body::from_stream(self.0)).into_response()
    }
}
