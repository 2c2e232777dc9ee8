//! Serving HTTP connections with bounds, and draining them.

mod bare;
mod leftover;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo, response::Response};
use futures::FutureExt as _;
use http::{HeaderValue, Request, Version, header::CONNECTION};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::{Service as _, ServiceExt};

/// A client has this long to send a request's head, and a connection this long to wait for
/// its next request: longer than balancers keep theirs, so that it is they who close.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// A client that reads nothing for this long is disconnected.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// After the order to shut down, for this long requests are still accepted, each answer
/// telling its client to close the connection: a client that was about to send one on a
/// kept connection gets its answer instead of a reset.
const LAME_DUCK: Duration = Duration::from_millis(300);

/// Those who connected last have this long to send their request: a connection that has
/// not been read from is closed without an answer.
const LAST_REQUESTS: Duration = Duration::from_millis(100);

/// Serves `router` until `shutdown`, then drains: requests in flight are answered, and it
/// returns when all connections have ended, at the latest `drain` later.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
    drain: Duration,
) {
    let server = Server {
        router,
        draining: Arc::new(AtomicBool::new(false)),
        connections: GracefulShutdown::new(),
    };
    tokio::select! {
        () = server.accept_all(&listener) => {}
        () = shutdown.cancelled() => {}
    }
    let deadline = Instant::now() + drain;
    server.draining.store(true, Ordering::Relaxed);
    let _ = tokio::time::timeout(LAME_DUCK, server.accept_all(&listener)).await;
    // Whoever has connected already is let in.
    while let Some(Ok((stream, peer))) = listener.accept().now_or_never() {
        server.spawn(stream, peer);
    }
    drop(listener);
    tokio::time::sleep(LAST_REQUESTS).await;
    if tokio::time::timeout_at(deadline, server.connections.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("connections were still open at the end of the drain");
    }
}

struct Server {
    router: Router,
    draining: Arc<AtomicBool>,
    connections: GracefulShutdown,
}

impl Server {
    async fn accept_all(&self, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.spawn(stream, peer),
                Err(error) => {
                    // Out of file descriptors, mostly: wait for some to be closed.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn spawn(&self, stream: TcpStream, peer: SocketAddr) {
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_TIMEOUT));
        let router = self.router.clone();
        let draining = Arc::clone(&self.draining);
        let service = tower::service_fn(move |request| {
            answer(router.clone(), Arc::clone(&draining), peer, request)
        });
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(64 * 1024);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(20))
            .max_header_list_size(64 * 1024);
        let connection = builder
            .serve_connection(
                TokioIo::new(bare::Explained::new(Box::pin(stream))),
                TowerToHyperService::new(service),
            )
            .into_owned();
        let connection = self.connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, %peer, "a connection ended with an error");
            }
        });
    }
}

async fn answer(
    mut router: Router,
    draining: Arc<AtomicBool>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let mut request = leftover::Received::of(request).map(Body::new);
    let http1 = request.version() <= Version::HTTP_11;
    request.extensions_mut().insert(ConnectInfo(peer));
    let ready = ServiceExt::<Request<Body>>::ready(&mut router).await?;
    let mut response = ready.call(request).await?;
    if http1 && draining.load(Ordering::Relaxed) {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}
