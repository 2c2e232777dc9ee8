//! Links in mails: asks for them, gives their secrets to the service that mails them, and sets
//! passwords by them.
//!
//! No event, log line or stored document has a secret. The event about a link has its id. When
//! `notify` sends the mail it asks for a secret of that link, of which only the digest is stored.

use std::{net::IpAddr, time::Duration};

use jiff::Timestamp;
use slipway_bus::{Actor, Event};
use slipway_proto::events::{
    EmailChangeRequestedEvent, EmailChangedEvent, PasswordChange, PasswordResetRequestedEvent,
    UserInvitedEvent,
};
use slipway_rpc::{
    access::Principal,
    error::{Fault, Kind},
};

use super::{
    Accounts,
    administration::not_found,
    event,
    login::account_disabled,
    passwords::{changed, passwords_off},
    register::refused as taken,
    role_in_events,
};
use crate::{
    identity::{
        Account, Email, NewPassword, User, UserId, credentials,
        links::{Link, LinkId, LinkRefusal, LinkSecret, Purpose},
        quota::{HOUR, Hour},
        throttle::Subject,
    },
    sessions::{EndReason, actor},
    store::{Administered, InsertUserError},
};

/// Addresses that one account can ask to confirm within an hour.
pub(super) const CONFIRMATIONS: u32 = 5;

/// Mails that one account can be made to get within an hour, by those who have not signed in.
const PER_ACCOUNT: u32 = 5;

/// Mails that one network address can ask for within an hour.
const PER_ADDRESS: u32 = 20;

/// When the answer to a request for a link comes at the earliest: longer than all work takes, so that
/// its time does not tell whether there is such an account.
const ANSWER_AFTER: Duration = Duration::from_millis(500);

impl Accounts {
    /// Mails a link that sets another password, if an account that has one has this username or
    /// email address. The answer does not tell whether there is one.
    ///
    /// # Errors
    /// `TOO_MANY_LINKS` for the caller's address.
    pub async fn forgot_password(&self, login: &str, address: Option<IpAddr>) -> Result<(), Fault> {
        let work = self.request_reset(login, address);
        let (done, ()) = tokio::join!(work, tokio::time::sleep(ANSWER_AFTER));
        done
    }

    async fn request_reset(&self, login: &str, address: Option<IpAddr>) -> Result<(), Fault> {
        let (users, hour) = (&self.stores.users, Hour::of(self.clock.now()));
        if let Some(address) = address {
            let subject = Subject::links_from(address);
            if !users
                .count_registration(&subject, hour, PER_ADDRESS)
                .await?
            {
                tracing::info!(%address, "link refused: too many asked for from this address");
                let wait = hour.left(self.clock.now());
                let whose = "from your network address";
                return Err(too_many_links(whose, PER_ADDRESS, wait));
            }
        }
        let account = users.by_login(login).await?;
        let subject = match &account {
            Some(account) => Subject::account(account.user.id),
            None => Subject::unknown(&credentials::key(login)),
        };
        let subject = subject.for_links();
        if !users
            .count_registration(&subject, hour, PER_ACCOUNT)
            .await?
        {
            tracing::info!("link not mailed: too many asked for this account");
            return Ok(());
        }
        if let Some(account) = account {
            let purpose = Purpose::ResetPassword;
            self.add_link(account.user.id, purpose, &Actor::System)
                .await?;
        }
        Ok(())
    }

    /// Mails a link to an account, for an admin.
    ///
    /// # Errors
    /// `USER_NOT_FOUND`, `ACCOUNT_DISABLED`, `NOT_INVITED`, `NO_PASSWORD`, `PASSWORDS_OFF`.
    pub async fn send_link(
        &self,
        caller: &Principal,
        id: UserId,
        purpose: Purpose,
    ) -> Result<Account, Fault> {
        match self.add_link(id, purpose, &actor(caller)).await? {
            Administered::Changed { after, .. } => Ok(after),
            Administered::Unknown => Err(not_found()),
            Administered::Unchanged(account) if account.user.is_disabled() => {
                Err(account_disabled())
            }
            Administered::Unchanged(account) if !self.passwords.admits(&account.user) => {
                Err(passwords_off())
            }
            Administered::Unchanged(_) | Administered::LastAdmin | Administered::EmailTaken => {
                Err(match purpose {
                    Purpose::Invitation => not_invited(),
                    _ => no_password(),
                })
            }
        }
    }

