//! Malformed HTTP: it is refused with a problem document, and the connection is closed.

use serde_json::Value;
use slipway_tests::Process;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The answers to these bytes, until the server closes the connection.
async fn talk(server: &Process, bytes: &[u8]) -> anyhow::Result<String> {
    let address = server.http.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(bytes).await?;
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).await?;
    Ok(String::from_utf8(answers)?)
}

/// Asserts that this is one refusal in the documented form.
#[track_caller]
fn refused(answer: &str, status: u16, code: &str) {
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with(&format!("http/1.1 {status} ")), "{answer}");
    for header in [
        "content-type: application/problem+json",
        "connection: close",
        "cache-control: private, no-store",
        "x-frame-options: deny",
        "x-content-type-options: nosniff",
        "x-request-id: ",
        "date: ",
    ] {
        assert!(
            head.contains(&format!("\r\n{header}")),
            "{header}: {answer}"
        );
    }
    let problem: Value = serde_json::from_str(body).expect(answer);
    assert_eq!(
        (&problem["status"], &problem["code"]),
        (&status.into(), &code.into())
    );
    let trace = problem["traceId"].as_str().expect("a trace id");
    assert!(
        head.contains(&format!("traceparent: 00-{trace}-")),
        "{answer}"
    );
    for member in ["type", "title", "detail"] {
        assert!(problem[member].is_string(), "{problem}");
    }
}

#[tokio::test]
async fn requests_that_proxies_may_read_differently_are_refused() -> anyhow::Result<()> {
    let server = Process::start().await?;
    let body = "5\r\n{\"a\":\r\n0\r\n\r\n";
    for head in [
        "GET /auth/me HTTP/1.1\r\n\r\n",
        "GET /auth/me HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n",
        "GET /auth/me HTTP/1.1\r\nHost: a.example\r\nHost: a.example\r\n\r\n",
        "GET /auth/me HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET /nowhere HTTP/1.1\r\n\r\n",
        "POST /auth/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
        "POST /auth/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "POST /auth/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        "POST /auth/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
    ] {
        // The second request must not be answered.
        let next = "GET /openapi.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let body = if head.starts_with("POST") { body } else { "" };
        let answer = talk(&server, format!("{head}{body}{next}").as_bytes()).await?;
        refused(&answer, 400, "MALFORMED_REQUEST");
    }
    let one = "GET /.well-known/jwks.json HTTP/1.0\r\n\r\n";
    assert!(talk(&server, one.as_bytes()).await?.contains(" 200 OK"));
    Ok(())
}

#[tokio::test]
async fn malformed_requests_are_refused_with_a_problem_document() -> anyhow::Result<()> {
    let server = Process::start().await?;
    let long = "a".repeat(70_000);
    let many: String = (0..150).map(|n| format!("x-{n}: 1\r\n")).collect();
    for (bytes, status, code) in [
        ("GARBAGE\r\n\r\n".to_owned(), 400, "MALFORMED_REQUEST"),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nno header\r\n\r\n".to_owned(),
            400,
            "MALFORMED_REQUEST",
        ),
        (
            "GET / HTTP/3.1\r\nHost: a\r\n\r\n".to_owned(),
            400,
            "MALFORMED_REQUEST",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"
                .to_owned(),
            400,
            "MALFORMED_REQUEST",
        ),
        (
            format!(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
                u64::MAX
            ),
            400,
            "MALFORMED_REQUEST",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(),
            400,
            "MALFORMED_REQUEST",
        ),
        (
            format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
            431,
            "HEAD_TOO_LARGE",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\nx: {long}\r\n\r\n"),
            431,
            "HEAD_TOO_LARGE",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
            431,
            "HEAD_TOO_LARGE",
        ),
    ] {
        refused(&talk(&server, bytes.as_bytes()).await?, status, code);
    }
    // Also after an answer of the API.
    let pipelined = "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\nGARBAGE\r\n\r\n";
    let answers = talk(&server, pipelined.as_bytes()).await?;
    assert!(answers.starts_with("HTTP/1.1 404 "), "{answers}");
    let second = answers.rfind("HTTP/1.1 ").expect("two answers");
    refused(&answers[second..], 400, "MALFORMED_REQUEST");
    Ok(())
}
