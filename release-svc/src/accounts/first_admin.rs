//! The first admin: there is nobody yet who could create one.

use std::io;

use rand::RngExt as _;
use slipway_bus::Actor;
use slipway_rpc::access::Role;

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
    /// The password.
    pub password: FirstPassword,
    /// Whether the operator chose the name, rather than left it at its default.
    pub username_is_set: bool,
    /// The same of the address.
    pub email_is_set: bool,
}

/// Tells the operator the name of the first admin and a password.
pub type Tell = Box<dyn Fn(&Username, &str) -> io::Result<()> + Send + Sync>;

/// The password of the first admin. It has no `Debug`.
pub enum FirstPassword {
    /// The operator chose it.
    Chosen(NewPassword),
    /// It is made up, and told to the operator by this: once, and before there is an account
    /// that needs it.
    MadeUp(Tell),
}

/// The first admin cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum FirstAdminError {
    /// A developer has the name or the address.
    #[error("the first admin cannot be created: {0} by an account that is not an admin")]
    Taken(InsertUserError),
    /// Nobody would know the password.
    #[error(
        "the first admin is not created: its password is made up and cannot be shown ({0}); \
         choose one with SLIPWAY_ADMIN_PASSWORD"
    )]
    Untold(io::Error),
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
    /// If the name or the address is taken; if the password cannot be told; or the store's
    /// failure.
    pub async fn create_first_admin(&self, first: FirstAdmin) -> Result<(), FirstAdminError> {
        if self.stores.users.has_admin().await? {
            return self.warn_if_not_applied(first).await;
        }
        let user = User {
            id: UserId::generate(),
            username: first.username,
            email: first.email,
            role: Role::Admin,
            created_at: self.clock.now(),
        };
        let commit = Commit {
            events: vec![registered(&user, &Actor::System)],
            receipt: None,
        };
        let turn = self.hasher.registrations.turn().await?;
        let (password, told) = match first.password {
            FirstPassword::Chosen(password) => (password, false),
            FirstPassword::MadeUp(tell) => {
                let (password, text) = make_up_password(&user);
                tell(&user.username, &text).map_err(FirstAdminError::Untold)?;
                (password, true)
            }
        };
        match self.insert(&turn, user, password, commit).await? {
            Ok(()) => Ok(()),
            // Another replica was faster.
            Err(_) if self.stores.users.has_admin().await? => {
                if told {
                    tracing::warn!(
                        "another process created the first admin; the password shown by this one is not valid"
                    );
                }
                Ok(())
            }
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
        let password = match password {
            FirstPassword::Chosen(password) => Some(password),
            FirstPassword::MadeUp(_) => None,
        };
        if !username_is_set && !email_is_set && password.is_none() {
            return Ok(());
        }
        let account = self.stores.users.by_login(&username.to_string()).await?;
        let account = account.filter(|account| account.user.role == Role::Admin);
        let Some(account) = account else {
            let set = [
                (username_is_set, "admin_username"),
                (email_is_set, "admin_email"),
                (password.is_some(), "admin_password"),
            ];
            for (_, key) in set.into_iter().filter(|(is_set, _)| *is_set) {
                not_applied(key, None);
            }
            return Ok(());
        };
        if email_is_set && account.user.email != email {
            not_applied("admin_email", Some(&username));
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
            not_applied("admin_password", Some(&username));
        }
        Ok(())
    }
}

/// Says that a setting differs from what `administrator` has; without one, that no administrator
/// has the configured name.
fn not_applied(key: &str, administrator: Option<&Username>) {
    tracing::warn!(
        key,
        administrator = administrator.map(tracing::field::display),
        "this setting is not applied: there is an administrator already, who is another or has \
         something else, and it counts only at the first start, when there is none. To change \
         that, sign in as an existing administrator and create another one with \
         POST /auth/register, or start with an empty data directory or database"
    );
}

/// 24 letters and digits: more than 140 bits.
fn make_up_password(user: &User) -> (NewPassword, String) {
    loop {
        let text: String = rand::rng()
            .sample_iter(rand::distr::Alphanumeric)
            .take(24)
            .map(char::from)
            .collect();
        let (username, email) = (user.username.to_string(), user.email.to_string());
        // Refused only if it happens to be the name: then another one is made up.
        if let Ok(password) = NewPassword::new(&text, &username, &email) {
            return (password, text);
        }
    }
}
