//! Detects whether the first bytes of a connection are the HTTP/2 preface.
//!
//! hyper waits for these bytes without a timeout, and its timeout for the head of an HTTP/1 request
//! is longer than the first request may take.

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

/// The client preface of HTTP/2 (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream that counts its first bytes, as long as they match the preface.
pub(super) struct FirstBytes<T> {
    stream: Pin<Box<T>>,
    count: Arc<AtomicUsize>,
    counted: usize,
    /// Whether all bytes so far match.
    is_preface: bool,
}

/// The number of matching bytes.
pub(super) struct Count(Arc<AtomicUsize>);

impl Count {
    /// Whether the whole preface was received. From then on hyper applies its own timeouts.
    pub(super) fn is_http2(&self) -> bool {
        self.0.load(Ordering::Relaxed) == PREFACE.len()
    }
}

impl<T> FirstBytes<T> {
    /// Wraps `stream` and counts its first bytes.
    pub(super) fn of(stream: T) -> (Self, Count) {
        let count = Arc::<AtomicUsize>::default();
        let stream = Self {
            stream: Box::pin(stream),
            count: Arc::clone(&count),
            counted: 0,
            is_preface: true,
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
        let come = &buffer.filled()[before..];
        let expected = &PREFACE[self.counted..];
        let first = come.len().min(expected.len());
        if self.is_preface && come[..first] == expected[..first] {
            self.counted += first;
            self.count.store(self.counted, Ordering::Relaxed);
        } else {
            self.is_preface = false;
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
