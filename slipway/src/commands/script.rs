//! A test server that answers one request per connection, by a script.

use reqwest::Url;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// The script's reply to one request.
pub(super) enum Reply {
    /// The connection is closed without an answer.
    Cut,
    /// An answer with this status and JSON body.
    Json(u16, &'static str),
    /// An event stream that ends after this.
    Events(&'static str),
}

/// A running script.
pub(super) struct Script {
    pub(super) url: Url,
    requests: JoinHandle<Vec<String>>,
}

impl Script {
    /// Answers as many requests as there are replies.
    pub(super) async fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = tokio::spawn(async move {
            let mut requests = Vec::new();
            for reply in replies {
                let (mut stream, _) = listener.accept().await.unwrap();
                requests.push(read(&mut stream).await);
                // The client may have closed the connection.
                let _ = stream.write_all(text(&reply).as_bytes()).await;
            }
            requests
        });
        Self {
            url: url.parse().unwrap(),
            requests,
        }
    }

    /// The received requests, after the script has ended.
    pub(super) async fn requests(self) -> Vec<String> {
        self.requests.await.unwrap()
    }
}

/// The value of a header in a received request.
pub(super) fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = request.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn text(reply: &Reply) -> String {
    match reply {
        Reply::Cut => String::new(),
        Reply::Json(status, body) => format!(
            "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ),
        Reply::Events(events) => format!(
            "HTTP/1.1 200 x\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n{events}"
        ),
    }
}

async fn read(stream: &mut TcpStream) -> String {
    let mut request = String::new();
    loop {
        let mut piece = [0; 4096];
        let length = stream.read(&mut piece).await.unwrap();
        request.push_str(std::str::from_utf8(&piece[..length]).unwrap());
        if let Some((head, body)) = request.split_once("\r\n\r\n") {
            let expected = header(head, "content-length").unwrap_or("0");
            if body.len() >= expected.parse().unwrap() {
                return request;
            }
        }
    }
}
