//! The body of an answer. Its connection is busy until the body ends, and the bytes of a large
//! complete answer count until they are sent.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::connections::{LARGE_ANSWER, Overloaded, Unread, Use};

/// Marks an answer whose bytes are shared by all requests, so that it takes no extra memory.
#[derive(Debug, Clone, Copy)]
pub struct SharedBytes;

/// The body of an answer, with what it counts against the limits.
pub(super) struct Counted {
    body: Body,
    taken: Arc<(Use, Option<Arc<Unread>>)>,
}

/// A large part of an answer. hyper considers a body finished when it has received the last part,
/// and holds that part until the client has read it.
struct Part {
    bytes: Bytes,
    _taken: Arc<(Use, Option<Arc<Unread>>)>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Counted {
    /// Counts `response`.
    ///
    /// # Errors
    /// If there is no room for it.
    pub(super) fn of<B>(response: Response<B>, in_use: Use) -> Result<Response<Self>, Overloaded>
    where
        B: hyper::body::Body<Data = Bytes, Error: Into<axum::BoxError>> + Send + 'static,
    {
        let length = response.body().size_hint().exact().unwrap_or_default();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let is_shared = response.extensions().get::<SharedBytes>().is_some();
        let bytes = match length {
            0..LARGE_ANSWER => None,
            _ if is_shared => None,
            large => Some(in_use.answer(large)?),
        };
        Ok(response.map(|body| Self {
            body: Body::new(body),
            taken: Arc::new((in_use, bytes)),
        }))
    }
}

impl hyper::body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        let taken = &self.taken;
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| {
                frame.map_data(|bytes| match bytes.len() {
                    0..LARGE_ANSWER => bytes,
                    _ => Bytes::from_owner(Part {
                        bytes,
                        _taken: Arc::clone(taken),
                    }),
                })
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
