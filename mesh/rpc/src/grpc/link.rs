//! A link to a service: either its routes in this process, or connections to other processes.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tonic::body::Body;
use tower::{Service, ServiceExt as _, util::BoxCloneSyncService};

use super::{
    remote::{Origins, Remote},
    tls::ClientTls,
};
use slipway_runtime::telemetry::{TraceContext, trace::TRACEPARENT};

/// A service's routes with all middleware.
pub type LocalService = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// The transport of generated clients. Wiring decides whether it is local or remote.
#[derive(Clone)]
pub struct Link(Target);

#[derive(Clone)]
enum Target {
    Local(LocalService),
    Remote(Arc<Remote>),
}

impl Link {
    /// Calls the service in this process, without a socket.
    #[must_use]
    pub fn local(service: LocalService) -> Self {
        Self(Target::Local(service))
    }

    /// Calls the service called `service` (in the log and the metrics) at `origins`. Starts to
    /// connect immediately, in the background.
    #[must_use]
    pub fn remote(service: &'static str, origins: Origins, tls: Option<ClientTls>) -> Self {
        Self(Target::Remote(Arc::new(Remote::new(service, origins, tls))))
    }

    /// Why the service is unreachable, for operators; `None` if it is reachable.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        match &self.0 {
            Target::Local(_) => None,
            Target::Remote(remote) => remote.problem(),
        }
    }
}

impl Service<Request<Body>> for Link {
    type Response = Response<Body>;
    /// If a call does not reach the service, the link answers it with an error status.
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let trace = TraceContext::current().to_string();
        if let Ok(value) = trace.parse() {
            request.headers_mut().insert(TRACEPARENT, value);
        }
        match &self.0 {
            Target::Local(service) => Box::pin(service.clone().oneshot(request)),
            Target::Remote(remote) => {
                let remote = Arc::clone(remote);
                Box::pin(async move { Ok(remote.call(request).await) })
            }
        }
    }
}
