//! Metadata and deadline of an outgoing call.

use std::{net::IpAddr, time::Duration};

use http::header::AUTHORIZATION;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

use super::deadline::Deadline;
use crate::{
    access,
    metadata::{CLIENT_ADDRESS, CLIENT_AGENT, IDEMPOTENCY_KEY, REQUEST_ID, SERVICE_TOKEN},
};

/// Metadata and deadline of an outgoing call: on whose behalf it is made, and how long it may take.
#[derive(Clone, Default)]
pub struct Outbound {
    /// The token to forward.
    pub token: Option<String>,
    /// How long the answer may take. Within a call that is being answered, the rest of that call's
    /// deadline also applies, if it is shorter.
    pub deadline: Option<Duration>,
    /// The client's idempotency key.
    pub idempotency_key: Option<String>,
    /// The id of the client's request.
    pub request_id: Option<String>,
    /// The client for which the gateway forwards the call.
    pub client: Option<ForwardedClient>,
}

/// The gateway's metadata about the client whose call it forwards.
#[derive(Clone)]
pub struct ForwardedClient {
    /// The client's network address.
    pub address: IpAddr,
    /// What the client calls itself.
    pub agent: Option<String>,
    /// The gateway's own token. A service trusts the rest only with it.
    pub service_token: String,
}

impl Outbound {
    /// Calls on behalf of the bearer of `token`.
    #[must_use]
    pub fn with_token(token: String) -> Self {
        Self {
            token: Some(token),
            ..Self::default()
        }
    }

    /// For calls that a service makes to answer `request`: forwards the caller's token and, as
    /// every [`Outbound`], stays within its deadline.
    #[must_use]
    pub fn on_behalf_of<T>(request: &tonic::Request<T>) -> Self {
        Self {
            token: token(request.metadata()),
            ..Self::default()
        }
    }

    /// Builds a request for `message` with this metadata and deadline.
    pub fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        let left = Deadline::current().map(Deadline::remaining);
        if let Some(deadline) = self.deadline.into_iter().chain(left).min() {
            request.set_timeout(deadline);
        }
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let address = self
            .client
            .as_ref()
            .map(|client| client.address.to_string());
        let agent = self
            .client
            .as_ref()
            .and_then(|client| client.agent.as_deref());
        let service_token = self.client.as_ref().map(|client| &*client.service_token);
        let entries = [
            (AUTHORIZATION.as_str(), bearer.as_deref()),
            (IDEMPOTENCY_KEY, self.idempotency_key.as_deref()),
            (REQUEST_ID, self.request_id.as_deref()),
            (CLIENT_ADDRESS, address.as_deref()),
            (CLIENT_AGENT, agent),
            (SERVICE_TOKEN, service_token),
        ];
        for (name, value) in entries {
            // A text that is not a valid metadata value cannot be a token or a key of ours; skip
            // it.
            let value: Option<MetadataValue<Ascii>> = value.and_then(|text| text.parse().ok());
            if let Some(value) = value {
                request.metadata_mut().insert(name, value);
            }
        }
        request
    }
}

fn token(metadata: &MetadataMap) -> Option<String> {
    access::bearer(metadata.as_ref()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Response};
    use tonic::body::Body;
    use tower::{Layer as _, ServiceExt as _, service_fn};

    use super::*;
    use crate::grpc::call::CallLayer;

    fn timeout<T>(request: &tonic::Request<T>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        let asked = request.metadata().get("grpc-timeout")?.to_str().unwrap();
        headers.insert("grpc-timeout", asked.parse().unwrap());
        Some(Deadline::of(&headers).remaining())
    }

    /// The timeout of an outgoing call that a service makes after `pause`, while its own caller
    /// waits for 5 seconds.
    async fn asked(own: Option<Duration>, pause: Duration) -> Option<Duration> {
        let service = CallLayer::default().layer(service_fn(move |request| async move {
            let incoming = tonic::Request::from_http(request);
            let mut outbound = Outbound::on_behalf_of::<Body>(&incoming);
            outbound.deadline = own;
            tokio::time::sleep(pause).await;
            let onward = outbound.request(());
            assert_eq!(
                onward.metadata().get("authorization").unwrap(),
                "Bearer abc"
            );
            let mut response = Response::new(Body::empty());
            response.extensions_mut().insert(timeout(&onward));
            Ok::<_, std::convert::Infallible>(response)
        }));
        let incoming = http::Request::builder()
            .header("content-type", "application/grpc")
            .header("grpc-timeout", "5S")
            .header("authorization", "bearer abc")
            .body(Body::empty())
            .unwrap();
        let response = service.oneshot(incoming).await.unwrap();
        *response.extensions().get::<Option<Duration>>().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_outgoing_call_never_exceeds_the_remaining_deadline() {
        let (second, four) = (Duration::from_secs(1), Duration::from_secs(4));
        assert_eq!(asked(None, second).await, Some(four));
        assert_eq!(
            asked(Some(Duration::from_secs(60)), second).await,
            Some(four)
        );
        assert_eq!(asked(Some(second), second).await, Some(second));
    }

    #[tokio::test]
    async fn outside_a_call_only_the_own_deadline_applies() {
        assert_eq!(timeout(&Outbound::default().request(())), None);
    }
}
