//! Tokens for programs: sessions that a user starts for a program, with a name, a scope and a fixed
//! end.
//!
//! They are sessions so that they end like sessions: each process learns of it within two seconds,
//! and a change of the password ends them. Their secret never changes, because a program often
//! cannot store another one.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use slipway_bus::{Actor, Event, event::Origin};
use slipway_proto::events::{self as payload, TokenCreatedEvent, TokenRevokedEvent};
use slipway_rpc::{
    access::{Principal, Scope, Token, TokenError},
    error::{Fault, FieldError, Kind},
    page::Page,
};
use slipway_runtime::text::{check_line, comparable_line, is_blank, kept_line};

use super::{
    EndReason, Lifetimes, Place, SecretRefusal, Session, SessionId, SessionKind, Sessions, later,
    secret::Secret,
    service::{end_reason, session_ended},
};
use crate::{
    SERVICE,
    identity::UserId,
    metrics as m,
    sessions::actor,
    store::{InsertTokenError, StoreError},
};

/// Tokens that an account can have at the same time.
pub const MAX_TOKENS: u32 = 50;

/// Characters of a name.
const MAX_NAME: usize = 80;

/// How long a token lasts unless its owner says otherwise.
const DEFAULT_LIFE: SignedDuration = SignedDuration::from_hours(90 * 24);

/// How long a token lasts at most.
const MAX_LIFE: SignedDuration = SignedDuration::from_hours(366 * 24);

/// What a session of a program has in addition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Program {
    /// The name that its owner gave it.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// Its place among the tokens of its owner, below [`MAX_TOKENS`]. No two have the same, so that
    /// there are never more.
    pub slot: u32,
    /// When it was last exchanged, to within a minute.
    pub last_used_at: Option<Timestamp>,
}

impl Program {
    /// The form of the name in which two are compared.
    #[must_use]
    pub fn name_key(&self) -> String {
        name_key(&self.name)
    }
}

fn name_key(name: &str) -> String {
    comparable_line(name).to_lowercase()
}

/// A token that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenDraft {
    name: String,
    scope: Scope,
    expires_at: Timestamp,
}

impl TokenDraft {
    /// A token as asked for at `now`.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, with every field that is wrong.
    pub fn new(
        name: &str,
        scope: Option<Scope>,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        let mut wrong = Vec::new();
        let mut refuse = |field: &str, message: String| {
            wrong.push(FieldError {
                field: field.to_owned(),
                message,
            });
        };
        let name = kept_line(name);
        if is_blank(&name) || name.chars().count() > MAX_NAME {
            refuse("name", format!("must be 1 to {MAX_NAME} characters"));
        } else if let Err(message) = check_line(&name) {
            refuse("name", message.to_owned());
        }
        if scope.is_none() {
            refuse("scope", "must be READ, WORK or ADMIN".to_owned());
        }
        let expires_at = expires_at.unwrap_or_else(|| later(now, DEFAULT_LIFE));
        if expires_at <= now {
            refuse("expires_at", "must be in the future".to_owned());
        } else if expires_at > later(now, MAX_LIFE) {
            let days = MAX_LIFE.as_hours() / 24;
            refuse("expires_at", format!("must be at most {days} days away"));
        }
        match scope {
            Some(scope) if wrong.is_empty() => Ok(Self {
                name,
                scope,
                expires_at,
            }),
            _ => Err(Fault::invalid(wrong)),
        }
    }
}

/// A token that was created, with its text, which is not stored.
pub struct CreatedToken {
    /// The token.
    pub session: Session,
    /// Its text.
    pub secret: String,
}

impl Session {
    /// Begins a session of a program, in the first slot that is not taken.
    fn of_program(
        user: UserId,
        draft: &TokenDraft,
        slot: u32,
        secret: &Secret,
        now: Timestamp,
        last: Lifetimes,
    ) -> Self {
        let program = Program {
            name: draft.name.clone(),
            scope: draft.scope,
            slot,
            last_used_at: None,
        };
        Self {
            program: Some(program),
            expires_at: draft.expires_at,
            ..Self::begin(
                SessionKind::Program,
                user,
                secret,
                Place::default(),
                now,
                last,
            )
        }
    }
}

