//! Whether the account of a token is there.
//!
//! A token outlives its account where data was restored from an older backup, or where a key
//! signs for new data.

use async_trait::async_trait;

use super::Principal;
use crate::error::{Fault, Kind};

/// The accounts, where a process has them at hand.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Checks that the account of a token is there and has the token's role.
    ///
    /// # Errors
    /// [`gone`]; or that it cannot be told at the moment.
    async fn check(&self, principal: &Principal) -> Result<(), Fault>;
}

/// The account of a token is not there, or has another role.
#[must_use]
pub fn gone() -> Fault {
    Fault::new(
        Kind::Unauthenticated,
        "ACCOUNT_GONE",
        "The token is of an account that does not exist, or that has another role now. Sign in \
         again.",
    )
}
