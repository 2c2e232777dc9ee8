//! Changes passwords.
//!
//! A change ends the sessions of the account: whoever has the old password may have signed in with
//! it. The account itself notes which sessions end, in the same write as the new password, so that
//! none is refreshed any more even if the process ends before it got to all of them.

use std::net::IpAddr;

use jiff::Timestamp;
use slipway_bus::{Actor, Event};
use slipway_proto::events::{PasswordChange, PasswordChangedEvent};
use slipway_rpc::{
    access::{Principal, Role, accounts::gone},
    error::{Fault, Kind},
};
use slipway_runtime::{clock::Clock, text::normal};

use super::{Accounts, event, first_admin::make_up_password, links::no_password, login::Attempt};
use crate::{
    identity::{
        Account, NewPassword, User, UserId, Username,
        password::{HashError, Hasher, QueueFull},
        throttle::Subject,
    },
    sessions::{EndReason, SessionId, actor},
    store::{StoreError, Stores},
};

/// Who can sign in with a password.
#[derive(Debug, Clone)]
pub enum Passwords {
    /// Everybody who has one.
    Everybody,
    /// The admin with this name, so that somebody gets in while the identity provider is away.
    Only(Username),
}

impl Passwords {
    /// Whether this is the only account with a password.
    pub(super) fn is_only(&self, user: &User) -> bool {
        match self {
            Self::Everybody => false,
            Self::Only(name) => name.key() == user.username.key(),
        }
    }

    /// Whether this account may sign in with a password.
    pub(crate) fn admits(&self, user: &User) -> bool {
        match self {
            Self::Everybody => true,
            Self::Only(_) => self.is_only(user) && user.role == Role::Admin,
        }
    }
}

impl Accounts {
    /// Whether everybody can sign in with a password.
    pub(crate) fn has_passwords(&self) -> bool {
        matches!(self.passwords, Passwords::Everybody)
    }

    /// Refuses to create an account with a password if nobody could sign in with it.
    ///
    /// # Errors
    /// `PASSWORDS_OFF`.
    pub(super) fn check_passwords(&self) -> Result<(), Fault> {
        match self.has_passwords() {
            true => Ok(()),
            false => Err(passwords_off()),
        }
    }

    /// Refuses an account that must not sign in with a password; `None`: no account has the name.
    ///
    /// # Errors
    /// `PASSWORDS_OFF`.
    pub(super) fn check_password_of(&self, account: Option<&Account>) -> Result<(), Fault> {
        match account.is_some_and(|account| self.passwords.admits(&account.user)) {
            true => Ok(()),
            false => self.check_passwords(),
        }
    }

    /// Refuses an account that has no password to sign in with.
    ///
    /// # Errors
    /// `PASSWORDS_OFF`; `NO_PASSWORD`.
    pub(super) fn check_has_password(&self, account: &Account) -> Result<(), Fault> {
        self.check_password_of(Some(account))?;
        match account.password_hash {
            Some(_) => Ok(()),
            None => Err(no_password()),
        }
    }

    /// Whether an account has a password that it can sign in with.
    pub(crate) fn has_password(&self, account: &Account) -> bool {
        self.check_has_password(account).is_ok()
    }

    /// Whether anybody may create an account with a password.
    pub(crate) fn is_open(&self) -> bool {
        self.has_passwords() && self.registration.open
    }

