//! The body of a request; the received bytes count until the request is answered.
//!
//! A body may be large, and a client may never finish it. When others need the room, it ends with
//! an error.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::BoxError;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::Status;

use super::{
    connections::{Overloaded, Permit},
    leftover::Received,
};
use crate::error::Fault;

/// The body of a request.
pub(super) struct CountedBody {
    body: Received,
    /// `None` once the body is complete.
    waiting: Option<Waiting>,
}

struct Waiting {
    permit: Permit,
    lost: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl CountedBody {
    /// Counts `body` in `permit`.
    pub(super) fn of(body: Received, permit: &Permit) -> Self {
        let waiting = (!body.is_end_stream()).then(|| Waiting {
            permit: permit.clone(),
            lost: Box::pin(permit.lost()),
        });
        Self { body, waiting }
    }

    /// Counts received bytes; `is_last` if the body is complete now.
    fn note(&mut self, bytes: usize, is_last: bool) -> Result<(), Overloaded> {
        let Some(waiting) = &self.waiting else {
            return Ok(());
        };
        waiting.permit.grow(bytes)?;
        if is_last {
            waiting.permit.is_whole()?;
            self.waiting = None;
        }
        Ok(())
    }
}

impl Body for CountedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => frame.transpose()?,
            Poll::Pending => match &mut self.waiting {
                Some(waiting) => {
                    return waiting
                        .lost
                        .as_mut()
                        .poll(cx)
                        .map(|()| Some(Err(overloaded())));
                }
                None => return Poll::Pending,
            },
        };
        let bytes = frame
            .as_ref()
            .and_then(Frame::data_ref)
            .map_or(0, Bytes::len);
        let is_last = frame.is_none() || self.body.is_end_stream();
        Poll::Ready(match self.note(bytes, is_last) {
            Ok(()) => frame.map(Ok),
            Err(Overloaded) => Some(Err(overloaded())),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The error in the form in which a gRPC service passes it on.
fn overloaded() -> BoxError {
    Status::from(Fault::overloaded()).into()
}
