//! Checks that the account of a token exists and still has the token's role.

use async_trait::async_trait;
use quick_cache::sync::Cache;
use slipway_rpc::{
    access::{Accounts, Principal, Role, accounts::gone},
    error::Fault,
};

use crate::{
    identity::UserId,
    store::{Stores, UserStore},
};

/// Accounts in the cache at most.
const CACHED_ACCOUNTS: usize = 20_000;

/// The accounts and their roles, with a cache. Accounts never change and are never deleted, so
/// cached entries do not expire.
pub struct KnownAccounts {
    users: UserStore,
    cache: Cache<UserId, Role>,
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
        let role = match self.cache.get(&id) {
            Some(role) => role,
            None => {
                let account = self.users.user(id).await?.ok_or_else(gone)?;
                self.cache.insert(id, account.user.role);
                account.user.role
            }
        };
        if role == principal.role {
            Ok(())
        } else {
            Err(gone())
        }
    }
}
