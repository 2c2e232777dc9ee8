//! Tests over real sockets with connections that send nothing, or too much.

use std::{future::pending, net::SocketAddr};

use axum::{
    Extension, Router,
    response::IntoResponse as _,
    routing::{get, post},
};
use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::Notify,
};

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// An empty SETTINGS frame.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

const LARGE: usize = 200 * 1024;

const LIMITS: Limits = Limits {
    connections: 8,
    requests: 2,
    answer_bytes: 256 * 1024,
    body_bytes: 256 * 1024,
    per_client_percent: 100,
};

/// A server, which stops when it is dropped.
struct Served {
    address: SocketAddr,
    connections: Connections,
    arrived: Arc<Notify>,
    _stop: tokio_util::sync::DropGuard,
}

async fn serving(protocol: Protocol) -> Served {
    let arrived = Arc::new(Notify::new());
    let arrives = Arc::clone(&arrived);
    let never = move || {
        let arrives = Arc::clone(&arrives);
        async move {
            arrives.notify_one();
            pending::<()>().await;
        }
    };
    let whole = |body: Bytes| async move { body.len().to_string() };
    let router = Router::new()
        .route("/whole", post(whole))
        .route("/", get(|| async { "here" }))
        .route("/large", get(|| async { "x".repeat(LARGE) }))
        .route(
            "/shared",
            get(|| async { (Extension(SharedBytes), &[0; LARGE][..]) }),
        )
        .route("/never", get(never));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let connections = Connections::new(LIMITS);
    let serving = Serving {
        name: "test",
        protocol,
        connections: connections.clone(),
        tls: None,
        refusal: |_| StatusCode::SERVICE_UNAVAILABLE.into_response(),
        drain: Duration::ZERO,
    };
    tokio::spawn(serve(listener, router, serving, stop.clone()));
    Served {
        address,
        connections,
        arrived,
        _stop: stop.drop_guard(),
    }
}

async fn connect(served: &Served) -> TcpStream {
    TcpStream::connect(served.address).await.unwrap()
}

