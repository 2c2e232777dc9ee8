//! Who is let in: tokens are verified, and every method has a policy.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use release_svc::KnownAccounts;
use slipway_proto::{
    DESCRIPTOR_SET,
    identity::v1::{GetJwksRequest, identity_service_client::IdentityServiceClient},
};
use slipway_rpc::{
    access::{AccessLayer, JwksSource, Keyring, Policies, Verifier},
    grpc::{Link, Middleware, Outbound},
};

use super::{limits, mesh::Shared};

/// The keys are asked for within a request: it must not wait for long.
const JWKS_DEADLINE: Duration = Duration::from_secs(2);

impl Shared<'_> {
    pub(super) fn verifier_with(&self, keys: &Keyring) -> Arc<Verifier> {
        let (secret, clock) = (self.secret.clone(), self.clock.clone());
        Arc::new(Verifier::with_keys(keys.jwks(), secret, clock))
    }

    /// What stands in front of the gRPC services of this process, which has these accounts
    /// if it has any.
    pub(super) fn middleware(
        &self,
        verifier: Arc<Verifier>,
        accounts: Option<KnownAccounts>,
    ) -> anyhow::Result<Middleware> {
        let policies = Arc::new(Policies::from_descriptor_set(DESCRIPTOR_SET)?);
        let mut access = AccessLayer::new(policies, verifier, limits::streams(self.settings));
        if let Some(accounts) = accounts {
            access = access.with_accounts(Arc::new(accounts));
        }
        Ok(Middleware::new(access).with_access_log(self.settings.access_log))
    }

    pub(super) fn verifier_from(&self, release: Link) -> Arc<Verifier> {
        let (secret, clock) = (self.secret.clone(), self.clock.clone());
        Arc::new(Verifier::with_source(
            Box::new(JwksOf(release)),
            secret,
            clock,
        ))
    }
}

/// The public keys, asked of the release service.
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