    /// Changes the caller's password and ends the caller's other sessions.
    ///
    /// # Errors
    /// `PASSWORDS_OFF`; `NO_PASSWORD` if the account has none; `INVALID_ARGUMENT`; `WRONG_PASSWORD` if `current` is not the password, which counts as a
    /// failed sign-in; `TOO_MANY_ATTEMPTS`, `TOO_BUSY`.
    pub async fn change_password(
        &self,
        caller: &Principal,
        current: String,
        new: &str,
        address: Option<IpAddr>,
    ) -> Result<(), Fault> {
        let id = UserId(caller.user_id);
        let account = self.users().user(id).await?.ok_or_else(gone)?;
        self.check_has_password(&account)?;
        let (name, email) = (
            account.user.username.to_string(),
            account.user.email.to_string(),
        );
        let invalid = |message| Fault::invalid_field("new_password", message);
        let password = NewPassword::new(new, &name, &email).map_err(invalid)?;
        if normal(&current) == normal(new) {
            return Err(invalid("must differ from the current password"));
        }
        let place = self.hasher.sign_ins.place()?;
        let attempt = Attempt {
            account: Some(account),
            name: Subject::account(id),
            password: current,
            address,
        };
        let proven = self.prove(&place, &attempt).await?;
        let proven = proven.ok_or_else(wrong_password)?.password_hash;
        let turn = self.hasher.sign_ins.turn().await?;
        let hash = self.hasher.hash(&turn, password.into_inner()).await?;
        drop(turn);
        let (now, keep) = (self.clock.now(), caller.session_id.map(SessionId));
        let actor = actor(caller);
        let event = changed(
            &attempt.account.as_ref().ok_or_else(gone)?.user,
            PasswordChange::Own,
            &actor,
            now,
        );
        let stored = self.users().update(id, event, |before| {
            // Another request may have changed or disabled it since it was proven.
            let is_proven = before.password_hash == proven && !before.user.is_disabled();
            is_proven.then(|| before.with_password(hash.clone(), keep, true, now))
        });
        stored.await?.ok_or_else(wrong_password)?;
        self.wake.wake(id.0);
        let why = EndReason::PasswordChanged;
        Ok(self.sessions.end_all(id, keep, why, &actor).await?)
    }
}

/// The answer to a password that must not be used.
pub(super) fn passwords_off() -> Fault {
    Fault::new(
        Kind::Forbidden,
        "PASSWORDS_OFF",
        "Passwords are switched off on this server. Sign in with the identity provider on the \
         sign-in page; programs need a token, which you create on your profile.",
    )
}

pub(super) fn wrong_password() -> Fault {
    Fault::new(
        Kind::Forbidden,
        "WRONG_PASSWORD",
        "The current password is wrong. Nothing was changed.",
    )
}

pub(super) fn changed(user: &User, by: PasswordChange, actor: &Actor, time: Timestamp) -> Event {
    let payload = PasswordChangedEvent {
        user_id: user.id.0,
        username: user.username.to_string(),
        by,
    };
    event(&payload, user, actor, time)
}

/// Why the operator cannot set a password.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    /// There is no such account.
    #[error("there is no account with this name or email address")]
    Unknown,
    /// The given password is refused; continues "the password".
    #[error("the password {0}")]
    Password(&'static str),
    /// Hashing failed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The queue for hashing is full, which does not happen in a process that does nothing else.
    #[error(transparent)]
    Queue(#[from] QueueFull),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Sets the password of the account with this username or email address, for an operator who has
/// the database: to `password`, or else to a random one. Its sessions end at their next refresh;
/// access tokens that were issued before are valid until they expire. Returns the account and the
/// random password.
///
/// # Errors
/// See [`ResetError`].
pub async fn reset_password(
    stores: &Stores,
    clock: &dyn Clock,
    login: &str,
    password: Option<&str>,
) -> Result<(User, Option<String>), ResetError> {
    let account = stores.users.by_login(login).await?;
    let user = account.ok_or(ResetError::Unknown)?.user;
    let (password, made_up) = match password {
        Some(given) => {
            let (name, email) = (user.username.to_string(), user.email.to_string());
            let password = NewPassword::new(given, &name, &email);
            (password.map_err(ResetError::Password)?, None)
        }
        None => {
            let (password, text) = make_up_password(&user);
            (password, Some(text))
        }
    };
    let hasher = Hasher::new()?;
    let turn = hasher.sign_ins.turn().await?;
    let hash = hasher.hash(&turn, password.into_inner()).await?;
    let now = clock.now();
    let event = changed(&user, PasswordChange::Operator, &Actor::System, now);
    let set = stores.users.update(user.id, event, |before| {
        Some(before.with_password(hash.clone(), None, true, now))
    });
    set.await?.ok_or(ResetError::Unknown)?;
    stores
        .users
        .clear_failures(&Subject::account(user.id))
        .await?;
    Ok((user, made_up))
}
