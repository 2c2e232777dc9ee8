//! Reads and drops the unread rest of a request's body.
//!
//! A request may be answered before its body has arrived: it is too large, has no token, or is not
//! JSON. Closing the connection while the client still sends resets it, and the reset may arrive
//! before the answer, so the client never learns what was wrong. Therefore the rest of the body is
//! read and dropped, within limits, while the answer is being sent. Receiving takes memory, so this
//! is done for a limited number of requests at a time; for any more the connection is closed at
//! once.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Version, header::EXPECT};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::{runtime::Handle, sync::Semaphore, time::timeout};

/// Maximum bytes that are read and dropped; a client that sends more is disconnected.
const MOST: usize = 16 * 1024 * 1024;

/// Time for a client to send them.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Number of requests whose rest is read at the same time: each has buffers of at most 128 KiB.
static AT_ONCE: Semaphore = Semaphore::const_new(64);

/// The body of a request. When it is dropped, the rest of it is still received.
pub(super) struct Received {
    body: Option<Incoming>,
    lingers: bool,
}

impl Received {
    /// Takes the body of `request`. The rest is received only for HTTP/1 without `Expect`: HTTP/2
    /// can end one request without its connection, and a client that asks whether to send the body
    /// (`Expect`) learns from the answer not to.
    pub(super) fn of(request: Request<Incoming>) -> Request<Self> {
        let http1 = request.version() <= Version::HTTP_11;
        let lingers = http1 && !request.headers().contains_key(EXPECT);
        request.map(|body| Self {
            body: Some(body),
            lingers,
        })
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Some(body) => body.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|rest| !rest.is_end_stream());
        if let (true, Some(rest), Ok(runtime)) = (self.lingers, rest, Handle::try_current())
            && let Ok(permit) = AT_ONCE.try_acquire()
        {
            runtime.spawn(async move {
                let _permit = permit;
                let _ = timeout(TIMEOUT, discard(rest)).await;
            });
        }
    }
}

/// Reads to the end, to the limit, or until the client disconnects.
async fn discard(mut rest: Incoming) {
    let mut left = MOST;
    while let Some(Ok(frame)) = rest.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(length) {
            Some(less) => left = less,
            None => return,
        }
    }
}
