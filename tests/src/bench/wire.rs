//! HTTP/1.1 with little overhead: requests are prepared bytes, and answers are parsed only as far
//! as needed.

use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Large enough for a usual answer.
const BUFFER: usize = 32 * 1024;

/// A kept-alive connection with one request in flight.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// The needed parts of an answer's head.
struct Head {
    status: u16,
    /// Bytes of head and body together; `None` if the body has no announced length.
    whole: Option<usize>,
    /// Offset of the body.
    body: usize,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// If nobody listens there.
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(BUFFER),
        })
    }

    /// Sends a request, reads its answer completely, and returns the status.
    ///
    /// # Errors
    /// If the connection ends early, or the answer has no announced length.
    pub(crate) async fn call(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        let head = self.head(request).await?;
        let whole = head.whole.context("the answer has no length")?;
        while self.buffer.len() < whole {
            self.fill().await?;
        }
        Ok(head.status)
    }

    /// Sends a request for an endless answer, and returns the connection with the part of the body
    /// that has arrived.
    ///
    /// # Errors
    /// If the answer is not 200.
    pub(crate) async fn stream(mut self, request: &[u8]) -> anyhow::Result<(TcpStream, Vec<u8>)> {
        let head = self.head(request).await?;
        if head.status != 200 {
            bail!("the stream was refused with {}", head.status);
        }
        // A copy, so that the larger buffer is freed: there may be 20,000 connections.
        let begun = self.buffer[head.body..].to_vec();
        Ok((self.stream, begun))
    }

    async fn head(&mut self, request: &[u8]) -> anyhow::Result<Head> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            self.fill().await?;
            if let Some(head) = Head::of(&self.buffer)? {
                return Ok(head);
            }
        }
    }

    async fn fill(&mut self) -> anyhow::Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            bail!("the connection was closed before the end of the answer");
        }
        Ok(())
    }
}

impl Head {
    /// The head, if it is complete.
    fn of(answer: &[u8]) -> anyhow::Result<Option<Self>> {
        let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            return Ok(None);
        };
        let mut lines = std::str::from_utf8(&answer[..end])?.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let length = lines
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map(|(_, value)| value.parse::<usize>());
        let body = end + 4;
        Ok(Some(Self {
            status: status.context("a status")?.parse()?,
            whole: length.transpose()?.map(|length| body + length),
            body,
        }))
    }
}

/// A whole `POST` request.
pub(crate) fn post(path: &str, body: &Value, token: &str) -> Vec<u8> {
    let body = body.to_string();
    let (head, length) = (tail(token), body.len());
    let head = head.trim();
    format!(
        "POST {path} {head}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n\
         {body}",
    )
    .into_bytes()
}

/// The rest of a request after its first line, with `token`.
pub(crate) fn tail(token: &str) -> String {
    format!(" HTTP/1.1\r\nhost: slipway\r\nauthorization: Bearer {token}\r\n\r\n")
}
