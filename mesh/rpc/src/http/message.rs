//! The message of a gRPC call: what has arrived of it counts until the call is answered.
//!
//! A message may have 4 MiB, and a client may open many calls and never end their messages.
//! REST requests are counted by the gateway, which knows whose they are.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tonic::Status;

use super::{connections::Taken, leftover::Received};
use crate::error::Fault;

/// The body of a call.
pub(super) struct Message {
    body: Received,
    taken: Taken,
}

impl Message {
    /// Counts `body` in `taken`.
    pub(super) fn of(body: Received, taken: Taken) -> Self {
        Self { body, taken }
    }
}

impl Body for Message {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else {
            return Poll::Ready(None);
        };
        let frame = frame.map_err(|error| Status::from_error(Box::new(error)))?;
        let length = frame.data_ref().map_or(0, Bytes::len);
        Poll::Ready(Some(match self.taken.grow(length) {
            true => Ok(frame),
            false => Err(Fault::overloaded().into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