impl Sessions {
    /// Creates a token for a program of the caller.
    ///
    /// # Errors
    /// `TOKEN_NAME_TAKEN`, `TOO_MANY_TOKENS`; `SESSION_ENDED` if the caller's session has ended,
    /// which this process may not have known.
    pub async fn create_token(
        &self,
        caller: &Principal,
        draft: &TokenDraft,
    ) -> Result<CreatedToken, Fault> {
        let user = UserId(caller.user_id);
        let secret = Secret::generate();
        let session = self.insert_token(caller, user, draft, &secret).await?;
        metrics::counter!(m::SESSIONS_STARTED, "kind" => session.kind.label()).increment(1);
        self.wake.wake(user.0);
        // Afterwards, because a session that ends meanwhile ends only the tokens that there are.
        if let Err(fault) = self.still_signed_in(caller).await {
            let why = EndReason::Revoked;
            self.end(&session, why, &Actor::System).await?;
            return Err(fault);
        }
        Ok(CreatedToken {
            secret: secret.text(session.kind),
            session,
        })
    }

    async fn insert_token(
        &self,
        caller: &Principal,
        user: UserId,
        draft: &TokenDraft,
        secret: &Secret,
    ) -> Result<Session, Fault> {
        let key = name_key(&draft.name);
        // Each attempt fails only because another request has taken a slot.
        for _ in 0..MAX_TOKENS {
            let tokens = self.store.tokens(user, None, MAX_TOKENS).await?.items;
            let programs = tokens.iter().filter_map(|token| token.program.as_ref());
            if programs.clone().any(|other| other.name_key() == key) {
                return Err(name_taken());
            }
            let taken: HashSet<_> = programs.map(|other| other.slot).collect();
            let Some(slot) = (0..MAX_TOKENS).find(|slot| !taken.contains(slot)) else {
                return Err(too_many());
            };
            let (now, last) = (self.clock.now(), self.lifetimes());
            let session = Session::of_program(user, draft, slot, secret, now, last);
            let event = created(&session, draft, &actor(caller));
            match self.store.insert_token(&session, event).await {
                Ok(()) => return Ok(session),
                Err(InsertTokenError::NameTaken) => return Err(name_taken()),
                Err(InsertTokenError::SlotTaken) => {}
                Err(InsertTokenError::Store(error)) => return Err(error.into()),
            }
        }
        Err(Fault::contended("list of tokens"))
    }

    /// Checks that the caller's session has not ended.
    async fn still_signed_in(&self, caller: &Principal) -> Result<(), Fault> {
        let Some(id) = caller.session_id else {
            return Ok(());
        };
        let session = self.store.get(SessionId(id)).await?;
        let session = session.filter(|session| session.ended.is_none());
        self.user(&session.ok_or_else(session_ended)?).await?;
        Ok(())
    }

    /// A page of the tokens of a user that are not revoked, newest first.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn tokens(
        &self,
        user: UserId,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Page<Session, SessionId>, StoreError> {
        self.store.tokens(user, after, limit).await
    }

    /// Revokes a token of the caller.
    ///
    /// # Errors
    /// `TOKEN_NOT_FOUND` if the caller has no such token.
    pub async fn revoke_token(&self, caller: &Principal, id: SessionId) -> Result<(), Fault> {
        let user = UserId(caller.user_id);
        let token = self.store.get(id).await?;
        let own = token
            .filter(|token| token.user == user && token.ended.is_none() && token.program.is_some());
        let token = own.ok_or_else(|| {
            Fault::new(
                Kind::NotFound,
                "TOKEN_NOT_FOUND",
                "You have no token with this id.",
            )
        })?;
        Ok(self.end(&token, EndReason::Revoked, &actor(caller)).await?)
    }

    /// Exchanges the text of a token for an access token.
    ///
    /// # Errors
    /// `INVALID_TOKEN`, `TOKEN_REVOKED`, `TOKEN_EXPIRED`, `TOO_MANY_ATTEMPTS`.
    pub async fn exchange_token(&self, text: &str, place: Place) -> Result<Token, Fault> {
        let address = place.address;
        let refused = match self.exchanged(SessionKind::Program, text, place).await? {
            Ok(session) => {
                let user = self.user(&session).await?;
                return self.token(&user, &session);
            }
            Err(refused) => refused,
        };
        Err(match refused {
            SecretRefusal::Ended => TokenError::Revoked.into(),
            SecretRefusal::Expired => Fault::new(
                Kind::Unauthenticated,
                "TOKEN_EXPIRED",
                "The token has expired. Create another one.",
            ),
            SecretRefusal::Unknown | SecretRefusal::Superseded | SecretRefusal::Reused => {
                let (code, text) = ("INVALID_TOKEN", "The token is not valid.");
                let refusal = self.refusal(SecretRefusal::Unknown, code, text, address);
                refusal.await?
            }
        })
    }
}

fn name_taken() -> Fault {
    Fault::new(
        Kind::AlreadyExists,
        "TOKEN_NAME_TAKEN",
        "You have another token with this name. Revoke it first, or choose another name.",
    )
}