async fn get_path(stream: &mut TcpStream, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 1024];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// The time until the server closes the connection.
async fn closed_after(mut stream: TcpStream) -> Duration {
    let begun = Instant::now();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_sends_nothing_is_closed() {
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let served = serving(protocol).await;
        let waited = closed_after(connect(&served).await).await;
        assert!(waited <= FIRST_REQUEST_TIMEOUT * 2, "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_stops_within_the_preface_is_closed() {
    let served = serving(Protocol::Http).await;
    for length in [1, 3, PREFACE.len() - 1] {
        let mut stream = connect(&served).await;
        stream.write_all(&PREFACE[..length]).await.unwrap();
        let waited = closed_after(stream).await;
        assert!(waited <= FIRST_REQUEST_TIMEOUT * 2, "{length}: {waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_never_ends_its_head_is_closed() {
    let served = serving(Protocol::Http).await;
    let mut stream = connect(&served).await;
    let head = b"GET / HTTP/1.1\r\nx-long: and longer";
    stream.write_all(head).await.unwrap();
    let waited = closed_after(stream).await;
    assert!(waited <= FIRST_REQUEST_TIMEOUT * 2, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_has_made_a_request_is_kept_for_the_next() {
    let served = serving(Protocol::Http).await;
    let mut stream = connect(&served).await;
    assert!(get_path(&mut stream, "/").await.ends_with("here"));
    tokio::time::sleep(FIRST_REQUEST_TIMEOUT * 3).await;
    assert!(get_path(&mut stream, "/").await.ends_with("here"));
}

#[tokio::test]
async fn a_new_connection_takes_the_place_of_an_idle_one() {
    let served = serving(Protocol::Http).await;
    let mut silent = Vec::new();
    for _ in 0..LIMITS.connections {
        silent.push(connect(&served).await);
    }
    for _ in 0..3 {
        let mut newcomer = connect(&served).await;
        assert!(get_path(&mut newcomer, "/").await.ends_with("here"));
        silent.push(newcomer);
    }
    assert_eq!(served.connections.count(), LIMITS.connections);
}

#[tokio::test]
async fn requests_above_the_limit_are_refused_at_once() {
    let served = serving(Protocol::Http).await;
    let mut waiting = Vec::new();
    for _ in 0..LIMITS.requests {
        let mut stream = connect(&served).await;
        let request = b"GET /never HTTP/1.1\r\nhost: test\r\n\r\n";
        stream.write_all(request).await.unwrap();
        served.arrived.notified().await;
        waiting.push(stream);
    }
    let mut stream = connect(&served).await;
    let answer = get_path(&mut stream, "/").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    drop(waiting);
    while !get_path(&mut stream, "/").await.ends_with("here") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn requests_whose_bodies_never_end_do_not_block_others() {
    let served = serving(Protocol::Http).await;
    let mut waiting = Vec::new();
    for _ in 0..LIMITS.requests + 1 {
        let mut stream = connect(&served).await;
        let half = b"POST /whole HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\nx";
        stream.write_all(half).await.unwrap();
        waiting.push(stream);
        // A later request of another client.
        let mut other = connect(&served).await;
        assert!(get_path(&mut other, "/").await.ends_with("here"));
    }
    let mut answer = [0; 13];
    waiting[0].read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 503 ", "it has waited longest");
    for stream in &mut waiting[1..] {
        stream.write_all(b"y").await.unwrap();
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 ");
    }
}

#[tokio::test]
async fn a_large_unread_answer_is_closed_for_others() {
    let served = serving(Protocol::Http).await;
    let mut deaf = connect(&served).await;
    let answer = get_path(&mut deaf, "/large").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // The unread bytes stay in the server: the kernel takes only a part of the answer.
    let mut other = connect(&served).await;
    let answer = get_path(&mut other, "/large").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let mut rest = Vec::new();
    let _ = deaf.read_to_end(&mut rest).await;
    assert!(rest.len() < LARGE, "it was cut off");
}

#[tokio::test]
async fn shared_answers_are_not_counted() {
    let served = serving(Protocol::Http).await;
    let mut deaf = connect(&served).await;
    let answer = get_path(&mut deaf, "/large").await;
    for _ in 0..4 {
        let mut other = connect(&served).await;
        let shared = get_path(&mut other, "/shared").await;
        assert!(shared.starts_with("HTTP/1.1 200 "), "{shared}");
    }
    let mut whole = answer.into_bytes();
    let head = String::from_utf8_lossy(&whole).find("\r\n\r\n").unwrap() + 4;
    let mut rest = vec![0; head + LARGE - whole.len()];
    deaf.read_exact(&mut rest).await.unwrap();
    whole.extend(rest);
    assert!(whole.ends_with(b"x"));
}

#[tokio::test]
async fn the_first_settings_of_http2_bound_the_streams() {
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let served = serving(protocol).await;
        let mut stream = connect(&served).await;
        stream
            .write_all(&[PREFACE, SETTINGS].concat())
            .await
            .unwrap();
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let [_, high, low, kind, ..] = head;
        assert_eq!(kind, 4, "the first frame is SETTINGS");
        let mut settings = vec![0; usize::from(u16::from_be_bytes([high, low]))];
        stream.read_exact(&mut settings).await.unwrap();
        // Each setting has an identifier of two bytes and a value of four.
        let streams = settings.chunks(6).find(|setting| setting[..2] == [0, 3]);
        let expected = protocol.max_streams().to_be_bytes();
        assert_eq!(streams.unwrap()[2..], expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_http2_connection_without_a_request_is_kept() {
    let served = serving(Protocol::Grpc).await;
    let stream = connect(&served).await;
    let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .handshake::<_, Body>(TokioIo::new(stream))
        .await
        .unwrap();
    let ended = tokio::spawn(connection);
    tokio::time::sleep(FIRST_REQUEST_TIMEOUT * 3).await;
    assert!(!ended.is_finished());
    drop(sender);
}

#[tokio::test]
async fn incomplete_messages_are_refused_for_others() {
    let served = serving(Protocol::Grpc).await;
    let stream = connect(&served).await;
    let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .handshake::<_, Body>(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let call = |bytes: usize, ends: bool| {
        let mut sender = sender.clone();
        let pieces = (0..bytes / 16_384).map(|_| Bytes::from_static(&[0; 16_384]));
        let pieces = futures::stream::iter(pieces.map(|piece| Ok(Frame::data(piece))));
        let rest = futures::stream::pending::<Result<Frame<Bytes>, Infallible>>();
        let body = match ends {
            true => Body::new(StreamBody::new(pieces)),
            false => Body::new(StreamBody::new(futures::StreamExt::chain(pieces, rest))),
        };
        let request = Request::post(format!("http://{}/whole", served.address));
        let request = request.body(body).unwrap();
        async move { sender.send_request(request).await }
    };
    let unended = tokio::spawn(call(128 * 1024, false));
    // The first later message takes its room.
    while !unended.is_finished() {
        let large = call(192 * 1024, true).await.unwrap();
        let large = large.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(large, "196608");
    }
    let refused = unended.await.unwrap().unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_client_that_opens_too_many_streams_is_barred_for_a_while() {
    let served = serving(Protocol::Grpc).await;
    let mut stream = connect(&served).await;
    stream
        .write_all(&[PREFACE, SETTINGS].concat())
        .await
        .unwrap();
    // The head of `POST /never`, in HPACK without its tables; the message never follows.
    let head = b"\x83\x86\x04\x06/never\x01\x04test";
    for id in (1_u32..).step_by(2) {
        let length = u8::try_from(head.len()).unwrap();
        let frame = [&[0, 0, length, 1, 4][..], &id.to_be_bytes(), head].concat();
        if stream.write_all(&frame).await.is_err() {
            break;
        }
    }
    let client = stream.local_addr().unwrap().ip();
    while served.connections.admit(client).await.is_some() {
        tokio::task::yield_now().await;
    }
}
