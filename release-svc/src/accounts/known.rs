//! Which accounts there are, for every call with a token.

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

/// Accounts that are remembered at once.
const REMEMBERED: usize = 20_000;

/// The accounts and their roles. Accounts do not change and are not deleted, so those that
/// were found once are not read again by this process.
pub struct KnownAccounts {
    users: UserStore,
    found: Cache<UserId, Role>,
}

impl KnownAccounts {
    /// The accounts in these stores.
    #[must_use]
    pub fn new(stores: &Stores) -> Self {
        Self {
            users: stores.users.clone(),
            found: Cache::new(REMEMBERED),
        }
    }
}

#[async_trait]
impl Accounts for KnownAccounts {
    async fn check(&self, principal: &Principal) -> Result<(), Fault> {
        let id = UserId(principal.user_id);
        let role = match self.found.get(&id) {
            Some(role) => role,
            None => {
                let account = self.users.user(id).await?.ok_or_else(gone)?;
                self.found.insert(id, account.user.role);
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
