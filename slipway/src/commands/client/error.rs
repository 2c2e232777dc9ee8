//! The errors of the client.

use reqwest::Url;

use super::{Refusal, StoreError};

/// Why a request has failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server was not reached, or its answer was lost.
    #[error("{base} cannot be reached: {reason}")]
    Unreachable {
        /// The server.
        base: Url,
        /// The innermost cause.
        reason: String,
    },
    /// The server answered with an error.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The token has expired, and there is no password.
    #[error(
        "the token has expired; with --username and a password in SLIPWAY_PASSWORD, slipway signs \
         in again automatically"
    )]
    SignedOut,
    /// The session that `slipway login` began has ended.
    #[error("{reason}; sign in again: slipway login {base} --name {server}")]
    SessionEnded {
        /// The server.
        base: Url,
        /// The name that it has here.
        server: String,
        /// Why.
        reason: String,
    },
    /// What `slipway login` keeps cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The answer does not match the API: perhaps this is not a Slipway server.
    #[error("the answer of {base} does not match the API: {source}")]
    Malformed {
        /// The server.
        base: Url,
        /// What is wrong with the answer.
        source: serde_json::Error,
    },
}

/// Parts of library error messages, and a clearer message for each.
const IN_WORDS: [(&str, &str); 7] = [
    (
        "InvalidContentType",
        "it does not speak TLS; use http:// if that is what it serves",
    ),
    (
        "invalid peer certificate",
        "its certificate is not one for this address by an authority that is trusted here",
    ),
    (
        "invalid HTTP version",
        "it does not speak HTTP; use https:// if that is what it serves",
    ),
    (
        "unexpected message from connection",
        "it does not speak HTTP/1.1; the API is where http_addr says, not where gRPC is",
    ),
    ("unexpected EOF", CLOSED),
    ("end of file before message length reached", CLOSED),
    ("connection closed before message completed", CLOSED),
];

const CLOSED: &str = "the server has closed the connection";

impl ClientError {
    /// The error for a server that was not reached.
    pub(super) fn unreachable(base: &Url, error: &reqwest::Error) -> Self {
        Self::Unreachable {
            base: base.clone(),
            reason: innermost(error),
        }
    }
}

/// The innermost cause, in clear words. The outer ones only repeat the URL.
pub(in crate::commands) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let cause = cause.to_string();
    let known = IN_WORDS.iter().find(|(part, _)| cause.contains(part));
    known.map_or(cause, |(_, words)| (*words).to_owned())
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use std::io;

    use super::*;
    use crate::commands::client::Client;

    /// The error message for a server that answers every request with `answer`.
    async fn error_of(scheme: &str, answer: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("{scheme}://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(answer).await;
            }
        });
        let client = Client::new(base.parse().unwrap()).unwrap();
        let answer = client.stream("/activity/stream", &[], None).await;
        serving.abort();
        answer.unwrap_err().to_string()
    }

    #[test]
    fn a_connection_that_ends_in_an_answer_is_told_without_the_words_of_libraries() {
        for library in [
            "unexpected EOF during chunk size line",
            "connection closed before message completed",
        ] {
            assert_eq!(innermost(&io::Error::other(library)), CLOSED);
        }
        assert_eq!(innermost(&io::Error::other("another")), "another");
    }

    #[tokio::test]
    async fn a_server_that_speaks_another_protocol_gets_a_clear_message() {
        for (scheme, answer, words) in [
            (
                "https",
                &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
                "does not speak TLS; use http://",
            ),
            ("http", b"\x15\x03\x03\x00\x02\x02\x46", "use https://"),
            (
                "http",
                b"\0\0\x06\x04\0\0\0\0\0\0\x05\0\0\x40\0",
                "does not speak HTTP",
            ),
        ] {
            let message = error_of(scheme, answer).await;
            assert!(message.contains(words), "{scheme}: {message}");
        }
    }
}
