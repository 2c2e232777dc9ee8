//! Access control: verifies tokens, and applies each method's policy.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use release_svc::KnownAccounts;
use slipway_proto::{
    DESCRIPTOR_SET,
    identity::v1::{GetJwksRequest, identity_service_client::IdentityServiceClient},
};
use slipway_rpc::{
    access::{AccessLayer, JwksSource, Keyring, Policies, ProgramTokens, ServiceTokens, Verifier},
    grpc::{Link, Middleware, Outbound},
};

use tonic::service::Routes;

use super::{ended::Following, limits, mesh::Shared};

/// Deadline for fetching the keys. Short, because it is part of a request.
const JWKS_DEADLINE: Duration = Duration::from_secs(2);

impl Shared<'_> {
    pub(super) fn verifier_with(&self, keys: &Keyring) -> Arc<Verifier> {
        let (secret, clock) = (self.secret.clone(), self.clock.clone());
        Arc::new(Verifier::with_keys(keys.jwks(), secret, clock))
    }

    /// The tokens for programs, exchanged at the release service.
    pub(super) fn programs(&self, release: Link) -> Arc<ProgramTokens> {
        let (secret, clock) = (self.secret.clone(), self.clock.clone());
        let tokens = ServiceTokens::new(secret, self.role.as_str(), clock.clone());
        Arc::new(ProgramTokens::new(release, tokens, clock))
    }

    /// The same, in the process that has the routes of the release service.
    pub(super) fn own_programs(
        &self,
        release: &Routes,
        verifier: &Arc<Verifier>,
    ) -> anyhow::Result<Arc<ProgramTokens>> {
        let access = AccessLayer::new(
            policies()?,
            verifier.clone(),
            limits::streams(self.settings),
        );
        let access = access.with_rates(limits::rates(self.settings));
        let link = Link::local(Middleware::new(access).wrap(release.clone()));
        Ok(self.programs(link))
    }

    /// The middleware of this process's gRPC services. `accounts` is set if the process has the
    /// accounts.
    pub(super) fn middleware(
        &self,
        verifier: Arc<Verifier>,
        programs: Arc<ProgramTokens>,
        accounts: Option<KnownAccounts>,
    ) -> anyhow::Result<Middleware> {
        let access = AccessLayer::new(policies()?, verifier, limits::streams(self.settings));
        let rates = limits::rates(self.settings);
        let mut access = access.with_programs(programs).with_rates(rates);
        if let Some(accounts) = accounts {
            access = access.with_accounts(Arc::new(accounts));
        }
        Ok(Middleware::new(access).with_access_log(self.settings.access_log))
    }

    /// The verifier of a process without accounts: it gets the keys from release-svc, and follows
    /// which sessions end there.
    pub(super) fn verifier_from(&self, release: Link) -> Arc<Verifier> {
        let (secret, clock) = (self.secret.clone(), self.clock.clone());
        let keys = Box::new(JwksOf(release.clone()));
        let verifier = Verifier::with_source(keys, secret.clone(), clock.clone());
        let following = Following {
            release,
            tokens: ServiceTokens::new(secret, self.role.as_str(), clock.clone()),
            ended: verifier.ended().clone(),
            clock,
        };
        following.spawn(&self.life.background);
        Arc::new(verifier)
    }
}

fn policies() -> anyhow::Result<Arc<Policies>> {
    Ok(Arc::new(Policies::from_descriptor_set(DESCRIPTOR_SET)?))
}

/// Fetches the public keys from the release service.
struct JwksOf(Link);

#[async_trait]
impl JwksSource for JwksOf {
    async fn fetch(&self) -> Result<jsonwebtoken::jwk::JwkSet, String> {
        let outbound = Outbound {
            deadline: Some(JWKS_DEADLINE),
            ..Outbound::default()
        };
        let request = outbound.request(GetJwksRequest {});
        let mut client = IdentityServiceClient::new(self.0.clone());
        let answer = tokio::time::timeout(JWKS_DEADLINE, client.get_jwks(request))
            .await
            .map_err(|_| "no answer in time".to_owned())?
            .map_err(|status| status.to_string())?;
        serde_json::from_str(&answer.into_inner().jwks_json).map_err(|error| error.to_string())
    }
}
