//! Sessions: what a sign-in begins, and what ends when somebody signs out. Pure.
//!
//! A client of the API has an access token of minutes and a refresh token, which it exchanges for
//! the next pair. Each refresh token works once. If an older one comes again, two clients have the
//! session, one of which stole it: nobody can tell which, so the session ends. A browser has a
//! cookie whose secret stays the same, because scripts cannot read it.
//!
//! | to find | look in |
//! | --- | --- |
//! | the text of refresh tokens and cookies | [`secret`] |
//! | what a sign-in, a refresh and a sign-out do | `service` |
//! | the tokens of programs, which are sessions with a name and a scope | [`programs`] |
//! | how other replicas and processes learn of an end | `feed` |

mod feed;
pub mod programs;
pub mod secret;
pub(crate) mod service;
#[cfg(test)]
mod tests;

pub(crate) use feed::EndedFeed;
pub(crate) use service::actor;
pub use service::{Sessions, SignedIn, StartedBrowser};

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use slipway_runtime::{
    text::{clean_line, shortened},
    typed_id,
};

use self::{
    programs::Program,
    secret::{Digest, Secret},
};
use crate::identity::UserId;

typed_id!(
    /// Identifies a session.
    SessionId
);

/// Sessions that an account can have at the same time.
pub const MAX_LIVE: u32 = 100;

/// How long the refresh token before the last is answered without ending the session: two requests
/// of one client may refresh at the same time.
pub const REFRESH_GRACE: SignedDuration = SignedDuration::from_secs(10);

/// How exact the time is at which a browser's session was last seen.
const SEEN_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// How much longer an ended session is known than a token of it may last: a token may be issued
/// while the session ends, and clocks of replicas differ.
pub(crate) const MARGIN: SignedDuration = SignedDuration::from_secs(60);

/// Characters of what a client calls itself.
const MAX_AGENT: usize = 200;

/// The kind of client that a session is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SessionKind {
    /// A program with tokens.
    Api,
    /// A browser with a cookie.
    Browser,
    /// A program with a token for programs.
    Program,
}

impl SessionKind {
    /// Its name in metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Browser => "browser",
            Self::Program => "program",
        }
    }
}

/// Where a session is used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// What the client calls itself; empty if it does not.
    pub user_agent: String,
    /// The client's network address, if it is known.
    pub address: Option<IpAddr>,
}

impl Place {
    /// The place of a client. Its name for itself is cleaned and shortened.
    #[must_use]
    pub fn new(user_agent: Option<&str>, address: Option<IpAddr>) -> Self {
        let user_agent = clean_line(user_agent.unwrap_or_default());
        Self {
            user_agent: shortened(&user_agent, MAX_AGENT).into_owned(),
            address,
        }
    }
}

/// Why a session has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EndReason {
    /// Its client signed out.
    Logout,
    /// The user ended it from another session.
    Revoked,
    /// An old refresh token came again.
    RefreshReused,
    /// The account had too many sessions, and this one was not used for the longest time.
    TooMany,
    /// The account got another password.
    PasswordChanged,
    /// The account got another role.
    RoleChanged,
    /// The account was disabled.
    AccountDisabled,
}

impl EndReason {
    /// Its name in metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Revoked => "revoked",
            Self::RefreshReused => "refresh_reused",
            Self::TooMany => "too_many",
            Self::PasswordChanged => "password_changed",
            Self::RoleChanged => "role_changed",
            Self::AccountDisabled => "account_disabled",
        }
    }
}

/// The end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When it ended.
    pub at: Timestamp,
    /// Why.
    pub why: EndReason,
    /// From then on no token of it can be valid.
    pub until: Timestamp,
}

/// How long sessions and their tokens last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// A session without a refresh.
    pub session: SignedDuration,
    /// An access token.
    pub token: SignedDuration,
}

/// A secret that another one has replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Replaced {
    digest: Digest,
    at: Timestamp,
}

/// A session. Secrets are stored as digests only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Its identity.
    pub id: SessionId,
    /// One more with every change.
    pub revision: u64,
    /// Whose it is.
    pub user: UserId,
    /// The kind of client.
    pub kind: SessionKind,
    /// Where it was seen last.
    pub place: Place,
    /// When the user signed in.
    pub created_at: Timestamp,
    /// The last sign-in, refresh or exchange.
    pub last_seen_at: Timestamp,
    /// When it expires, unless it is refreshed before. A token for programs is not refreshed.
    pub expires_at: Timestamp,
    /// When the last of its tokens expires. Tokens may have been issued with another lifetime than
    /// that of today.
    pub tokens_until: Timestamp,
    /// How often it was refreshed.
    pub generation: u64,
    /// The part that all its secrets share: who knows it had one of them.
    family: Digest,
    /// The part of the secret that counts.
    current: Digest,
    /// The part that counted before.
    previous: Option<Replaced>,
    /// Its end, if it has ended.
    pub ended: Option<End>,
    /// What a session of a program has in addition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Program>,
}

