//! Serves HTTP connections (REST, gRPC and the ops port) with limits, and drains them on shutdown.

mod answer;
mod connections;
mod counted_body;
mod first_bytes;
mod leftover;
mod problem_stream;
mod proxies;

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{body::Body, extract::ConnectInfo, response::Response};
use futures::FutureExt as _;
use http::{HeaderValue, Request, Version, header::CONNECTION};
use hyper::body::{Body as _, Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto::Builder,
        graceful::{GracefulShutdown, Watcher},
    },
    service::TowerToHyperService,
};
use slipway_runtime::telemetry::metrics::Counted;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpConnectInfo;
use tower::{Service, ServiceExt};

use crate::{error::Fault, grpc::ServerTls, metrics as m};
pub use answer::SharedBytes;
pub(crate) use connections::Network;
use connections::{Connection, Overloaded};
pub use connections::{Connections, Limits};
use first_bytes::FirstBytes;
use problem_stream::ProblemStream;
pub use proxies::{ClientHeader, Networks, NoNetworks, TrustedProxies};

/// Time for a client to set up TLS, and then to send its first request over HTTP/1 or open its
/// first stream over HTTP/2.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for a client to send a request's head, and for a connection to stay idle between requests.
/// It is longer than load balancers keep idle connections, so that they close them and not this
/// server.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// A client that reads nothing for this long is disconnected.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// After the shutdown signal, requests are still accepted for this long, and each answer tells its
/// client to close the connection. A client that is about to send a request on an idle connection
/// gets an answer instead of a reset.
const LAME_DUCK: Duration = Duration::from_millis(300);

/// Time for clients that have just connected to send their request: without it, their connections
/// would be closed without an answer.
const LAST_REQUESTS: Duration = Duration::from_millis(100);

/// Time before the end of the drain at which requests with incomplete bodies are refused, so that
/// the refusal can still be sent.
const LAST_ANSWERS: Duration = Duration::from_millis(250);

/// Maximum bytes of a request's head.
const MAX_HEAD: usize = 64 * 1024;

/// Maximum bytes written on one connection that the client has not read: in this process, and again
/// in the kernel. So an answer is produced only as fast as the client reads it.
const MAX_UNSENT: usize = 64 * 1024;
#[cfg(target_os = "linux")]
const MAX_UNSENT_IN_KERNEL: u32 = 32 * 1024;

/// Flow-control windows for HTTP/2 request bodies, in bytes: of one request, and of a whole
/// connection.
const STREAM_WINDOW: u32 = 128 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// The protocol of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 and HTTP/2.
    Http,
    /// gRPC: HTTP/2 only.
    Grpc,
}

impl Protocol {
    /// Maximum concurrent requests on one HTTP/2 connection. Another process of the mesh sends all
    /// its calls over one connection.
    fn max_streams(self) -> u32 {
        match self {
            Self::Http => 200,
            Self::Grpc => 1024,
        }
    }
}

/// How the connections of a listener are served.
#[derive(Clone)]
pub struct Serving {
    /// The listener's name in metrics and the log.
    pub name: &'static str,
    /// The protocol.
    pub protocol: Protocol,
    /// Counts the connections. Listeners that share the limits share this.
    pub connections: Connections,
    /// Serves over TLS, if it is given.
    pub tls: Option<ServerTls>,
    /// Makes the answer to a request that is refused before it is processed.
    pub refusal: fn(Fault) -> Response,
    /// How long requests in flight may take after the shutdown signal.
    pub drain: Duration,
}

