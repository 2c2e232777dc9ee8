//! A replica for tests that can crash, pause, refuse calls and return: a gRPC server on its own
//! thread.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use axum::Router;
use bytes::Bytes;
use futures::StreamExt as _;
use http::Response;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::{net::TcpSocket, runtime::Runtime};
use tokio_stream::wrappers::{TcpListenerStream, UnboundedReceiverStream};
use tonic::{Status, body::Body, service::Routes, transport::Server};

use super::TIMEOUT;

/// How a replica answers calls.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Answers,
    /// Like a service whose database is unavailable.
    IsUnavailable,
    /// It accepts calls and never answers, but it answers health checks.
    Hangs,
    /// It answers with a stream that sends one frame, and another one each time the replica is
    /// [nudged](Replica::nudge).
    Streams,
}

/// An address that nobody else gets, also while no replica listens there: then connections are
/// refused.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) at: SocketAddr,
    /// Bound, but never listening.
    _socket: Arc<TcpSocket>,
}

impl Held {
    fn new() -> Self {
        let socket = reusable(SocketAddr::from(([127, 0, 0, 1], 0)));
        Self {
            at: socket.local_addr().unwrap(),
            _socket: Arc::new(socket),
        }
    }
}

/// A socket at this address, which others may have that do not listen.
fn reusable(at: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(at).unwrap();
    socket
}

pub(super) struct Replica {
    pub(super) at: SocketAddr,
    held: Held,
    runtime: Option<Runtime>,
    calls: Arc<AtomicUsize>,
    nudges: Arc<tokio::sync::Notify>,
}

impl Replica {
    pub(super) async fn start(manner: Manner) -> Self {
        Self::start_at(Held::new(), manner).await
    }

    pub(super) async fn start_at(held: Held, manner: Manner) -> Self {
        let at = held.at;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (calls, nudges) = (Arc::<AtomicUsize>::default(), Arc::default());
        let (counted, nudged) = (Arc::clone(&calls), Arc::clone(&nudges));
        let bound = runtime.spawn(async move {
            let listener = reusable(at).listen(1024).unwrap();
            let (_reporter, health) = tonic_health::server::health_reporter();
            let router = Router::new().fallback(move || {
                counted.fetch_add(1, Ordering::SeqCst);
                answer(manner, Arc::clone(&nudged))
            });
            let server = Server::builder()
                .add_routes(Routes::from(router).add_service(health))
                .serve_with_incoming(TcpListenerStream::new(listener));
            tokio::spawn(server);
        });
        bound.await.unwrap();
        Self {
            at,
            held,
            runtime: Some(runtime),
            calls,
            nudges,
        }
    }

    /// The number of calls it has received.
    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Makes its streams send one more frame.
    pub(super) fn nudge(&self) {
        self.nudges.notify_waiters();
    }

    /// Closes everything at once; returns its address.
    pub(super) fn crash(mut self) -> Held {
        if let Some(runtime) = self.runtime.take() {
            // A runtime must not be waited for within another one.
            let ended = std::thread::spawn(move || runtime.shutdown_timeout(TIMEOUT));
            ended.join().unwrap();
        }
        self.held.clone()
    }

    /// Stops it as SIGSTOP would: its sockets stay open. It continues when the returned sender is
    /// dropped.
    pub(super) fn pause(&self) -> mpsc::Sender<()> {
        let (resume, paused) = mpsc::channel::<()>();
        // Blocks the replica's only thread.
        let wait = async move {
            let _ = paused.recv();
        };
        self.runtime.as_ref().unwrap().spawn(wait);
        resume
    }

    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.end();
    }
}

async fn answer(manner: Manner, nudges: Arc<tokio::sync::Notify>) -> Response<Body> {
    match manner {
        Manner::Answers => Status::ok("").into_http(),
        Manner::IsUnavailable => Status::unavailable("the database is away").into_http(),
        Manner::Hangs => std::future::pending().await,
        Manner::Streams => {
            let (frames, stream) = tokio::sync::mpsc::unbounded_channel();
            frames.send(Bytes::from_static(b"frame")).unwrap();
            tokio::spawn(async move {
                while !frames.is_closed() {
                    nudges.notified().await;
                    let _ = frames.send(Bytes::from_static(b"frame"));
                }
            });
            let frames = UnboundedReceiverStream::new(stream);
            let frames = frames.map(|bytes| Ok::<_, Status>(Frame::data(bytes)));
            Response::new(Body::new(StreamBody::new(frames)))
        }
    }
}
