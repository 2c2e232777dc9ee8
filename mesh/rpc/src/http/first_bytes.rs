//! Whether the first bytes of a connection have come that tell HTTP/2 from HTTP/1.
//!
//! hyper waits for them without a timeout; its timeouts begin after that.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The length of what an HTTP/2 client sends first.
const PREFACE: usize = 24;

/// A stream whose first bytes are counted.
pub(super) struct FirstBytes<T> {
    stream: Pin<Box<T>>,
    count: Arc<AtomicUsize>,
    counted: usize,
}

/// The count.
pub(super) struct Count(Arc<AtomicUsize>);

impl Count {
    /// Whether as many have come as an HTTP/2 client sends first: from then on hyper looks
    /// after the time, whichever of the two it is.
    pub(super) fn could_be_http2(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= PREFACE
    }
}

impl<T> FirstBytes<T> {
    /// Counts the first bytes of `stream`.
    pub(super) fn of(stream: T) -> (Self, Count) {
        let count = Arc::<AtomicUsize>::default();
        let stream = Self {
            stream: Box::pin(stream),
            count: Arc::clone(&count),
            counted: 0,
        };
        (stream, Count(count))
    }
}

impl<T: AsyncRead> AsyncRead for FirstBytes<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(self.stream.as_mut().poll_read(cx, buffer))?;
        if self.counted < PREFACE {
            self.counted += buffer.filled().len() - before;
            self.count.store(self.counted, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite> AsyncWrite for FirstBytes<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
