//! Health checks that call the health service of another process.

use async_trait::async_trait;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::Link;
use crate::{access::ServiceTokens, metadata::SERVICE_TOKEN};
use slipway_runtime::life::{Check, Problem};

/// Checks the health of a service through `grpc.health.v1`.
pub struct ServiceCheck {
    link: Link,
    service: &'static str,
}

impl ServiceCheck {
    /// Checks `service` (its full protobuf name, or nothing for the whole process) over `link`.
    #[must_use]
    pub fn new(link: Link, service: &'static str) -> Self {
        Self { link, service }
    }
}

#[async_trait]
impl Check for ServiceCheck {
    async fn check(&self) -> Result<(), Problem> {
        if let Some(problem) = self.link.problem() {
            return Err(Problem::Away(problem));
        }
        let request = HealthCheckRequest {
            service: self.service.to_owned(),
        };
        let answer = HealthClient::new(self.link.clone()).check(request).await;
        match answer.map(|answer| answer.into_inner().status()) {
            Ok(ServingStatus::Serving) => Ok(()),
            Ok(_) => Err(Problem::Away("it is not serving".to_owned())),
            Err(status) => Err(Problem::Away(format!(
                "its health check failed: {}",
                status.message()
            ))),
        }
    }
}

/// Checks that another process accepts the service tokens of this one: that they have the same
/// secret. An unreachable process is not reported: that is the matter of [`ServiceCheck`].
pub struct SecretCheck {
    link: Link,
    name: &'static str,
    tokens: ServiceTokens,
}

impl SecretCheck {
    /// Shows `tokens` to the process called `name` over `link`.
    #[must_use]
    pub fn new(link: Link, name: &'static str, tokens: ServiceTokens) -> Self {
        Self { link, name, tokens }
    }
}

#[async_trait]
impl Check for SecretCheck {
    async fn check(&self) -> Result<(), Problem> {
        if self.link.problem().is_some() {
            return Ok(());
        }
        let mut request = tonic::Request::new(HealthCheckRequest::default());
        if let Ok(token) = self.tokens.current().parse() {
            request.metadata_mut().insert(SERVICE_TOKEN, token);
        }
        let answer = HealthClient::new(self.link.clone()).check(request).await;
        match answer {
            Err(status) if status.code() == Code::Unauthenticated => {
                let name = self.name;
                Err(Problem::Unwritable(format!(
                    "{name} refuses it; SLIPWAY_SERVICE_SECRET must be the same in all processes"
                )))
            }
            _ => Ok(()),
        }
    }
}