/// Serves `service` until `shutdown`, then drains: it answers requests in flight, and refuses those
/// whose bodies are still incomplete near the end. Returns when all connections have ended, or
/// after [`Serving::drain`] at the latest.
pub async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    serving: Serving,
    shutdown: CancellationToken,
) where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
    B: hyper::body::Body<Data = bytes::Bytes, Error: Into<axum::BoxError>> + Send + 'static,
{
    let (drain, connections) = (serving.drain, serving.connections.clone());
    let server = Server {
        service,
        draining: Arc::new(AtomicBool::new(false)),
        graceful: GracefulShutdown::new(),
        serving,
    };
    server.accept_until(shutdown.cancelled(), &listener).await;
    let (begun, name) = (Instant::now(), server.serving.name);
    server.draining.store(true, Ordering::Relaxed);
    let lame_duck = tokio::time::sleep(LAME_DUCK);
    server.accept_until(lame_duck, &listener).await;
    // Accept the connections that are already in the backlog.
    while let Some(Ok((stream, peer))) = listener.accept().now_or_never() {
        server.spawn(stream, peer).await;
    }
    drop(listener);
    tokio::time::sleep(LAST_REQUESTS).await;
    let last_answers = async {
        tokio::time::sleep_until(begun + drain.saturating_sub(LAST_ANSWERS)).await;
        connections.refuse_arriving();
        tokio::time::sleep_until(begun + drain).await;
    };
    tokio::select! {
        () = server.graceful.shutdown() => {}
        () = last_answers => tracing::warn!(
            listener = name,
            "closing connections still open at the drain deadline"
        ),
    }
}

struct Server<S> {
    service: S,
    serving: Serving,
    draining: Arc<AtomicBool>,
    graceful: GracefulShutdown,
}

