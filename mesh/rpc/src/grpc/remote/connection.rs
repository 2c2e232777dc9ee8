//! One HTTP/2 connection to one address.
//!
//! It uses hyper directly and not tonic's `Channel`, which reconnects within a request: the pool
//! must know at once when a connection ends, and hyper returns a request that was not sent.

use std::{error::Error, net::SocketAddr, time::Duration};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinHandle,
};
use tonic::{Code, Status, body::Body};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::service_fn;

use super::origin::Origin;
use crate::grpc::tls::ClientTls;

/// Timeout for connecting, until requests can be sent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A peer that has not answered a probe after this time is silent.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Without keep-alive, a caller that only receives a stream would never notice a lost peer.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends requests on a connection; clones share it.
#[derive(Clone)]
pub(super) struct Sender {
    requests: SendRequest<Body>,
    origin: Origin,
}

/// Why there was no answer.
pub(super) enum Failure {
    /// The connection had ended before the request was sent; contains the request.
    Unsent(Box<Request<Body>>),
    /// The connection ended before the answer was complete.
    Lost(String),
}

/// Connects to `peer`, an address of `origin`. The returned task ends with the connection and
/// returns the reason.
pub(super) async fn open(
    peer: SocketAddr,
    origin: &Origin,
    tls: Option<&ClientTls>,
) -> Result<(Sender, JoinHandle<String>), String> {
    tokio::time::timeout(CONNECT_TIMEOUT, connect(peer, origin, tls))
        .await
        .map_err(|_| format!("no connection within {CONNECT_TIMEOUT:?}"))?
}

async fn connect(
    peer: SocketAddr,
    origin: &Origin,
    tls: Option<&ClientTls>,
) -> Result<(Sender, JoinHandle<String>), String> {
    let stream = TcpStream::connect(peer)
        .await
        .map_err(|error| chain(&error))?;
    stream.set_nodelay(true).map_err(|error| chain(&error))?;
    if !origin.is_encrypted() {
        return handshake(stream, origin).await;
    }
    let tls = tls.ok_or("there is no CA to verify an https URL with")?;
    let encrypted = tls.connect(origin.host(), stream).await;
    handshake(encrypted.map_err(|error| chain(&error))?, origin).await
}

async fn handshake<T>(io: T, origin: &Origin) -> Result<(Sender, JoinHandle<String>), String>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (requests, connection) = Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(io))
        .await
        .map_err(|error| chain(&error))?;
    let driven = tokio::spawn(async move {
        match connection.await {
            Ok(()) => "the connection was closed".to_owned(),
            Err(error) => chain(&error),
        }
    });
    let origin = origin.clone();
    Ok((Sender { requests, origin }, driven))
}

impl Sender {
    /// Sends a request; returns when the head of the answer has arrived.
    pub(super) async fn head(&self, mut request: Request<Body>) -> Result<Response<Body>, Failure> {
        *request.uri_mut() = self.origin.join(request.uri());
        let sent = self.requests.clone().try_send_request(request).await;
        let response = sent.map_err(|mut error| match error.take_message() {
            Some(request) => Failure::Unsent(Box::new(request)),
            None => Failure::Lost(chain(error.error())),
        })?;
        Ok(response.map(|body| {
            // Without this, a connection lost in the middle of an answer would look like a bug.
            Body::new(body.map_err(|error| Status::unavailable(chain(&error))))
        }))
    }

    /// Sends a request; returns when the answer is complete.
    pub(super) async fn whole(&self, request: Request<Body>) -> Result<Response<Body>, Failure> {
        let (parts, body) = self.head(request).await?.into_parts();
        let body = body.collect().await;
        let body = body.map_err(|status| Failure::Lost(status.message().to_owned()))?;
        Ok(Response::from_parts(parts, Body::new(body)))
    }

    /// Probes the peer: any answer to the standard health check counts.
    pub(super) async fn probe(&self) -> Result<(), String> {
        let send = service_fn(|request| async move {
            self.head(request).await.map_err(|failure| match failure {
                Failure::Unsent(_) => "the connection has ended".to_owned(),
                Failure::Lost(cause) => cause,
            })
        });
        let mut client = HealthClient::new(send);
        let check = client.check(HealthCheckRequest::default());
        match tokio::time::timeout(PROBE_TIMEOUT, check).await {
            Err(_) => Err(format!("no answer within {PROBE_TIMEOUT:?}")),
            Ok(Ok(_)) => Ok(()),
            // It serves gRPC, but not the health service.
            Ok(Err(status)) if status.code() == Code::Unimplemented => Ok(()),
            Ok(Err(status)) => Err(status.message().to_owned()),
        }
    }
}

/// An error with its causes, as one line for operators.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
