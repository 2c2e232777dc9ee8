//! What admins do with the accounts of others: create, invite, disable, enable, and change the role.
//!
//! A disabled account and one with another role get new sessions only: the account notes in the same
//! write which ones have ended, as with a new password.

use jiff::Timestamp;
use serde_json::json;
use slipway_bus::{Actor, Event};
use slipway_proto::events::{
    FieldChange, UserDisabledEvent, UserEnabledEvent, UserRoleChangedEvent,
};
use slipway_rpc::{
    access::Principal,
    error::{Fault, Kind},
};
use slipway_store::receipts::{self, Receipt, Repeatable};
use uuid::Uuid;

use super::{
    Accounts, Invitation, Registration, event, links::requested, register::refused, registered,
    role_in_events,
};
use crate::{
    identity::{
        Account, AccountChange, User, UserId,
        links::{Link, Purpose},
    },
    sessions::{EndReason, actor},
    store::{Administered, Commit, InsertUserError},
};

/// The code of the refusal to take the last admin away.
pub(super) const LAST_ADMIN: &str = "LAST_ADMIN";

impl Accounts {
    /// Creates an account for somebody else.
    ///
    /// # Errors
    /// `PASSWORDS_OFF`, `USERNAME_TAKEN`, `EMAIL_TAKEN`, `IDEMPOTENCY_KEY_REUSED`; `TOO_BUSY`.
    pub async fn create_for(
        &self,
        caller: &Principal,
        registration: Registration,
        repeatable: Option<Repeatable>,
    ) -> Result<Account, Fault> {
        self.check_passwords()?;
        let create = async {
            let _place = self.hasher.registrations.place()?;
            let (username, email) = (registration.username, registration.email);
            let user = User::new(username, email, registration.role, self.clock.now());
            let commit = Commit {
                events: vec![registered(&user, &actor(caller))],
                receipt: receipt(repeatable.as_ref(), &user),
            };
            let turn = self.hasher.registrations.turn().await?;
            let inserted = self.insert(&turn, user, registration.password, commit);
            inserted.await?.map_err(refused)
        };
        self.once(repeatable.as_ref(), create).await
    }

    /// Creates an account for somebody else, who gets a mail with a link to set its password.
    ///
    /// # Errors
    /// `PASSWORDS_OFF`, `USERNAME_TAKEN`, `EMAIL_TAKEN`, `IDEMPOTENCY_KEY_REUSED`.
    pub async fn invite(
        &self,
        caller: &Principal,
        invitation: Invitation,
        repeatable: Option<Repeatable>,
    ) -> Result<Account, Fault> {
        self.check_passwords()?;
        let create = async {
            let Invitation {
                username,
                email,
                role,
            } = invitation;
            let (now, actor) = (self.clock.now(), actor(caller));
            let user = User::new(username, email, role, now).invited();
            let link = Link::new(Purpose::Invitation, now);
            let commit = Commit {
                events: vec![
                    registered(&user, &actor),
                    requested(&user, &link, &actor, now),
                ],
                receipt: receipt(repeatable.as_ref(), &user),
            };
            let account = Account::new(user, None).with_first_link(link);
            self.store(&account, commit).await.map_err(refused)?;
            Ok(account)
        };
        self.once(repeatable.as_ref(), create).await
    }

    /// What `create` creates, or the account that an earlier attempt of the request has created.
    async fn once(
        &self,
        repeatable: Option<&Repeatable>,
        create: impl Future<Output = Result<Account, Fault>>,
    ) -> Result<Account, Fault> {
        let earlier = || async {
            let Some(repeatable) = repeatable else {
                return Ok(None);
            };
            let now = self.clock.now();
            let id = repeatable.earlier(&*self.stores.receipts, now).await?;
            let Some(id) = id else {
                return Ok(None);
            };
            let id = Uuid::from_slice(&id).map_err(Fault::internal)?;
            self.account(UserId(id)).await.map(Some)
        };
        receipts::unless_earlier(earlier, create).await
    }

    /// One account.
    ///
    /// # Errors
    /// `USER_NOT_FOUND`.
    pub async fn account(&self, id: UserId) -> Result<Account, Fault> {
        let account = self.stores.users.user(id).await?;
        account.ok_or_else(not_found)
    }

    /// Changes an account. All its sessions end if it is disabled or gets another role.
    ///
    /// # Errors
    /// `USER_NOT_FOUND`; `LAST_ADMIN` if no admin who can sign in would be left.
    pub async fn administer(
        &self,
        caller: &Principal,
        id: UserId,
        change: AccountChange,
    ) -> Result<Account, Fault> {
        self.administer_as(&actor(caller), id, change).await
    }

    /// The same, for somebody who need not be an admin.
    pub(super) async fn administer_as(
        &self,
        actor: &Actor,
        id: UserId,
        change: AccountChange,
    ) -> Result<Account, Fault> {
        let now = self.clock.now();
        let done = self.stores.users.administer(id, |before| {
            let after = before.changed(change, now)?;
            let events = events(before, &after, actor, now);
            Some((after, events))
        });
        let (account, ended) = match done.await? {
            Administered::Unknown => return Err(not_found()),
            Administered::LastAdmin => return Err(last_admin()),
            Administered::EmailTaken => return Err(refused(InsertUserError::EmailTaken)),
            Administered::Changed { before, after } => {
                self.wake.wake(id.0);
                let cut = after.ended_sessions;
                let cut = cut.filter(|_| cut != before.ended_sessions);
                (after, cut.map(|cut| cut.why))
            }
            // The process that disabled it may have ended before it got to all sessions.
            Administered::Unchanged(account) => {
                let disabled = account.user.is_disabled();
                (account, disabled.then_some(EndReason::AccountDisabled))
            }
        };
        if let Some(why) = ended {
            self.sessions.end_all(id, None, why, actor).await?;
        }
        Ok(account)
    }
}

/// The receipt of a request that creates this account.
fn receipt(repeatable: Option<&Repeatable>, user: &User) -> Option<Receipt> {
    repeatable.map(|repeatable| repeatable.receipt(user.id.0.into(), user.created_at))
}

/// The events about a change of an account.
fn events(before: &Account, after: &Account, actor: &Actor, now: Timestamp) -> Vec<Event> {
    let (user, revision) = (&after.user, after.revision);
    let (user_id, username) = (user.id.0, user.username.to_string());
    let (role, disabled) = (role_in_events(user.role), user.is_disabled());
    let mut events = Vec::new();
    if before.user.role != user.role {
        let payload = UserRoleChangedEvent {
            user_id,
            username: username.clone(),
            role,
            disabled,
            revision,
            changes: vec![FieldChange {
                field: "role".to_owned(),
                from: json!(role_in_events(before.user.role)),
                to: json!(role),
            }],
        };
        events.push(event(&payload, user, actor, now));
    }
    match (before.user.is_disabled(), disabled) {
        (false, true) => {
            let payload = UserDisabledEvent {
                user_id,
                username,
                role,
                revision,
            };
            events.push(event(&payload, user, actor, now));
        }
        (true, false) => {
            let payload = UserEnabledEvent {
                user_id,
                username,
                role,
                revision,
            };
            events.push(event(&payload, user, actor, now));
        }
        _ => {}
    }
    events
}

pub(super) fn not_found() -> Fault {
    Fault::new(
        Kind::NotFound,
        "USER_NOT_FOUND",
        "There is no account with this id.",
    )
}

fn last_admin() -> Fault {
    Fault::new(
        Kind::Conflict,
        LAST_ADMIN,
        "This is the last admin who can sign in. Make somebody else an admin first.",
    )
}