    /// Adds a link to an account, with the event that makes it be mailed.
    async fn add_link(
        &self,
        id: UserId,
        purpose: Purpose,
        actor: &Actor,
    ) -> Result<Administered, Fault> {
        let now = self.clock.now();
        let link = Link::new(purpose, now);
        let done = self.stores.users.administer(id, |before| {
            let is_meant = purpose != Purpose::Invitation || before.user.invited;
            let may = before.takes_password() && self.passwords.admits(&before.user);
            if !is_meant || !may {
                return None;
            }
            let event = requested(&before.user, &link, actor, now);
            Some((before.with_link(link.clone()), vec![event]))
        });
        let done = done.await?;
        self.wake.wake(id.0);
        Ok(done)
    }

    /// A secret of a link, for the mail with it.
    ///
    /// # Errors
    /// `INVALID_LINK` if the link is not valid any more.
    pub async fn issue_secret(&self, account: UserId, link: LinkId) -> Result<String, Fault> {
        let (secret, now) = (LinkSecret::generate(account), self.clock.now());
        let stored = self
            .stores
            .users
            .amend(account, |before| before.with_secret(link, &secret, now));
        stored.await?.ok_or_else(invalid_link)?;
        Ok(secret.text())
    }

    /// Sets the password of the account that a link is of. All its sessions end; with `programs`
    /// also its tokens for programs.
    ///
    /// # Errors
    /// `PASSWORDS_OFF`, `INVALID_LINK`, `LINK_EXPIRED`, `INVALID_ARGUMENT`, `TOO_MANY_ATTEMPTS`, `TOO_BUSY`.
    pub async fn reset_by_link(
        &self,
        secret: &str,
        new: &str,
        programs: bool,
        address: Option<IpAddr>,
    ) -> Result<(), Fault> {
        let (secret, account) = self.by_secret(secret, address).await?;
        self.check_password_of(Some(&account))?;
        let valid = |account: &Account, now: Timestamp| {
            let link = account.link(&secret, now)?;
            let is_meant = link.purpose.sets_password() && account.takes_password();
            is_meant.then_some(()).ok_or(LinkRefusal::Unknown)
        };
        valid(&account, self.clock.now()).map_err(refusal)?;
        let user = account.user;
        let (name, email) = (user.username.to_string(), user.email.to_string());
        let password = NewPassword::new(new, &name, &email)
            .map_err(|message| Fault::invalid_field("new_password", message))?;
        let _place = self.hasher.sign_ins.place()?;
        let turn = self.hasher.sign_ins.turn().await?;
        let hash = self.hasher.hash(&turn, password.into_inner()).await?;
        drop(turn);
        let (id, now, actor) = (user.id, self.clock.now(), owner(&user));
        let event = changed(&user, PasswordChange::Link, &actor, now);
        let mut refused = LinkRefusal::Unknown;
        let stored = self.users().update(id, event, |before| {
            // Another request may have used it, or the account may have changed.
            valid(before, now).map_err(|why| refused = why).ok()?;
            Some(before.with_password(hash.clone(), None, programs, now))
        });
        stored.await?.ok_or_else(|| refusal(refused))?;
        self.wake.wake(id.0);
        let why = EndReason::PasswordChanged;
        match programs {
            true => self.sessions.end_all(id, None, why, &actor).await?,
            false => self.sessions.end_sign_ins(id, None, why, &actor).await?,
        }
        // Whoever has the address need not wait because somebody else has guessed.
        let failures = Subject::account(id);
        Ok(self.stores.users.clear_failures(&failures).await?)
    }

