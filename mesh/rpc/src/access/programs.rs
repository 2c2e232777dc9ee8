//! Tokens for programs: secrets that last for months and act for an account within a scope.
//!
//! They stay where programs enter: the gateway and the access layer of each service exchange one
//! for an access token of minutes, which names the token as its session. So services verify,
//! forward and revoke it like any other access token.

use std::{net::IpAddr, sync::Arc, time::Duration};

use jiff::SignedDuration;
use slipway_proto::{
    identity::v1::{ExchangeTokenRequest, identity_service_client::IdentityServiceClient},
    time::from_proto,
};
use slipway_runtime::clock::SharedClock;

use super::{Principal, ServiceTokens, Token, TokenError, Verifier, exchange::Exchanges};
use crate::{
    error::Fault,
    grpc::{ForwardedClient, Link, Outbound},
};

/// The beginning of every token for programs: secret scanners find it.
const PREFIX: &str = "slp_";

/// Time after which a token is exchanged again. So its last use is known to within a minute or two.
const EXCHANGE_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// Deadline for an exchange. Short, because it is part of a request.
const DEADLINE: Duration = Duration::from_secs(5);

/// Whether the text after `Bearer` is meant as a token for programs.
#[must_use]
pub fn is_of_program(token: &str) -> bool {
    token.starts_with(PREFIX)
}

/// Exchanges tokens for programs.
pub struct ProgramTokens {
    identity: IdentityServiceClient<Link>,
    services: ServiceTokens,
    exchanges: Exchanges,
    clock: SharedClock,
}

impl ProgramTokens {
    /// Exchanges tokens at `release`, as the service of `services`.
    #[must_use]
    pub fn new(release: Link, services: ServiceTokens, clock: SharedClock) -> Self {
        Self {
            identity: IdentityServiceClient::new(release),
            services,
            exchanges: Exchanges::new(EXCHANGE_EVERY),
            clock,
        }
    }

    /// The access token for `secret`, which the client at `address` sent, and its principal.
    ///
    /// # Errors
    /// `INVALID_TOKEN`, `TOKEN_REVOKED`, `TOKEN_EXPIRED`, `TOO_MANY_ATTEMPTS`; or an error if this
    /// cannot be determined at the moment.
    pub async fn verified(
        &self,
        verifier: &Verifier,
        secret: &str,
        address: Option<IpAddr>,
        agent: Option<&str>,
    ) -> Result<(Arc<str>, Arc<Principal>), Fault> {
        let exchange = self.exchange(secret, address, agent);
        let token = self.exchanges.token(secret, self.clock.now(), exchange);
        let token = token.await?;
        match verifier.verify(&token).await {
            Ok(principal) => Ok((token, principal)),
            Err(error) => {
                // The keys may have changed. A revoked one has no other token.
                if error != TokenError::Revoked {
                    self.exchanges.forget(secret);
                }
                Err(error.into())
            }
        }
    }

    async fn exchange(
        &self,
        secret: &str,
        address: Option<IpAddr>,
        agent: Option<&str>,
    ) -> Result<Token, Fault> {
        let outbound = Outbound {
            deadline: Some(DEADLINE),
            client: address.map(|address| ForwardedClient {
                address,
                agent: agent.map(str::to_owned),
                service_token: self.services.current(),
            }),
            ..Outbound::default()
        };
        let request = outbound.request(ExchangeTokenRequest {
            secret: secret.to_owned(),
        });
        let answer = self.identity.clone().exchange_token(request).await?;
        let answer = answer.into_inner();
        let expires_at = answer.expires_at.and_then(|at| from_proto(at).ok());
        Ok(Token {
            text: answer.token,
            expires_at: expires_at.ok_or_else(|| Fault::internal("a token without an end"))?,
        })
    }
}
