//! The account model: valid names, addresses and passwords, and the limits on sign-ins and
//! registrations; links in mails.

pub mod credentials;
pub mod links;
mod new_password;
pub mod password;
pub mod quota;
pub mod throttle;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_rpc::access::Role;
use slipway_runtime::typed_id;

use self::links::Link;
use crate::{
    provider::person::Subject,
    sessions::{EndReason, Session, SessionId},
};
pub use credentials::{DisplayName, Email, Username};
pub use new_password::NewPassword;

typed_id!(
    /// Identifies an account.
    UserId
);

/// A reference to a user: id and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserRef {
    /// The account's id.
    pub id: UserId,
    /// The name as registered.
    pub username: String,
}

/// Whether an account can be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UserState {
    /// It can sign in.
    #[default]
    Active,
    /// An admin has disabled it: it cannot sign in, and gets no new tasks.
    Disabled,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Its identity.
    pub id: UserId,
    /// Unique without regard to case.
    pub username: Username,
    /// Unique without regard to case.
    pub email: Email,
    /// What it may do: developer or admin.
    pub role: Role,
    /// When it was created.
    pub created_at: Timestamp,
    /// Whether it can be used.
    #[serde(default)]
    pub state: UserState,
    /// Whether it was invited and has no password yet.
    #[serde(default)]
    pub invited: bool,
    /// What people call the user, if the user has said.
    #[serde(default)]
    pub display_name: Option<DisplayName>,
}

impl User {
    /// A new account.
    #[must_use]
    pub fn new(username: Username, email: Email, role: Role, now: Timestamp) -> Self {
        Self {
            id: UserId::generate(),
            username,
            email,
            role,
            created_at: now,
            state: UserState::Active,
            invited: false,
            display_name: None,
        }
    }

    /// The same, to be invited by mail.
    #[must_use]
    pub fn invited(self) -> Self {
        Self {
            invited: true,
            ..self
        }
    }

    /// Whether an admin has disabled it.
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        self.state == UserState::Disabled
    }

    /// The reference to this user.
    #[must_use]
    pub fn to_ref(&self) -> UserRef {
        UserRef {
            id: self.id,
            username: self.username.to_string(),
        }
    }
}

/// The user who gives a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct By {
    /// The account.
    pub user: UserId,
    /// Its role.
    pub role: Role,
}

impl By {
    /// Whether it is an admin.
    #[must_use]
    pub fn is_admin(self) -> bool {
        self.role == Role::Admin
    }
}

/// An account, with what proves that somebody is its owner.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The account.
    pub user: User,
    /// One more with every change.
    #[serde(default = "first_revision")]
    pub revision: u64,
    /// Argon2id, in PHC format; `None` if nobody can sign in with a password.
    pub password_hash: Option<String>,
    /// The user of an identity provider who is its owner. No two accounts have the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Subject>,
    /// The sessions that ended with the last change that ends sessions.
    #[serde(default)]
    pub ended_sessions: Option<SessionsCut>,
    /// The links that were mailed, or will be.
    #[serde(default)]
    pub links: Vec<Link>,
}

/// All sessions of an account that began before a time, except perhaps one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionsCut {
    /// The time.
    pub before: Timestamp,
    /// The session that is none of them.
    pub except: Option<SessionId>,
    /// Why they ended.
    #[serde(default = "password_changed")]
    pub why: EndReason,
    /// Of tokens for programs only those are, that were created before this time; `None`: as of all
    /// others.
    #[serde(default)]
    pub programs_before: Option<Timestamp>,
}

/// Of accounts that were stored when nothing else ended all sessions.
fn password_changed() -> EndReason {
    EndReason::PasswordChanged
}

/// What an admin changes of an account; `None` stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// The role.
    pub role: Option<Role>,
    /// Whether it is disabled.
    pub disabled: Option<bool>,
}

/// Of accounts that were stored before accounts could change.
fn first_revision() -> u64 {
    1
}

impl Account {
    /// A new account.
    #[must_use]
    pub fn new(user: User, password_hash: Option<String>) -> Self {
        Self {
            user,
            revision: first_revision(),
            password_hash,
            provider: None,
            ended_sessions: None,
            links: Vec::new(),
        }
    }

    /// A new account of a user of an identity provider, without a password.
    #[must_use]
    pub fn of_provider(user: User, subject: Subject) -> Self {
        Self {
            provider: Some(subject),
            ..Self::new(user, None)
        }
    }

    /// The account with another password. Its links and its sessions end, except `keep`; with
    /// `programs` also its tokens for programs.
    #[must_use]
    pub fn with_password(
        &self,
        hash: String,
        keep: Option<SessionId>,
        programs: bool,
        now: Timestamp,
    ) -> Self {
        let mut after = self.touched();
        after.password_hash = Some(hash);
        after.user.invited = false;
        after.links.clear();
        after.ended_sessions = Some(SessionsCut {
            before: now,
            except: keep,
            why: EndReason::PasswordChanged,
            programs_before: (!programs).then(|| self.programs_end_before()),
        });
        after
    }

    /// The time before which tokens for programs were created that have ended with a change of the
    /// account.
    fn programs_end_before(&self) -> Timestamp {
        let cut = self.ended_sessions;
        cut.map_or(Timestamp::MIN, |cut| {
            cut.programs_before.unwrap_or(cut.before)
        })
    }

    /// Whether the owner of its address may set its password. Whoever signs in without one has none
    /// to forget.
    #[must_use]
    pub fn takes_password(&self) -> bool {
        !self.user.is_disabled() && (self.password_hash.is_some() || self.user.invited)
    }

    /// The account after a change by an admin; `None` if that changes nothing. All sessions end if
    /// the account is disabled or gets another role: their tokens name the role.
    #[must_use]
    pub fn changed(&self, change: AccountChange, now: Timestamp) -> Option<Self> {
        let mut after = self.touched();
        after.user.role = change.role.unwrap_or(self.user.role);
        after.user.state = match change.disabled {
            None => self.user.state,
            Some(true) => UserState::Disabled,
            Some(false) => UserState::Active,
        };
        if after.user == self.user {
            return None;
        }
        let why = match after.user.is_disabled() && !self.user.is_disabled() {
            true => Some(EndReason::AccountDisabled),
            false => (after.user.role != self.user.role).then_some(EndReason::RoleChanged),
        };
        if let Some(why) = why {
            after.ended_sessions = Some(SessionsCut {
                before: now,
                except: None,
                why,
                programs_before: None,
            });
        }
        if after.user.is_disabled() {
            after.links.clear();
        }
        Some(after)
    }

    /// The same account at the next revision: whoever has read the earlier one must read it again.
    #[must_use]
    pub fn touched(&self) -> Self {
        Self {
            revision: self.revision + 1,
            ..self.clone()
        }
    }

    /// Whether it is an admin who can sign in.
    #[must_use]
    pub fn is_acting_admin(&self) -> bool {
        self.user.role == Role::Admin && self.user.state == UserState::Active && !self.user.invited
    }

    /// Why a session has ended with a change of the account; `None` if it has not.
    #[must_use]
    pub fn has_ended(&self, session: &Session) -> Option<EndReason> {
        let cut = self.ended_sessions?;
        let before = match session.program {
            Some(_) => self.programs_end_before(),
            None => cut.before,
        };
        let is_cut = session.created_at < before && cut.except != Some(session.id);
        is_cut.then_some(cut.why)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.user.fmt(f)
    }
}
