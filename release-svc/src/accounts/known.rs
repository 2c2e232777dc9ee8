//! Checks that the account of a token exists, is not disabled, and still has the token's role.

use std::time::Duration;

use async_trait::async_trait;
use quick_cache::sync::Cache;
use slipway_rpc::{
    access::{Accounts, Principal, Role, accounts::gone},
    error::Fault,
};
use tokio::time::Instant;

use crate::{
    identity::UserId,
    store::{Stores, UserStore},
};

/// Accounts in the cache at most.
const CACHED_ACCOUNTS: usize = 20_000;

/// How long an account in the cache counts. Changes have an effect within two seconds.
const FRESH: Duration = Duration::from_secs(1);

/// The accounts and their roles, with a cache. A change of role and a disabled account also end the
/// sessions, so most of its tokens are refused before this looks. It looks for those without a
/// session, and for the case that the process ended before it got to all sessions.
pub struct KnownAccounts {
    users: UserStore,
    cache: Cache<UserId, Known>,
}

/// What was read of an account.
#[derive(Clone, Copy)]
struct Known {
    /// Its role; `None` if it is disabled.
    role: Option<Role>,
    at: Instant,
}

impl KnownAccounts {
    /// The accounts in these stores.
    #[must_use]
    pub fn new(stores: &Stores) -> Self {
        Self {
            users: stores.users.clone(),
            cache: Cache::new(CACHED_ACCOUNTS),
        }
    }
}

#[async_trait]
impl Accounts for KnownAccounts {
    async fn check(&self, principal: &Principal) -> Result<(), Fault> {
        let id = UserId(principal.user_id);
        let known = self.cache.get(&id);
        // With another role the token may be of a sign-in after a change.
        let fits = |known: &Known| known.role == Some(principal.role) && known.at.elapsed() < FRESH;
        if known.is_some_and(|known| fits(&known)) {
            return Ok(());
        }
        // The time before the read: the account may change during it.
        let at = Instant::now();
        let user = self.users.user(id).await?.ok_or_else(gone)?.user;
        let role = (!user.is_disabled()).then_some(user.role);
        self.cache.insert(id, Known { role, at });
        match role == Some(principal.role) {
            true => Ok(()),
            false => Err(gone()),
        }
    }
}
