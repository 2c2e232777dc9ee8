//! Release service: accounts, releases and tasks. It is the source of truth of the workflow.
//!
//! | to find | look in |
//! | --- | --- |
//! | a rule of the workflow | [`release`] (pure) |
//! | valid names, addresses and passwords; limits on sign-ins and registrations | [`identity`] (pure) |
//! | sign-in with an identity provider | [`provider`] |
//! | what a session accepts; how it starts and ends | [`sessions`] |
//! | how a command runs: load, decide, save, try again | [`commands`], [`accounts`] |
//! | the cache of releases | `release_cache` |
//! | the next occurrence of a recurring task | `recurring` |
//! | how a repeated request is recognised | [`slipway_store::receipts`] |
//! | what is stored, and how | [`store`] |
//! | the gRPC services | `grpc` |

pub mod accounts;
pub mod commands;
mod grpc;
pub mod identity;
mod jobs;
pub mod metrics;
pub mod provider;
mod recurring;
pub mod release;
mod release_cache;
pub mod sessions;
pub mod store;

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;
use slipway_bus::{SharedBus, consumer::Host};
use slipway_proto::{
    identity::v1::identity_service_server::{self, IdentityServiceServer},
    release::v1::{
        release_service_server::{self, ReleaseServiceServer},
        task_service_server::{self, TaskServiceServer},
    },
};
use slipway_rpc::access::{EndedSessions, Issuer, Keyring};
use slipway_runtime::{
    clock::SharedClock,
    contention::Turns,
    life::{Background, Check, Health, Need},
};
use slipway_store::{
    due::DueWake,
    outbox::{Publisher, Wake},
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use accounts::{
    FirstAdmin, FirstAdminError, FirstPassword, KnownAccounts, Passwords, RegistrationRules, Tell,
};
pub use recurring::own_topics;
pub use store::Stores;

use self::{
    accounts::Accounts,
    commands::Commands,
    identity::password::Hasher,
    provider::{Provider, ProviderConfig},
    recurring::Series,
    release::StaleRule,
    release_cache::ReleaseCache,
    sessions::{EndedFeed, Sessions},
    store::StoreError,
};

/// The service's name in events, metrics and logs.
pub const SERVICE: &str = "release-svc";

/// Full names of the gRPC services.
pub const SERVICES: &[&str] = &[
    identity_service_server::SERVICE_NAME,
    release_service_server::SERVICE_NAME,
    task_service_server::SERVICE_NAME,
];

/// Configuration of this service.
#[derive(Debug, Clone)]
pub struct Config {
    /// How long an access token lasts.
    pub token_ttl: Duration,
    /// How long a session lasts without a refresh.
    pub session_ttl: SignedDuration,
    /// When a task in process is reported as stale.
    pub stale: StaleRule,
    /// Who may register.
    pub registration: RegistrationRules,
    /// Who can sign in with a password.
    pub passwords: Passwords,
    /// The identity provider, if there is one.
    pub provider: Option<ProviderConfig>,
}

/// What the service is built from.
pub struct Dependencies {
    /// The databases.
    pub stores: Stores,
    /// The bus that events are published to, and that recurring tasks are read from.
    pub bus: SharedBus,
    /// The keys that sign tokens.
    pub keys: Arc<Keyring>,
    /// The ended sessions, as the access layer knows them: the service adds those that end.
    pub ended: EndedSessions,
    /// The clock.
    pub clock: SharedClock,
    /// Runs the outbox publisher, the consumer and the clean-up.
    pub background: Background,
    /// Cancelled when the process begins to drain: streams then end.
    pub drain: CancellationToken,
    /// Health checks: the service registers its dependencies here.
    pub health: Health,
}

/// The service could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Passwords cannot be hashed.
    #[error(transparent)]
    Hash(#[from] identity::password::HashError),
    /// The first admin cannot be created.
    #[error(transparent)]
    FirstAdmin(#[from] FirstAdminError),
    /// The ended sessions cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The identity provider cannot be used as it is configured.
    #[error(transparent)]
    Provider(#[from] provider::SetupError),
}

impl Config {
    /// Builds the service: creates the first admin if there is none, and starts the background
    /// work. The routes have no access layer yet; the caller adds one that uses
    /// [`KnownAccounts`].
    ///
    /// # Errors
    /// [`BuildError`] if it cannot be built.
    pub async fn build(
        self,
        first_admin: FirstAdmin,
        dependencies: Dependencies,
    ) -> Result<Routes, BuildError> {
        let Dependencies {
            stores,
            bus,
            keys,
            ended,
            clock,
            background,
            drain,
            health,
        } = dependencies;
        metrics::describe();
        if self.registration.anybody_as_admin {
            tracing::warn!("ANYBODY CAN REGISTER AS AN ADMIN: allow_admin_registration is on");
        }
        for service in SERVICES {
            let store = Arc::clone(&stores.check);
            health.depends(service, "store", Need::Required, store);
        }
        // Commands work without the bus: their events wait in the outbox.
        health.depends(SERVICE, "bus", Need::Degraded, bus.clone());
        let provider = self
            .provider
            .map(|config| Provider::new(config, Arc::clone(&clock)).map(Arc::new))
            .transpose()?;
        if let Some(provider) = &provider {
            // Whoever is signed in does not need it.
            let check: Arc<dyn Check> = provider.clone();
            health.depends(SERVICE, "identity-provider", Need::Degraded, check);
            provider.spawn(&background);
        }
        let wake = Wake::default();
        let sessions = Arc::new(Sessions {
            store: stores.sessions.clone(),
            users: stores.users.clone(),
            issuer: Issuer::new(keys, self.token_ttl, Arc::clone(&clock)),
            ttl: self.session_ttl,
            ended,
            clock: Arc::clone(&clock),
            wake: wake.clone(),
        });
        let accounts = Arc::new(Accounts {
            stores: stores.clone(),
            hasher: Hasher::new()?,
            sessions: Arc::clone(&sessions),
            clock: Arc::clone(&clock),
            wake: wake.clone(),
            registration: self.registration,
            passwords: self.passwords,
            provider,
        });
        accounts.create_first_admin(first_admin).await?;
        let feed = EndedFeed::start(sessions, drain, &background).await?;
        let commands = Arc::new(Commands {
            stores: stores.clone(),
            clock: Arc::clone(&clock),
            wake: wake.clone(),
            seen: ReleaseCache::default(),
            turns: Turns::default(),
            stale: self.stale,
            due: DueWake::default(),
        });
        let host = Host {
            bus: bus.clone(),
            clock: Arc::clone(&clock),
            background: background.clone(),
            health,
        };
        Series::new(Arc::clone(&commands)).spawn(&host);
        Publisher {
            service: SERVICE,
            store: Arc::clone(&stores.outbox),
            bus,
            wake,
            clock: Arc::clone(&clock),
        }
        .spawn(&background);
        jobs::measure(stores.releases.clone(), &background);
        jobs::pass_time(Arc::clone(&commands), &background);
        jobs::purge(stores.clone(), clock, &background);
        let routes = Routes::new(IdentityServiceServer::new(grpc::Identity {
            accounts,
            releases: stores.releases.clone(),
            feed,
        }))
        .add_service(ReleaseServiceServer::new(grpc::Releases {
            commands: Arc::clone(&commands),
        }))
        .add_service(TaskServiceServer::new(grpc::Tasks { commands }));
        Ok(routes)
    }
}
