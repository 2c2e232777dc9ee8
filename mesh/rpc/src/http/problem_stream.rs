//! Replaces hyper's own error answers by problem documents.
//!
//! A request that hyper cannot parse never reaches the router: hyper writes a status without a
//! body, as the last bytes on the connection, and has no hook to say more. [`ProblemStream`] wraps
//! a connection and writes a problem document instead. It recognizes hyper's answer by its exact
//! bytes; none of our answers can end in them, because ours always have more headers. If another
//! version of hyper writes it differently, or the system accepts only half of it, it is sent
//! unchanged.
//!
//! hyper also says that a head is too large when its `Content-Length` is too large, so the bytes
//! read are counted to tell the two apart.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use uuid::Uuid;

use super::MAX_HEAD;
use slipway_runtime::telemetry::{TraceContext, trace::TRACEPARENT};

/// The bytes between the first line of such an answer and its date.
const MIDDLE: &[u8] = b"\r\nconnection: close\r\ncontent-length: 0\r\ndate: ";
const DATE: usize = "Sun, 29 Nov 2026 02:33:07 GMT".len();
const END: &[u8] = b"\r\n\r\n";

/// Maximum number of headers of a request, as hyper limits it.
const MAX_HEADERS: usize = 100;

/// A connection that replaces hyper's own error answers by problem documents.
pub(super) struct ProblemStream<S> {
    stream: S,
    /// What was read since the last write.
    read: Read,
    /// The unwritten rest of the document that replaces an error answer.
    document: Bytes,
}

impl<S> ProblemStream<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            read: Read::default(),
            document: Bytes::new(),
        }
    }
}

/// Counts what was read.
#[derive(Debug, Default)]
struct Read {
    bytes: usize,
    lines: usize,
}

impl Read {
    fn count(&mut self, bytes: &[u8]) {
        if !self.could_be_too_large() {
            self.bytes += bytes.len();
            self.lines += bytes.iter().filter(|byte| **byte == b'\n').count();
        }
    }

    /// Whether it is more than a head, including the first line, may have.
    fn could_be_too_large(&self) -> bool {
        self.bytes >= MAX_HEAD || self.lines > MAX_HEADERS + 1
    }
}

/// The errors that hyper answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Malformed,
    /// Also used for a request line that is too long, for which HTTP has its own status: which
    /// limit is reached first is a matter of chance.
    TooLarge,
}

