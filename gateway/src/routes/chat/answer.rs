//! Returns the assistant's answer as one JSON object, or piece by piece as server-sent events.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures::{Stream, stream};
use serde_json::json;
use slipway_proto::chat::v1::{StreamMessageResponse, stream_message_response::Piece};
use slipway_rpc::error::Fault;
use slipway_runtime::telemetry::TraceContext;
use tonic::Streaming;

use crate::{model::AssistantAnswer, problem::Problem, sse::KEEP_ALIVE};

/// Waits for the end of the answer.
pub(super) async fn whole(
    mut pieces: Streaming<StreamMessageResponse>,
) -> Result<AssistantAnswer, Problem> {
    loop {
        let piece = pieces.message().await?.ok_or_else(cut_off)?;
        if let Some(Piece::Answer(answer)) = piece.piece {
            return Ok(answer.try_into()?);
        }
    }
}

/// The stream of the service ended before the answer was complete.
fn cut_off() -> Fault {
    Fault::unavailable("The assistant", "its stream ended without an answer")
}

/// The answer as server-sent events.
pub(super) fn frames(
    pieces: Streaming<StreamMessageResponse>,
    heartbeat: Duration,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let trace = TraceContext::current();
    stream::unfold(Some(pieces), move |left| async move {
        let mut pieces = left?;
        let (frame, over) = match tokio::time::timeout(heartbeat, pieces.message()).await {
            Err(_) => (KEEP_ALIVE, false),
            Ok(piece) => trace.scope(async { frame(piece) }).await,
        };
        Some((Ok(frame), (!over).then_some(pieces)))
    })
}

/// Renders a piece, and tells whether it is the last one.
fn frame(piece: Result<Option<StreamMessageResponse>, tonic::Status>) -> (Bytes, bool) {
    let piece = match piece {
        Ok(Some(message)) => message.piece,
        Ok(None) => return (error(cut_off()), true),
        Err(status) => return (error(status), true),
    };
    match piece {
        Some(Piece::Text(text)) => (event("token", &json!({"text": text}).to_string()), false),
        Some(Piece::Answer(answer)) => match AssistantAnswer::try_from(answer) {
            Ok(answer) => (event("done", &json!(answer).to_string()), true),
            Err(malformed) => (error(malformed), true),
        },
        // A kind of piece of a newer service: ignored.
        None => (Bytes::new(), false),
    }
}

fn error(problem: impl Into<Problem>) -> Bytes {
    let body = problem.into().body();
    event("error", &String::from_utf8_lossy(&body))
}

/// Renders an event. JSON is on one line: line breaks in strings are escaped.
fn event(name: &str, data: &str) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}
