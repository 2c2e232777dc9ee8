//! Common parts of all streams of server-sent events.

use std::convert::Infallible;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::Stream;
use http::{HeaderMap, HeaderName, header::CONTENT_TYPE};

use crate::accept::{Accept, JSON};

/// The media type.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";

/// A comment line that keeps the stream alive.
pub(crate) const KEEP_ALIVE: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// A response with a stream of server-sent events. Its headers tell proxies not to buffer it.
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

/// Whether a client prefers a stream to JSON, by its `Accept`. It gets JSON if it has no preference,
/// or accepts neither.
pub(crate) fn wants_stream(headers: &HeaderMap) -> bool {
    let accept = Accept::of(headers);
    let stream = accept.weight(EVENT_STREAM, "text/*");
    let json = accept.weight(JSON, "application/*");
    stream > json || (accept.names(EVENT_STREAM) && stream >= json && stream > 0.0)
}

#[cfg(test)]
mod tests {
    use http::header::ACCEPT;

    use super::*;

    #[test]
    fn a_stream_is_chosen_if_it_is_named_and_weighs_no_less_than_json() {
        for (lines, stream) in [
            (&[][..], false),
            (&[""], false),
            (&["*/*"], false),
            (&["text/html, */*;q=0.8"], false),
            (&["application/json"], false),
            (&["text/event-stream"], true),
            (&["Text/Event-Stream; charset=utf-8"], true),
            (&["application/json, text/event-stream"], true),
            (&["application/json", "text/event-stream"], true),
            (&["text/event-stream, */*"], true),
            (&["text/*"], true),
            (&["text/event-stream;q=0"], false),
            (&["text/event-stream;q=0.0, application/json;q=0"], false),
            (&["text/event-stream;q=0, */*"], false),
            (
                &["text/event-stream; Q=0.5, application/json; q=0.6"],
                false,
            ),
            (&["text/event-stream;q=0.5, application/*;q=0.4"], true),
            (&["application/json;q=0, */*"], true),
            (&["application/json;q=0"], false),
            (&["text/event-stream;q=NaN"], true),
        ] {
            let lines = lines.iter().map(|line| (ACCEPT, line.parse().unwrap()));
            let mut headers = HeaderMap::new();
            for (name, line) in lines {
                headers.append(name, line);
            }
            assert_eq!(wants_stream(&headers), stream, "{headers:?}");
        }
    }
}