/// Why a secret is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretRefusal {
    /// It never was a secret of the session.
    Unknown,
    /// The session has ended.
    Ended,
    /// The session was not used for too long.
    Expired,
    /// It was replaced within [`REFRESH_GRACE`].
    Superseded,
    /// It was replaced before that: somebody uses a copy.
    Reused,
}

impl Session {
    /// Begins a session with `secret` at `now`.
    #[must_use]
    pub fn begin(
        kind: SessionKind,
        user: UserId,
        secret: &Secret,
        place: Place,
        now: Timestamp,
        last: Lifetimes,
    ) -> Self {
        Self {
            id: secret.session,
            revision: 1,
            user,
            kind,
            place,
            created_at: now,
            last_seen_at: now,
            expires_at: later(now, last.session),
            tokens_until: later(now, last.token),
            generation: 0,
            family: secret.family(),
            current: secret.current(),
            previous: None,
            ended: None,
            program: None,
        }
    }

    /// Whether it has neither ended nor expired.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now < self.expires_at
    }

    /// Accepts `secret` and replaces it by `next`.
    ///
    /// # Errors
    /// Why it is not accepted. [`SecretRefusal::Reused`] must end the session.
    pub fn refresh(
        &self,
        secret: &Secret,
        next: &Secret,
        place: Place,
        now: Timestamp,
        last: Lifetimes,
    ) -> Result<Self, SecretRefusal> {
        self.accept(SessionKind::Api, secret, now)?;
        Ok(Self {
            revision: self.revision + 1,
            place,
            last_seen_at: now,
            expires_at: later(now, last.session),
            tokens_until: self.tokens_until.max(later(now, last.token)),
            generation: self.generation + 1,
            current: next.current(),
            previous: Some(Replaced {
                digest: self.current.clone(),
                at: now,
            }),
            ..self.clone()
        })
    }

    /// Accepts the secret of a browser or a program. Returns the changed session if it was not seen
    /// for a while.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn exchange(
        &self,
        kind: SessionKind,
        secret: &Secret,
        place: Place,
        now: Timestamp,
        last: Lifetimes,
    ) -> Result<Option<Self>, SecretRefusal> {
        self.accept(kind, secret, now)?;
        let tokens_until = self.tokens_until.max(later(now, last.token));
        let seen_at = match &self.program {
            Some(program) => program.last_used_at,
            None => Some(self.last_seen_at),
        };
        let is_recent = seen_at.is_some_and(|at| now.duration_since(at) < SEEN_EVERY);
        // What is not noted of the token is within the margin.
        if is_recent && tokens_until.duration_since(self.tokens_until) < MARGIN {
            return Ok(None);
        }
        Ok(Some(Self {
            revision: self.revision + 1,
            place,
            last_seen_at: now,
            tokens_until,
            program: self.program.as_ref().map(|program| Program {
                last_used_at: Some(now),
                ..program.clone()
            }),
            ..self.clone()
        }))
    }

    /// Ends the session; `None` if it has ended already. The end is known at least until the last
    /// token of the session has expired.
    #[must_use]
    pub fn end(&self, end: End) -> Option<Self> {
        let until = end.until.max(later(self.tokens_until, MARGIN));
        self.ended.is_none().then(|| Self {
            revision: self.revision + 1,
            ended: Some(End { until, ..end }),
            ..self.clone()
        })
    }

    fn accept(
        &self,
        kind: SessionKind,
        secret: &Secret,
        now: Timestamp,
    ) -> Result<(), SecretRefusal> {
        if self.kind != kind || !self.family.is_of(&secret.family()) {
            return Err(SecretRefusal::Unknown);
        }
        if self.ended.is_some() {
            return Err(SecretRefusal::Ended);
        }
        if now >= self.expires_at {
            return Err(SecretRefusal::Expired);
        }
        let part = secret.current();
        if self.current.is_of(&part) {
            return Ok(());
        }
        match &self.previous {
            Some(Replaced { digest, at })
                if digest.is_of(&part) && now.duration_since(*at) < REFRESH_GRACE =>
            {
                Err(SecretRefusal::Superseded)
            }
            // The secret of a browser or a program is never replaced.
            _ if kind != SessionKind::Api => Err(SecretRefusal::Unknown),
            _ => Err(SecretRefusal::Reused),
        }
    }
}

pub(crate) fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}
