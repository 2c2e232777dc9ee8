//! Hostile HTTP/2: writes frames and ignores what the server sends.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, tcp::OwnedWriteHalf},
    sync::Notify,
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A connection that writes gRPC calls and discards the responses.
pub(super) struct Caller {
    out: OwnedWriteHalf,
    next: u32,
    closed: Arc<Notify>,
}

/// What follows the headers of a call.
#[derive(Clone, Copy)]
pub(super) enum Message<'a> {
    /// Nothing; the call stays open.
    Never,
    /// Nothing; the call ends.
    None,
    /// A message with these bytes.
    Bytes(&'a [u8]),
}

impl Caller {
    /// Connects, and grants the server a window of `window` bytes for each response.
    pub(super) async fn connect(stream: TcpStream, window: u32) -> std::io::Result<Self> {
        let (mut read, mut out) = stream.into_split();
        let setting = [&[0, 4][..], &window.to_be_bytes()].concat();
        out.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &setting)].concat())
            .await?;
        let closed = Arc::new(Notify::new());
        let ended = Arc::clone(&closed);
        tokio::spawn(async move {
            let mut buffer = vec![0; 16 * 1024];
            while matches!(read.read(&mut buffer).await, Ok(1..)) {}
            ended.notify_one();
        });
        Ok(Self {
            out,
            next: 1,
            closed,
        })
    }

    /// Writes a call of `path`.
    pub(super) async fn call(
        &mut self,
        path: &str,
        token: Option<&str>,
        message: Message<'_>,
    ) -> std::io::Result<()> {
        let stream = self.next;
        self.next += 2;
        let ends = match message {
            Message::None => END_STREAM,
            Message::Never | Message::Bytes(_) => 0,
        };
        let mut frames = frame(HEADERS, END_HEADERS | ends, stream, &head(path, token));
        if let Message::Bytes(bytes) = message {
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let prefixed = [&[0][..], &length.to_be_bytes(), bytes].concat();
            frames.extend(frame(DATA, END_STREAM, stream, &prefixed));
        }
        self.out.write_all(&frames).await
    }

    /// Returns when the server has closed the connection.
    pub(super) async fn closed(&self) {
        self.closed.notified().await;
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The headers of a call in HPACK, without the dynamic table and without Huffman codes.
fn head(path: &str, token: Option<&str>) -> Vec<u8> {
    // `:method: POST` and `:scheme: http`, from the static table.
    let mut head = vec![0x83, 0x86];
    // `:path` and `:authority`, with names from the static table.
    head.push(0x04);
    string(&mut head, path);
    head.push(0x01);
    string(&mut head, "slipway");
    let bearer = token.map(|token| format!("Bearer {token}"));
    let named = [
        ("content-type", Some("application/grpc")),
        ("te", Some("trailers")),
        ("authorization", bearer.as_deref()),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            head.push(0x00);
            string(&mut head, name);
            string(&mut head, value);
        }
    }
    head
}

fn string(head: &mut Vec<u8>, text: &str) {
    let length = text.len();
    match u8::try_from(length) {
        Ok(short @ ..=126) => head.push(short),
        _ => {
            head.push(127);
            let mut rest = length - 127;
            while rest >= 128 {
                head.push(u8::try_from(rest % 128).unwrap_or_default() | 0x80);
                rest /= 128;
            }
            head.push(u8::try_from(rest).unwrap_or_default());
        }
    }
    head.extend(text.as_bytes());
}

/// Connects from the loopback address 127.0.0.`last`.
pub(super) async fn connect_from(last: u8, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, last], 0)))?;
    socket.connect(to).await
}
