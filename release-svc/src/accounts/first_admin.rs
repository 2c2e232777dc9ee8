//! Creates the first admin at start, because only an admin can create an admin.

use std::io;

use rand::RngExt as _;
use slipway_bus::Actor;
use slipway_rpc::access::Role;

use super::{Accounts, registered};
use crate::{
    identity::{
        Email, NewPassword, User, Username,
        password::{HashError, QueueFull},
    },
    store::{Commit, InsertUserError, StoreError},
};

/// The first admin, created at start when there is none.
pub struct FirstAdmin {
    /// The name.
    pub username: Username,
    /// The email address.
    pub email: Email,
    /// The password.
    pub password: FirstPassword,
    /// Whether the operator configured the name instead of leaving the default.
    pub username_is_set: bool,
    /// Whether the operator configured the email address.
    pub email_is_set: bool,
}

/// Shows the operator the name and the password of the first admin.
pub type Tell = Box<dyn Fn(&Username, &str) -> io::Result<()> + Send + Sync>;

/// The password of the first admin. No `Debug`, so that it is never logged.
pub enum FirstPassword {
    /// The operator configured it.
    Chosen(NewPassword),
    /// It is generated. This function shows it to the operator once, before the account is
    /// created.
    MadeUp(Tell),
}

/// The first admin cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum FirstAdminError {
    /// An account that is not an admin has the name or the email address.
    #[error("the first admin cannot be created: {0} by an account that is not an admin")]
    Taken(InsertUserError),
    /// The generated password could not be shown.
    #[error(
        "the first admin is not created: its password is made up and cannot be shown ({0}); \
         choose one with SLIPWAY_ADMIN_PASSWORD"
    )]
    Untold(io::Error),
    /// Hashing failed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The hashing queue is full.
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
    /// If the name or the email address is taken, the password cannot be shown, or the store
    /// fails.
    pub async fn create_first_admin(&self, first: FirstAdmin) -> Result<(), FirstAdminError> {
        if self.stores.users.has_admin().await? {
            return self.warn_if_not_applied(first).await;
        }
        let user = User::new(first.username, first.email, Role::Admin, self.clock.now());
        let commit = Commit {
            events: vec![registered(&user, &Actor::System)],
            receipt: None,
        };
        let turn = self.hasher.registrations.turn().await?;
        let (password, is_shown) = match first.password {
            FirstPassword::Chosen(password) => (password, false),
            FirstPassword::MadeUp(tell) => {
                let (password, text) = make_up_password(&user);
                tell(&user.username, &text).map_err(FirstAdminError::Untold)?;
                (password, true)
            }
        };
        match self.insert(&turn, user, password, commit).await? {
            Ok(_) => Ok(()),
            // Another replica created the first admin meanwhile.
            Err(_) if self.stores.users.has_admin().await? => {
                if is_shown {
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

    /// Warns about settings of the first admin that differ from the existing admin. The settings
    /// are applied only while there is no admin; a later change has no effect.
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
        let hash = account.password_hash;
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

/// Warns that `administrator` has another value than the setting `key`. `None`: no administrator
/// has the configured name.
fn not_applied(key: &str, administrator: Option<&Username>) {
    tracing::warn!(
        key,
        administrator = administrator.map(tracing::field::display),
        "this setting is not applied: an administrator exists, with another value. The setting is \
         used only when there is no administrator. To set a password: POST /auth/password, or \
         slipway admin reset-password. For another name or address: sign in as an administrator \
         and create another one with POST /auth/register"
    );
}

/// A random password of 24 letters and digits: more than 140 bits.
pub(super) fn make_up_password(user: &User) -> (NewPassword, String) {
    loop {
        let text: String = rand::rng()
            .sample_iter(rand::distr::Alphanumeric)
            .take(24)
            .map(char::from)
            .collect();
        let (username, email) = (user.username.to_string(), user.email.to_string());
        // Refused only if it happens to resemble the name or the address: generate another.
        if let Ok(password) = NewPassword::new(&text, &username, &email) {
            return (password, text);
        }
    }
}
