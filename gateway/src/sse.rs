//! Common parts of all streams of server-sent events.

use std::convert::Infallible;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::Stream;
use http::{
    HeaderMap, HeaderName,
    header::{ACCEPT, CONTENT_TYPE},
};

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

/// Whether a client prefers a stream to JSON, by its `Accept` (RFC 9110, 12.5.1). It gets JSON if
/// it has no preference, or accepts neither.
pub(crate) fn wants_stream(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    let ranges: Vec<_> = lines.flat_map(|line| line.split(',')).map(range).collect();
    let stream = weight(&ranges, EVENT_STREAM, "text/*");
    let json = weight(&ranges, "application/json", "application/*");
    let is_named = ranges.iter().any(|(range, _)| is(range, EVENT_STREAM));
    stream > json || (is_named && stream >= json && stream > 0.0)
}

/// A media range and its weight; 1 if the weight is missing or malformed.
fn range(text: &str) -> (&str, f32) {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().unwrap_or_default();
    let weight = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        is(name, "q").then(|| value.parse().ok())?
    });
    let weight = weight.filter(|weight| (0.0..=1.0).contains(weight));
    (range, weight.unwrap_or(1.0))
}

/// The weight of a media type: the most specific range counts.
fn weight(ranges: &[(&str, f32)], kind: &str, family: &str) -> f32 {
    let closest = [kind, family, "*/*"].into_iter().find_map(|form| {
        let mut ranges = ranges.iter();
        ranges.find(|(range, _)| is(range, form))
    });
    closest.map_or(0.0, |(_, weight)| *weight)
}

fn is(text: &str, name: &str) -> bool {
    text.eq_ignore_ascii_case(name)
}

#[cfg(test)]
mod tests {
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
