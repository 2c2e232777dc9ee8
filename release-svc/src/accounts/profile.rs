//! What the owner of an account changes of it: the name that people see, and the email address.
//!
//! A new address counts once the link in a mail to it is used. Whoever asks for one proves the password:
//! a session alone must not be enough to take an account over by its address.

use std::net::IpAddr;

use serde_json::json;
use slipway_proto::events::{FieldChange, ProfileChangedEvent};
use slipway_rpc::{
    access::{Principal, accounts::gone},
    error::{Fault, Kind},
};

use super::{
    Accounts, event,
    links::{CONFIRMATIONS, requested, too_many_links},
    login::Attempt,
    passwords::wrong_password,
    register::refused,
};
use crate::{
    identity::{
        Account, DisplayName, Email, User, UserId,
        links::{Link, Purpose},
        quota::Hour,
        throttle::Subject,
    },
    sessions::actor,
    store::{Administered, InsertUserError},
};

/// What an owner changes; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct ProfileChange {
    /// The name that people see; `Some(None)`: none.
    pub display_name: Option<Option<DisplayName>>,
    /// The email address.
    pub email: Option<Email>,
    /// The revision of the account that the change is based on.
    pub revision: Option<u64>,
}

impl ProfileChange {
    /// Validates a request.
    ///
    /// # Errors
    /// The invalid field.
    pub fn new(
        display_name: Option<&str>,
        email: Option<&str>,
        revision: u64,
    ) -> Result<Self, Fault> {
        let invalid = |field| move |message: &str| Fault::invalid_field(field, message);
        let display_name = display_name.map(DisplayName::new).transpose();
        let email = email.map(Email::new).transpose();
        Ok(Self {
            display_name: display_name.map_err(invalid("display_name"))?,
            email: email.map_err(invalid("email"))?,
            revision: (revision != 0).then_some(revision),
        })
    }
}

impl Accounts {
    /// Changes the caller's account. Mails a link to a new address.
    ///
    /// # Errors
    /// `ACCOUNT_CHANGED`; with another address `EMAIL_FROM_PROVIDER`, `PASSWORDS_OFF`, `NO_PASSWORD`,
    /// `WRONG_PASSWORD`, `EMAIL_TAKEN`, `TOO_MANY_LINKS`, `TOO_MANY_ATTEMPTS`, `TOO_BUSY`.
    pub async fn update_profile(
        &self,
        caller: &Principal,
        change: ProfileChange,
        password: String,
        address: Option<IpAddr>,
    ) -> Result<Account, Fault> {
        let id = UserId(caller.user_id);
        let account = self.users().user(id).await?.ok_or_else(gone)?;
        if !is_based_on(&account, &change) {
            return Err(changed_meanwhile());
        }
        let (now, actor) = (self.clock.now(), actor(caller));
        let mut proven = None;
        let wanted = change.email.as_ref();
        if let Some(email) = wanted.filter(|email| **email != account.user.email) {
            let hash = account.password_hash.clone();
            self.may_have(account, email, password, address).await?;
            proven = Some((Link::confirming(email.clone(), now), hash));
        }
        let mut is_outdated = false;
        let done = self.stores.users.administer(id, |before| {
            // Another request may have changed it since it was proven.
            let is_proven = proven
                .as_ref()
                .is_none_or(|(_, hash)| before.password_hash == *hash);
            is_outdated = !is_based_on(before, &change) || !is_proven;
            if is_outdated {
                return None;
            }
            let mut after = before.clone();
            let mut events = Vec::new();
            if let Some(name) = &change.display_name
                && *name != before.user.display_name
            {
                let payload = renamed(&before.user, name.as_ref());
                after.user.display_name.clone_from(name);
                events.push(event(&payload, &before.user, &actor, now));
            }
            match &proven {
                Some((link, _)) => {
                    after = after.with_link(link.clone());
                    events.push(requested(&before.user, link, &actor, now));
                }
                None if wanted.is_some() => after = after.without_link(Purpose::ConfirmEmail),
                None => {}
            }
            let is_changed = after.user != before.user || after.links != before.links;
            after.revision = before.revision + 1;
            is_changed.then_some((after, events))
        });
        match done.await? {
            Administered::Changed { after, .. } => {
                self.wake.wake(id.0);
                Ok(after)
            }
            Administered::Unchanged(_) if is_outdated => Err(changed_meanwhile()),
            Administered::Unchanged(account) => Ok(account),
            Administered::Unknown | Administered::LastAdmin | Administered::EmailTaken => {
                Err(gone())
            }
        }
    }

    /// Whether the owner of an account, who gives its password, may ask for this address.
    async fn may_have(
        &self,
        account: Account,
        email: &Email,
        password: String,
        address: Option<IpAddr>,
    ) -> Result<(), Fault> {
        if self.has_email_of_provider(&account) {
            return Err(email_from_provider());
        }
        self.check_has_password(&account)?;
        let (id, now) = (account.user.id, self.clock.now());
        let place = self.hasher.sign_ins.place()?;
        let name = Subject::account(id);
        let attempt = Attempt {
            account: Some(account),
            name: name.clone(),
            password,
            address,
        };
        let proven = self.prove(&place, &attempt).await?;
        proven.ok_or_else(wrong_password)?;
        let other = self.users().by_login(&email.to_string()).await?;
        if other.is_some_and(|other| other.user.id != id) {
            return Err(refused(InsertUserError::EmailTaken));
        }
        let (subject, hour) = (name.for_confirmations(), Hour::of(now));
        let counted = self
            .users()
            .count_registration(&subject, hour, CONFIRMATIONS);
        match counted.await? {
            true => Ok(()),
            false => Err(too_many_links(
                "for your account",
                CONFIRMATIONS,
                hour.left(now),
            )),
        }
    }
}

fn is_based_on(account: &Account, change: &ProfileChange) -> bool {
    let revision = change.revision;
    revision.is_none_or(|revision| revision == account.revision)
}

fn renamed(user: &User, name: Option<&DisplayName>) -> ProfileChangedEvent {
    let text = |name: Option<&DisplayName>| json!(name.map(DisplayName::to_string));
    ProfileChangedEvent {
        user_id: user.id.0,
        username: user.username.to_string(),
        changes: vec![FieldChange {
            field: "displayName".to_owned(),
            from: text(user.display_name.as_ref()),
            to: text(name),
        }],
    }
}

fn email_from_provider() -> Fault {
    Fault::new(
        Kind::Conflict,
        "EMAIL_FROM_PROVIDER",
        "Your email address comes from the identity provider. Change it there: once it is verified, \
         your account has it from your next sign-in on.",
    )
}

fn changed_meanwhile() -> Fault {
    Fault::new(
        Kind::Conflict,
        "ACCOUNT_CHANGED",
        "Your account was changed in the meantime. Read it again.",
    )
}