    /// Confirms a new email address of the account that a link is of. Its former address is told.
    ///
    /// # Errors
    /// `INVALID_LINK`, `LINK_EXPIRED`, `EMAIL_TAKEN`, `TOO_MANY_ATTEMPTS`.
    pub async fn confirm_email(&self, secret: &str, address: Option<IpAddr>) -> Result<(), Fault> {
        let (secret, account) = self.by_secret(secret, address).await?;
        let (id, now) = (account.user.id, self.clock.now());
        let actor = owner(&account.user);
        let mut refused = LinkRefusal::Unknown;
        let done = self.stores.users.administer(id, |before| {
            let after = before.with_confirmed_email(&secret, now);
            let after = after.map_err(|why| refused = why).ok()?;
            let event = email_changed(&before.user, &after, &actor, now);
            Some((after, vec![event]))
        });
        match done.await? {
            Administered::Changed { .. } => {
                self.wake.wake(id.0);
                Ok(())
            }
            Administered::EmailTaken => Err(taken(InsertUserError::EmailTaken)),
            Administered::Unchanged(_) | Administered::Unknown | Administered::LastAdmin => {
                Err(refusal(refused))
            }
        }
    }

    /// The secret with this text, and the account that it names. A text that is of no link counts as
    /// a guess.
    async fn by_secret(
        &self,
        text: &str,
        address: Option<IpAddr>,
    ) -> Result<(LinkSecret, Account), Fault> {
        if let Some(secret) = LinkSecret::parse(text)
            && let Some(account) = self.users().user(secret.account).await?
            && account.link(&secret, self.clock.now()) != Err(LinkRefusal::Unknown)
        {
            return Ok((secret, account));
        }
        let excess = self.sessions.count_guess(address).await?;
        Err(excess.unwrap_or_else(invalid_link))
    }
}

/// Whoever has the link of a mail to the account's address acts for its owner.
fn owner(user: &User) -> Actor {
    Actor::User {
        id: user.id.0,
        username: user.username.to_string(),
    }
}

pub(super) fn email_changed(
    before: &User,
    after: &Account,
    actor: &Actor,
    time: Timestamp,
) -> Event {
    let payload = EmailChangedEvent {
        user_id: before.id.0,
        username: before.username.to_string(),
        email: after.user.email.to_string(),
        previous_email: before.email.to_string(),
        role: role_in_events(after.user.role),
        disabled: after.user.is_disabled(),
        revision: after.revision,
    };
    event(&payload, &after.user, actor, time)
}

/// The event that makes a link be mailed.
pub(super) fn requested(user: &User, link: &Link, actor: &Actor, time: Timestamp) -> Event {
    let (user_id, username) = (user.id.0, user.username.to_string());
    let (email, link_id) = (user.email.to_string(), link.id.0);
    let expires_at = link.expires_at;
    match link.purpose {
        Purpose::ResetPassword => {
            let payload = PasswordResetRequestedEvent {
                user_id,
                username,
                email,
                link_id,
                expires_at,
            };
            event(&payload, user, actor, time)
        }
        Purpose::Invitation => {
            let payload = UserInvitedEvent {
                user_id,
                username,
                email,
                link_id,
                expires_at,
            };
            event(&payload, user, actor, time)
        }
        Purpose::ConfirmEmail => {
            let payload = EmailChangeRequestedEvent {
                user_id,
                username,
                email: link.email.as_ref().map_or(email, Email::to_string),
                link_id,
                expires_at,
            };
            event(&payload, user, actor, time)
        }
    }
}

fn refusal(refused: LinkRefusal) -> Fault {
    match refused {
        LinkRefusal::Unknown => invalid_link(),
        LinkRefusal::Expired => Fault::new(
            Kind::Forbidden,
            "LINK_EXPIRED",
            "The link is too old. Ask for another one.",
        ),
    }
}

fn invalid_link() -> Fault {
    Fault::new(
        Kind::Forbidden,
        "INVALID_LINK",
        "The link is not valid: it was used, or there is a newer one. Ask for another one.",
    )
}

fn not_invited() -> Fault {
    Fault::new(
        Kind::Conflict,
        "NOT_INVITED",
        "This account does not wait for an invitation.",
    )
}

pub(super) fn no_password() -> Fault {
    Fault::new(
        Kind::Conflict,
        "NO_PASSWORD",
        "This account signs in without a password, so there is none to set.",
    )
}

pub(super) fn too_many_links(whose: &str, limit: u32, wait: Duration) -> Fault {
    Fault::new(
        Kind::RateLimited,
        "TOO_MANY_LINKS",
        format!("Too many links were asked for {whose}. Try again later."),
    )
    .fact("limit", limit)
    .fact("windowSeconds", HOUR.as_secs())
    .retry_after(wait)
}
