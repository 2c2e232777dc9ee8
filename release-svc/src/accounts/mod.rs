//! Creates accounts, signs them in, changes them and their passwords, and mails links to them.

mod administration;
mod first_admin;
mod known;
mod links;
mod login;
mod passwords;
mod profile;
mod provider;
mod register;

pub use first_admin::{FirstAdmin, FirstAdminError, FirstPassword, Tell};
pub use known::KnownAccounts;
pub(crate) use login::throttled;
pub use passwords::{Passwords, ResetError, reset_password};
pub use profile::ProfileChange;
pub(crate) use provider::Returned;
pub use register::{Invitation, Registrant, Registration, RegistrationRules};

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use slipway_bus::{Actor, Event, event::Origin};
use slipway_proto::events::{self as payload, Payload, UserRegisteredEvent};
use slipway_rpc::{
    access::Role,
    error::{Fault, Kind},
};
use slipway_runtime::clock::SharedClock;
use slipway_store::outbox::Wake;

use crate::{
    SERVICE,
    identity::{
        Account, NewPassword, User,
        password::{HashError, Hasher, QueueFull, Turn},
    },
    metrics as m,
    provider::Provider,
    sessions::Sessions,
    store::{Commit, InsertUserError, Stores, UserStore},
};

/// Creates and signs in accounts.
pub struct Accounts {
    pub(crate) stores: Stores,
    pub(crate) hasher: Hasher,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) clock: SharedClock,
    pub(crate) wake: Wake,
    pub(crate) registration: RegistrationRules,
    pub(crate) passwords: Passwords,
    pub(crate) provider: Option<Arc<Provider>>,
}

impl Accounts {
    /// The user store, for reading.
    #[must_use]
    pub fn users(&self) -> &UserStore {
        &self.stores.users
    }

    /// The sessions.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The public keys, as a JWK Set in JSON.
    ///
    /// # Errors
    /// `INTERNAL` if the keys cannot be serialized, which does not happen.
    pub fn jwks(&self) -> Result<String, Fault> {
        serde_json::to_string(self.sessions.issuer.jwks()).map_err(Fault::internal)
    }

    /// Stores a new account with its password hashed; returns it.
    async fn insert(
        &self,
        turn: &Turn<'_>,
        user: User,
        password: NewPassword,
        commit: Commit,
    ) -> Result<Result<Account, InsertUserError>, HashError> {
        let password = password.into_inner();
        let password_hash = self.hasher.hash(turn, password).await?;
        let account = Account::new(user, Some(password_hash));
        Ok(self.store(&account, commit).await.map(|()| account))
    }

    /// Stores a new account.
    async fn store(&self, account: &Account, commit: Commit) -> Result<(), InsertUserError> {
        self.stores.users.insert(account, commit).await?;
        let role = format!("{:?}", account.user.role);
        metrics::counter!(m::REGISTRATIONS, "role" => role).increment(1);
        self.wake.wake(account.user.id.0);
        Ok(())
    }
}

fn registered(user: &User, actor: &Actor) -> Event {
    let payload = UserRegisteredEvent {
        user_id: user.id.0,
        username: user.username.to_string(),
        email: user.email.to_string(),
        role: role_in_events(user.role),
    };
    event(&payload, user, actor, user.created_at)
}

fn role_in_events(role: Role) -> payload::Role {
    match role {
        Role::Admin => payload::Role::Admin,
        Role::Developer | Role::Service => payload::Role::Developer,
    }
}

/// An event about an account.
fn event(payload: &impl Payload, user: &User, actor: &Actor, time: Timestamp) -> Event {
    let origin = Origin {
        service: SERVICE,
        key: user.id.0,
        subject: user.id.0,
        actor,
        time,
    };
    Event::new(payload, &origin)
}

impl From<QueueFull> for Fault {
    fn from(_: QueueFull) -> Self {
        Fault::new(
            Kind::RateLimited,
            "TOO_BUSY",
            "Too many sign in or register at the moment. Try again in a few seconds.",
        )
        .retry_after(Duration::from_secs(2))
    }
}

impl From<HashError> for Fault {
    fn from(error: HashError) -> Self {
        Fault::internal(error)
    }
}
