//! Servers that a test plays itself: reads requests and writes answers.

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

/// Reads a request: its path and its JSON body, which is null if there is none.
pub(crate) async fn receive(stream: &mut TcpStream) -> (String, Value) {
    let mut reader = BufReader::new(stream);
    let (mut line, mut path, mut length) = (String::new(), String::new(), 0);
    while reader.read_line(&mut line).await.unwrap() > 2 {
        let line = std::mem::take(&mut line).to_lowercase();
        if let Some(text) = line.strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        } else if path.is_empty() {
            path = line.split(' ').nth(1).unwrap().to_owned();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await.unwrap();
    (path, serde_json::from_slice(&body).unwrap_or_default())
}

/// Answers and closes the connection.
pub(crate) async fn answer(stream: &mut TcpStream, body: &str) {
    let length = body.len();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
    let answer = format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).await.unwrap();
}

/// Answers with a redirect and closes the connection.
pub(crate) async fn redirect(stream: &mut TcpStream, to: &str) {
    let head = "HTTP/1.1 307 Temporary Redirect\r\nconnection: close\r\ncontent-length: 0";
    let answer = format!("{head}\r\nlocation: {to}\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
}