impl<S, B> Server<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
    B: hyper::body::Body<Data = bytes::Bytes, Error: Into<axum::BoxError>> + Send + 'static,
{
    async fn accept_until(&self, end: impl Future<Output = ()>, listener: &TcpListener) {
        let mut end = pin!(end);
        loop {
            let accepted = tokio::select! {
                () = &mut end => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.spawn(stream, peer).await,
                Err(error) => {
                    // Mostly because file descriptors are exhausted: wait until some are closed.
                    tracing::warn!(%error, "failed to accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// Serves a connection in its own task, once there is a place for it. No other connection is
    /// accepted until then.
    async fn spawn(&self, stream: TcpStream, peer: SocketAddr) {
        let name = self.serving.name;
        let Some(connection) = self.serving.connections.admit(peer.ip()).await else {
            metrics::counter!(m::CONNECTIONS_REFUSED, "listener" => name).increment(1);
            return;
        };
        set_options(&stream);
        let handler = Handler {
            service: self.service.clone(),
            draining: Arc::clone(&self.draining),
            connection: Arc::new(connection),
            refusal: self.serving.refusal,
            protocol: self.serving.protocol,
            listener: name,
            peer,
        };
        let (watcher, tls) = (self.graceful.watcher(), self.serving.tls.clone());
        tokio::spawn(async move {
            let _open = Counted::new(metrics::gauge!(m::CONNECTIONS, "listener" => name));
            match tls {
                None => handler.drive(stream, watcher).await,
                // Boxed, so that a connection without TLS does not need the memory.
                Some(tls) => Box::pin(handler.drive_encrypted(tls, stream, watcher)).await,
            }
        });
    }
}

fn set_options(stream: &TcpStream) {
    // A connected socket never refuses these options.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(MAX_UNSENT_IN_KERNEL);
}

/// Serves the requests of one connection.
#[derive(Clone)]
struct Handler<S> {
    service: S,
    draining: Arc<AtomicBool>,
    connection: Arc<Connection>,
    refusal: fn(Fault) -> Response,
    protocol: Protocol,
    listener: &'static str,
    peer: SocketAddr,
}

impl<S, B> Handler<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
    B: hyper::body::Body<Data = bytes::Bytes, Error: Into<axum::BoxError>> + Send + 'static,
{
    async fn drive_encrypted(self, tls: ServerTls, stream: TcpStream, watcher: Watcher) {
        let peer = self.peer;
        let accepted = tokio::select! {
            accepted = tokio::time::timeout(FIRST_REQUEST_TIMEOUT, tls.acceptor().accept(stream)) => accepted,
            () = self.connection.closed() => return,
        };
        match accepted {
            Ok(Ok(stream)) => self.drive(stream, watcher).await,
            Ok(Err(error)) => tracing::debug!(%error, %peer, "TLS handshake failed"),
            Err(_) => tracing::debug!(%peer, "TLS handshake timed out"),
        }
    }

    /// Serves the connection to its end.
    async fn drive<T>(self, stream: T, watcher: Watcher)
    where
        T: AsyncRead + AsyncWrite + Send + 'static,
    {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_TIMEOUT));
        let (stream, first_bytes) = FirstBytes::of(stream);
        let (connection, peer, protocol) = (Arc::clone(&self.connection), self.peer, self.protocol);
        let listener = self.listener;
        let service = tower::service_fn(move |request| self.clone().answer(request));
        let served = builder(protocol)
            .serve_connection(
                TokioIo::new(ProblemStream::new(stream)),
                TowerToHyperService::new(service),
            )
            .into_owned();
        let silent = async {
            tokio::time::sleep(FIRST_REQUEST_TIMEOUT).await;
            if connection.has_requested() || first_bytes.is_http2() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            ended = watcher.watch(served) => if let Err(error) = ended {
                if opened_too_much(&*error) {
                    connection.bar_client();
                }
                tracing::debug!(%error, %peer, "connection failed");
            },
            () = connection.closed() => {
                tracing::debug!(%peer, "connection closed to make room for others");
            }
            () = silent => {
                metrics::counter!(m::CONNECTIONS_CLOSED, "reason" => "silent").increment(1);
                tracing::debug!(%peer, listener, "connection without a request closed");
            }
        }
    }

    async fn answer(mut self, request: Request<Incoming>) -> Result<Response, Infallible> {
        let http1 = request.version() <= Version::HTTP_11;
        let mut response = self.within_limits(request).await;
        if http1 && self.draining.load(Ordering::Relaxed) {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }

    async fn within_limits(&mut self, request: Request<Incoming>) -> Response {
        let Ok(in_use) = self.connection.begin() else {
            return self.refuse();
        };
        let Ok(permit) = in_use.permit(request.body().is_end_stream()) else {
            return self.refuse();
        };
        let request = leftover::Received::of(request);
        let mut request =
            request.map(|body| Body::new(counted_body::CountedBody::of(body, &permit)));
        let client = self.connection.client(self.peer, request.headers());
        match self.protocol {
            Protocol::Http => drop(request.extensions_mut().insert(ConnectInfo(client))),
            Protocol::Grpc => drop(request.extensions_mut().insert(TcpConnectInfo {
                local_addr: None,
                remote_addr: Some(client),
            })),
        }
        let Ok(service) = self.service.ready().await;
        let response = tokio::select! {
            biased;
            () = permit.lost() => return self.refuse(),
            Ok(response) = service.call(request) => response,
        };
        // Then the answer was made from an incomplete body.
        if permit.is_lost() {
            return self.refuse();
        }
        drop(permit);
        match answer::Counted::of(response, in_use) {
            Ok(response) => response.map(Body::new),
            Err(Overloaded) => self.refuse(),
        }
    }

    fn refuse(&self) -> Response {
        metrics::counter!(m::REQUESTS_REFUSED, "listener" => self.listener).increment(1);
        (self.refusal)(match self.draining.load(Ordering::Relaxed) {
            true => Fault::stopping(),
            false => Fault::overloaded(),
        })
    }
}

/// Whether a connection was closed because its client opened or reset too many streams.
fn opened_too_much(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return error.is_library() && error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM);
        }
        cause = error.source();
    }
    false
}

fn builder(protocol: Protocol) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    if protocol == Protocol::Grpc {
        builder = builder.http2_only();
    }
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD.max(MAX_UNSENT));
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .max_concurrent_streams(protocol.max_streams())
        .max_send_buf_size(MAX_UNSENT)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX));
    builder
}

#[cfg(test)]
mod tests;
