//! Checks that the account of a token still exists.
//!
//! A token can outlive its account: after data was restored from an older backup, or when the same
//! key signs tokens for a new data set.

use async_trait::async_trait;

use super::Principal;
use crate::error::{Fault, Kind};

/// Looks up accounts, in processes that store them.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Checks that the account of a token exists, is not disabled, and has the token's role.
    ///
    /// # Errors
    /// [`gone`]; or an error if this cannot be determined at the moment.
    async fn check(&self, principal: &Principal) -> Result<(), Fault>;
}

/// The error if the account of a token does not exist, is disabled, or has another role.
#[must_use]
pub fn gone() -> Fault {
    Fault::new(
        Kind::Unauthenticated,
        "ACCOUNT_GONE",
        "The token is of an account that does not exist, that is disabled, or that has another role \
         now. Sign in again.",
    )
}
