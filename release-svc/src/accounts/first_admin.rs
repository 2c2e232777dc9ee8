//! The first admin: there is nobody yet who could create one.

use rand::RngExt as _;
use slipway_mesh::{access::Role, bus::Actor};

use super::{Accounts, registered};
use crate::{
    identity::{Email, NewPassword, User, UserId, Username, password::HashError},
    store::{Commit, InsertUserError, StoreError},
};

/// The first admin, created at start when there is none.
pub struct FirstAdmin {
    /// The name.
    pub username: String,
    /// The address.
    pub email: String,
    /// The password; without one it is made up.
    pub password: Option<String>,
}

/// A password that was made up, to be told to the operator once. It has no `Debug`.
pub struct GeneratedPassword(pub String);

/// The first admin cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum FirstAdminError {
    /// What the configuration says is not possible.
    #[error("the first admin's {0} {1}")]
    Invalid(&'static str, &'static str),
    /// A developer has the name or the address.
    #[error("the first admin cannot be created: {0} by an account that is not an admin")]
    Taken(InsertUserError),
    /// Hashing failed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Accounts {
    /// Creates the first admin if there is no admin.
    ///
    /// # Errors
    /// If what is configured is not possible.
    pub async fn create_first_admin(
        &self,
        first: FirstAdmin,
    ) -> Result<Option<GeneratedPassword>, FirstAdminError> {
        if self.stores.users.has_admin().await? {
            return Ok(None);
        }
        let invalid = |field| move |message| FirstAdminError::Invalid(field, message);
        let user = User {
            id: UserId::generate(),
            username: Username::new(&first.username).map_err(invalid("username"))?,
            email: Email::new(&first.email).map_err(invalid("email"))?,
            role: Role::Admin,
            created_at: self.clock.now(),
        };
        let generated = first.password.is_none();
        let password = first.password.unwrap_or_else(generate_password);
        let password = NewPassword::new(password)
            .map_err(invalid("password"))?
            .into_inner();
        let commit = Commit {
            events: vec![registered(&user, &Actor::System)],
            receipt: None,
        };
        match self.insert(user, password.clone(), commit).await? {
            Ok(()) => Ok(generated.then_some(GeneratedPassword(password))),
            // Another replica was faster.
            Err(_) if self.stores.users.has_admin().await? => Ok(None),
            Err(InsertUserError::Store(error)) => Err(error.into()),
            Err(error) => Err(FirstAdminError::Taken(error)),
        }
    }
}

/// 24 letters and digits: more than 140 bits.
fn generate_password() -> String {
    rand::rng()
        .sample_iter(rand::distr::Alphanumeric)
        .take(24)
        .map(char::from)
        .collect()
}