fn too_many() -> Fault {
    Fault::new(
        Kind::Conflict,
        "TOO_MANY_TOKENS",
        format!("You have {MAX_TOKENS} tokens, which is the limit. Revoke one first."),
    )
    .fact("limit", MAX_TOKENS)
}

fn created(session: &Session, draft: &TokenDraft, actor: &Actor) -> Event {
    let payload = TokenCreatedEvent {
        token_id: session.id.0,
        user_id: session.user.0,
        name: draft.name.clone(),
        scope: match draft.scope {
            Scope::Read => payload::TokenScope::Read,
            Scope::Work => payload::TokenScope::Work,
            Scope::Admin => payload::TokenScope::Admin,
        },
        expires_at: draft.expires_at,
    };
    Event::new(&payload, &origin(session, actor, session.created_at))
}

/// The event of the end of a token.
pub(super) fn revoked(
    session: &Session,
    program: &Program,
    why: EndReason,
    actor: &Actor,
    at: Timestamp,
) -> Event {
    let payload = TokenRevokedEvent {
        token_id: session.id.0,
        user_id: session.user.0,
        name: program.name.clone(),
        reason: end_reason(why),
    };
    Event::new(&payload, &origin(session, actor, at))
}

fn origin<'a>(session: &Session, actor: &'a Actor, time: Timestamp) -> Origin<'a> {
    Origin {
        service: SERVICE,
        key: session.user.0,
        subject: session.id.0,
        actor,
        time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const LAST: Lifetimes = Lifetimes {
        session: SignedDuration::from_hours(1),
        token: SignedDuration::from_mins(15),
    };

    fn after(seconds: i64) -> Timestamp {
        NOW + SignedDuration::from_secs(seconds)
    }

    fn draft(name: &str, expires_at: Option<Timestamp>) -> Result<TokenDraft, Fault> {
        TokenDraft::new(name, Some(Scope::Work), expires_at, NOW)
    }

    #[test]
    fn a_token_has_a_name_a_scope_and_an_end_in_bounds() {
        let made = draft("  nightly build ", None).unwrap();
        assert_eq!(made.name, "nightly build");
        assert_eq!(made.expires_at, NOW + DEFAULT_LIFE);
        assert!(draft(&"é".repeat(MAX_NAME), Some(NOW + MAX_LIFE)).is_ok());
        let late = NOW + MAX_LIFE + SignedDuration::from_secs(1);
        for (name, expires_at, field) in [
            ("", None, "name"),
            ("\u{200b}", None, "name"),
            ("a\nb", None, "name"),
            (&*"é".repeat(MAX_NAME + 1), None, "name"),
            ("a", Some(NOW), "expires_at"),
            ("a", Some(late), "expires_at"),
        ] {
            let refused = draft(name, expires_at).unwrap_err();
            let fields: Vec<_> = refused.fields.iter().map(|wrong| &*wrong.field).collect();
            assert_eq!(fields, [field], "{name:?}");
        }
        let refused = TokenDraft::new("", None, Some(NOW), NOW).unwrap_err();
        assert_eq!(refused.fields.len(), 3);
    }

    #[test]
    fn a_token_is_noted_as_used_once_a_minute_until_it_expires() {
        let secret = Secret::generate();
        let draft = draft("ci", Some(after(3600))).unwrap();
        let token = Session::of_program(UserId::generate(), &draft, 0, &secret, NOW, LAST);
        let exchange = |token: &Session, secret: &Secret, at| {
            let kind = SessionKind::Program;
            token.exchange(kind, secret, Place::default(), after(at), LAST)
        };
        let used_at = |token: &Session| token.program.as_ref().unwrap().last_used_at;
        assert_eq!(used_at(&token), None);
        let used = exchange(&token, &secret, 1).unwrap().unwrap();
        assert_eq!(used_at(&used), Some(after(1)));
        assert_eq!(exchange(&used, &secret, 60).unwrap(), None);
        let used = exchange(&used, &secret, 61).unwrap().unwrap();
        assert_eq!(used_at(&used), Some(after(61)));
        assert_eq!(used.expires_at, token.expires_at);
        // Its access tokens are known to end when it is revoked later.
        assert_eq!(used.tokens_until, after(61) + LAST.token);

        let wrong = exchange(&used, &secret.next(), 62);
        assert_eq!(wrong.unwrap_err(), SecretRefusal::Unknown);
        let late = exchange(&used, &secret, 3600);
        assert_eq!(late.unwrap_err(), SecretRefusal::Expired);
    }
}
