//! The processes of this Slipway: asks each of them for its health, all at the same time.

use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use slipway_proto::process::v1::{GetHealthRequest, process_service_client::ProcessServiceClient};
use slipway_rpc::{
    error::{Fault, Kind},
    grpc::{Link, Outbound},
};
use web::ProcessHealth;

/// How long a process may take to answer. It answers from what it knows.
const DEADLINE: Duration = Duration::from_secs(2);

/// The processes, by name.
pub(crate) struct Processes(Vec<(&'static str, ProcessServiceClient<Link>)>);

impl Processes {
    /// The processes at these links.
    pub(crate) fn new(processes: Vec<(&'static str, Link)>) -> Self {
        let processes = processes.into_iter();
        let clients = processes.map(|(name, link)| (name, ProcessServiceClient::new(link)));
        Self(clients.collect())
    }
}

#[async_trait]
impl web::Processes for Processes {
    async fn health(&self, outbound: &Outbound) -> Result<Vec<ProcessHealth>, Fault> {
        let outbound = &Outbound {
            deadline: Some(outbound.deadline.map_or(DEADLINE, |own| own.min(DEADLINE))),
            ..outbound.clone()
        };
        let told = self.0.iter().map(|(name, client)| async move {
            let request = outbound.request(GetHealthRequest {});
            let health = client.clone().get_health(request).await;
            let health = health.map(tonic::Response::into_inner).map_err(Fault::from);
            ProcessHealth { name, health }
        });
        let told = join_all(told).await;
        let refused = |told: &ProcessHealth| {
            let fault = told.health.as_ref().err()?;
            let is_refusal = matches!(
                fault.kind,
                Kind::Unauthenticated | Kind::Forbidden | Kind::RateLimited
            );
            is_refusal.then(|| fault.clone())
        };
        match told.iter().find_map(refused) {
            Some(fault) => Err(fault),
            None => Ok(told),
        }
    }
}
