//! A way to a service: its routes in this process, or a channel to another.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, header::AUTHORIZATION};
use tonic::{
    body::Body,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};
use tower::{Service, ServiceExt as _, util::BoxCloneSyncService};

use crate::telemetry::{TraceContext, trace::TRACEPARENT};

/// A service's routes behind everything that surrounds them.
pub type Surrounded = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// What generated clients are built on. Wiring decides which of the two it is.
#[derive(Clone)]
pub struct Link(Way);

#[derive(Clone)]
enum Way {
    Local(Surrounded),
    Remote(Channel),
}

/// A call did not reach its service.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct LinkError(#[from] tonic::transport::Error);

impl Link {
    /// Calls the service in this process, without a socket.
    #[must_use]
    pub fn local(service: Surrounded) -> Self {
        Self(Way::Local(service))
    }

    /// Calls the service at `url`, such as `http://release:50051`. Connects when it is
    /// first used, and again when the connection is lost.
    ///
    /// # Errors
    /// A text that says what is wrong with the URL.
    pub fn remote(url: &str) -> Result<Self, String> {
        let endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(|error| error.to_string())?
            .connect_timeout(Duration::from_secs(2))
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(5))
            .keep_alive_while_idle(true);
        Ok(Self(Way::Remote(endpoint.connect_lazy())))
    }
}

impl Service<Request<Body>> for Link {
    type Response = Response<Body>;
    type Error = LinkError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        match &mut self.0 {
            Way::Local(_) => Poll::Ready(Ok(())),
            Way::Remote(channel) => channel.poll_ready(cx).map_err(LinkError),
        }
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let trace = TraceContext::current().child().to_string();
        if let Ok(value) = trace.parse() {
            request.headers_mut().insert(TRACEPARENT, value);
        }
        match &mut self.0 {
            Way::Local(service) => {
                let answer = service.clone().oneshot(request);
                Box::pin(async move {
                    match answer.await {
                        Ok(response) => Ok(response),
                        Err(never) => match never {},
                    }
                })
            }
            Way::Remote(channel) => {
                let answer = channel.call(request);
                Box::pin(async move { Ok(answer.await?) })
            }
        }
    }
}

/// What accompanies a call to a service: on whose behalf, and until when.
#[derive(Clone, Default)]
pub struct Outbound {
    /// The token to forward.
    pub token: Option<String>,
    /// How long the answer may take.
    pub deadline: Option<Duration>,
    /// The client's idempotency key.
    pub idempotency_key: Option<String>,
    /// The client's network address.
    pub client_address: Option<String>,
}

/// Metadata with the key under which a client may repeat a command safely.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Metadata with the address of the client behind the gateway.
pub const CLIENT_ADDRESS: &str = "slipway-client-address";

impl Outbound {
    /// On behalf of the bearer of `token`.
    #[must_use]
    pub fn with_token(token: String) -> Self {
        Self {
            token: Some(token),
            ..Self::default()
        }
    }

    /// `message` with this around it.
    pub fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        if let Some(deadline) = self.deadline {
            request.set_timeout(deadline);
        }
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let entries = [
            (AUTHORIZATION.as_str(), bearer.as_deref()),
            (IDEMPOTENCY_KEY, self.idempotency_key.as_deref()),
            (CLIENT_ADDRESS, self.client_address.as_deref()),
        ];
        for (name, value) in entries {
            // What is not a metadata value cannot have been a token or a key of ours.
            let value: Option<MetadataValue<Ascii>> = value.and_then(|text| text.parse().ok());
            if let Some(value) = value {
                request.metadata_mut().insert(name, value);
            }
        }
        request
    }
}