impl Refusal {
    /// Each error with the first line that hyper writes.
    const ALL: [(&'static [u8], Self); 3] = [
        (b"HTTP/1.1 400 Bad Request", Self::Malformed),
        (
            b"HTTP/1.1 431 Request Header Fields Too Large",
            Self::TooLarge,
        ),
        (b"HTTP/1.1 414 URI Too Long", Self::TooLarge),
    ];

    /// Finds an error answer at the end of the written bytes, and returns where it begins.
    fn at_end_of(written: &[u8]) -> Option<(usize, Self)> {
        let rest = written.strip_suffix(END)?;
        let rest = &rest[..rest.len().checked_sub(DATE)?];
        let rest = rest.strip_suffix(MIDDLE)?;
        let known = Self::ALL.iter();
        known
            .filter_map(|(line, refusal)| Some((rest.strip_suffix(*line)?.len(), *refusal)))
            .next()
    }

    /// The document that replaces the answer; `date` is hyper's.
    fn document(self, date: &str) -> Bytes {
        let (line, code, title, detail) = match self {
            Self::Malformed => (
                "400 Bad Request",
                "MALFORMED_REQUEST",
                "Invalid request",
                "The request is not valid HTTP: its first line or one of its headers cannot be \
                 read.",
            ),
            Self::TooLarge => (
                "431 Request Header Fields Too Large",
                "HEAD_TOO_LARGE",
                "Request head too large",
                "The first line and the headers of a request may have at most 64 KiB, and there \
                 may be 100 headers.",
            ),
        };
        let trace = TraceContext::generate();
        let status: u16 = line[..3].parse().unwrap_or(400);
        let body = json!({
            "type": format!("urn:slipway:problem:{code}"),
            "title": title,
            "status": status,
            "detail": detail,
            "code": code,
            "traceId": trace.trace_id(),
        })
        .to_string();
        let (length, request_id) = (body.len(), Uuid::now_v7());
        let head = [
            format!("HTTP/1.1 {line}"),
            "content-type: application/problem+json".to_owned(),
            format!("content-length: {length}"),
            "connection: close".to_owned(),
            "cache-control: private, no-store".to_owned(),
            "x-content-type-options: nosniff".to_owned(),
            "x-frame-options: DENY".to_owned(),
            "referrer-policy: no-referrer".to_owned(),
            "content-security-policy: default-src 'none'; frame-ancestors 'none'".to_owned(),
            format!("x-request-id: {request_id}"),
            format!("{TRACEPARENT}: {trace}"),
            format!("date: {date}"),
        ];
        format!("{}\r\n\r\n{body}", head.join("\r\n")).into()
    }
}

impl<S: AsyncWrite + Unpin> ProblemStream<S> {
    /// Writes the rest of a document.
    fn poll_document(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.document.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.document))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.document.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ProblemStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_document(cx))?;
        match Refusal::at_end_of(bytes) {
            None => {
                self.read = Read::default();
                Pin::new(&mut self.stream).poll_write(cx, bytes)
            }
            Some((0, refusal)) => {
                let refusal = match self.read.could_be_too_large() {
                    true => refusal,
                    false => Refusal::Malformed,
                };
                let date = &bytes[bytes.len() - END.len() - DATE..bytes.len() - END.len()];
                self.document = refusal.document(&String::from_utf8_lossy(date));
                // The rest is written before any later write or flush.
                if let Poll::Ready(Err(error)) = self.poll_document(cx) {
                    return Poll::Ready(Err(error));
                }
                Poll::Ready(Ok(bytes.len()))
            }
            // A regular answer comes first.
            Some((start, _)) => Pin::new(&mut self.stream).poll_write(cx, &bytes[..start]),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut there = parts.iter().filter(|part| !part.is_empty());
        let first = there.next();
        let last = there.next_back().or(first);
        match (first, last) {
            (Some(first), Some(last))
                if !self.document.is_empty() || Refusal::at_end_of(last).is_some() =>
            {
                self.poll_write(cx, first)
            }
            _ => {
                self.read = Read::default();
                Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_document(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_document(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ProblemStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.read.count(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const BARE: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\
        date: Sun, 29 Nov 2026 02:33:07 GMT\r\n\r\n";
    const OURS: &str = "HTTP/1.1 400 Bad Request\r\nx-request-id: 7\r\nconnection: close\r\n\
        content-length: 0\r\ndate: Sun, 29 Nov 2026 02:33:07 GMT\r\n\r\n";

    /// What a client receives of these writes, through a pipe that takes `room` bytes at a time.
    async fn arrives(writes: &[&[&str]], room: usize) -> String {
        let (near, mut far) = tokio::io::duplex(room);
        let mut near = ProblemStream::new(near);
        near.read.bytes = MAX_HEAD;
        let write = async {
            for parts in writes {
                match parts {
                    [one] => near.write_all(one.as_bytes()).await.unwrap(),
                    parts => {
                        let mut left: Vec<_> = parts
                            .iter()
                            .map(|part| IoSlice::new(part.as_bytes()))
                            .collect();
                        let mut left = left.as_mut_slice();
                        while !left.is_empty() {
                            let written = near.write_vectored(left).await.unwrap();
                            IoSlice::advance_slices(&mut left, written);
                        }
                    }
                }
            }
            near.shutdown().await.unwrap();
        };
        let mut text = String::new();
        let (_, read) = tokio::join!(write, far.read_to_string(&mut text));
        read.unwrap();
        text
    }

    #[track_caller]
    fn is_explained(text: &str, status: u16, code: &str) {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert!(
            head.contains(&format!("content-length: {}\r\n", body.len())),
            "{head}"
        );
        assert!(head.contains("connection: close\r\n"), "{head}");
        assert!(
            head.ends_with("date: Sun, 29 Nov 2026 02:33:07 GMT"),
            "{head}"
        );
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["code"], code);
        assert!(
            head.contains(problem["traceId"].as_str().unwrap()),
            "{head}"
        );
    }

    #[tokio::test]
    async fn a_refusal_of_hyper_becomes_a_document() {
        for room in [1, 7, 4096] {
            let text = arrives(&[&[BARE]], room).await;
            is_explained(&text, 400, "MALFORMED_REQUEST");
            let large = BARE.replace("400 Bad Request", "431 Request Header Fields Too Large");
            is_explained(&arrives(&[&[&large]], room).await, 431, "HEAD_TOO_LARGE");
            let long = BARE.replace("400 Bad Request", "414 URI Too Long");
            is_explained(&arrives(&[&[&long]], room).await, 431, "HEAD_TOO_LARGE");
        }
    }

    #[tokio::test]
    async fn a_short_head_is_not_too_large() {
        let large = BARE.replace("400 Bad Request", "431 Request Header Fields Too Large");
        for (lines, status, code) in [
            (3, 400, "MALFORMED_REQUEST"),
            (MAX_HEADERS + 2, 431, "HEAD_TOO_LARGE"),
        ] {
            let (near, mut far) = tokio::io::duplex(4096);
            let mut near = ProblemStream::new(near);
            let head = "a: b\r\n".repeat(lines);
            far.write_all(head.as_bytes()).await.unwrap();
            near.read_exact(&mut vec![0; head.len()]).await.unwrap();
            near.write_all(large.as_bytes()).await.unwrap();
            drop(near);
            let mut text = String::new();
            far.read_to_string(&mut text).await.unwrap();
            is_explained(&text, status, code);
        }
    }

    #[tokio::test]
    async fn earlier_answers_are_unchanged() {
        let joined = format!("{OURS}{BARE}");
        for room in [1, 7, 4096] {
            for writes in [
                &[&[OURS][..], &[BARE]][..],
                &[&[OURS, BARE]],
                &[&[&joined]],
                &[&["", OURS, "", BARE, ""]],
            ] {
                let text = arrives(writes, room).await;
                let rest = text.strip_prefix(OURS).unwrap();
                is_explained(rest, 400, "MALFORMED_REQUEST");
            }
        }
    }

    #[tokio::test]
    async fn everything_else_is_unchanged() {
        let other = BARE.replace("400 Bad Request", "404 Not Found");
        for text in [
            OURS,
            &other,
            &BARE[1..],
            &BARE[..BARE.len() - 1],
            "\r\n\r\n",
            "",
        ] {
            for room in [1, 4096] {
                assert_eq!(arrives(&[&[text]], room).await, text);
                let (start, end) = text.split_at(text.len() / 2);
                assert_eq!(arrives(&[&[start, end]], room).await, text);
            }
        }
    }
}
