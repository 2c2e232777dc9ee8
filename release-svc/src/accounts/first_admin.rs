//! The first admin: there is nobody yet who could create one.

use rand::RngExt as _;
use slipway_mesh::{access::Role, bus::Actor};

use super::{Accounts, registered};
use crate::{
    identity::{
        Email, NewPassword, User, UserId, Username,
        password::{HashError, QueueFull},
    },
    store::{Commit, InsertUserError, StoreError},
};

/// The first admin, created at start when there is none.
pub struct FirstAdmin {
    /// The name.
    pub username: Username,
    /// The address.
    pub email: Email,
    /// The password; without one it is made up.
    pub password: Option<NewPassword>,
    /// Whether the operator chose the name, rather than left it at its default.
    pub username_is_set: bool,
    /// The same of the address.
    pub email_is_set: bool,
}

/// A password that was made up, to be told to the operator once. It has no `Debug`.
pub struct GeneratedPassword(pub String);

/// The first admin cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum FirstAdminError {
    /// A developer has the name or the address.
    #[error("the first admin cannot be created: {0} by an account that is not an admin")]
    Taken(InsertUserError),
    /// Hashing failed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// So did waiting for a turn to hash.
    #[error(transparent)]
    Queue(#[from] QueueFull),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Accounts {
    /// Creates the first admin if there is no admin.
    ///
    /// # Errors
    /// If the name or the address is taken; or the store's failure.
    pub async fn create_first_admin(
        &self,
        first: FirstAdmin,
    ) -> Result<Option<GeneratedPassword>, FirstAdminError> {
        if self.stores.users.has_admin().await? {
            self.warn_if_not_applied(first).await?;
            return Ok(None);
        }
        let user = User {
            id: UserId::generate(),
            username: first.username,
            email: first.email,
            role: Role::Admin,
            created_at: self.clock.now(),
        };
        let (password, generated) = match first.password {
            Some(password) => (password, None),
            None => generate_password(&user),
        };
        let commit = Commit {
            events: vec![registered(&user, &Actor::System)],
            receipt: None,
        };
        let turn = self.hasher.registrations.turn().await?;
        match self.insert(&turn, user, password, commit).await? {
            Ok(()) => Ok(generated),
            // Another replica was faster.
            Err(_) if self.stores.users.has_admin().await? => Ok(None),
            Err(InsertUserError::Store(error)) => Err(error.into()),
            Err(error) => Err(FirstAdminError::Taken(error)),
        }
    }

    /// Says which settings of the first admin differ from the admin who exists: they are
    /// read only when there is no admin, and an operator who changes them would wait for
    /// an effect that never comes.
    async fn warn_if_not_applied(&self, first: FirstAdmin) -> Result<(), FirstAdminError> {
        let FirstAdmin {
            username,
            email,
            password,
            username_is_set,
            email_is_set,
        } = first;
        if !username_is_set && !email_is_set && password.is_none() {
            return Ok(());
        }
        let account = self.stores.users.by_login(username.to_string()).await?;
        let account = account.filter(|account| account.user.role == Role::Admin);
        let Some(account) = account else {
            let set = [
                (username_is_set, "admin_username"),
                (email_is_set, "admin_email"),
                (password.is_some(), "admin_password"),
            ];
            for (_, key) in set.into_iter().filter(|(is_set, _)| *is_set) {
                not_applied(key, &username);
            }
            return Ok(());
        };
        if email_is_set && account.user.email != email {
            not_applied("admin_email", &username);
        }
        let Some(password) = password else {
            return Ok(());
        };
        let turn = self.hasher.sign_ins.turn().await?;
        let hash = Some(account.password_hash);
        if !self
            .hasher
            .verify(&turn, password.into_inner(), hash)
            .await?
        {
            not_applied("admin_password", &username);
        }
        Ok(())
    }
}

fn not_applied(key: &str, username: &Username) {
    tracing::warn!(
        key,
        %username,
        "this setting is not applied: it differs from the administrator who exists, and counts \
         only at the first start, when there is none. To change it, sign in as an existing \
         administrator and create another one with POST /auth/register, or start with an empty \
         data directory or database"
    );
}

/// 24 letters and digits: more than 140 bits.
fn generate_password(user: &User) -> (NewPassword, Option<GeneratedPassword>) {
    loop {
        let text: String = rand::rng()
            .sample_iter(rand::distr::Alphanumeric)
            .take(24)
            .map(char::from)
            .collect();
        let (username, email) = (user.username.to_string(), user.email.to_string());
        // Refused only if it happens to be the name: then another one is made up.
        if let Ok(password) = NewPassword::new(&text, &username, &email) {
            return (password, Some(GeneratedPassword(text)));
        }
    }
}
