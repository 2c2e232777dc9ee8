//! A health check that calls the health service of another process.

use async_trait::async_trait;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::Link;
use slipway_runtime::life::{Check, Problem};

/// Checks the health of a service through `grpc.health.v1`.
pub struct ServiceCheck {
    link: Link,
    service: &'static str,
}

impl ServiceCheck {
    /// Checks `service` (its full protobuf name) over `link`.
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
                "it cannot be asked: {}",
                status.message()
            ))),
        }
    }
}
