//! Starts, refreshes, lists and ends sessions.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use slipway_bus::{Actor, Event, event::Origin};
use slipway_proto::events::{SessionEndReason, SessionEndedEvent};
use slipway_rpc::{
    access::{
        EndedSession, EndedSessions, Issuer, Principal, SessionClaim, Token, TokenError,
        accounts::gone,
    },
    error::{Fault, Kind},
    page::Page,
};
use slipway_runtime::clock::SharedClock;
use slipway_store::outbox::Wake;

use super::{
    End, EndReason, Lifetimes, MARGIN, Place, SecretRefusal, Session, SessionId, SessionKind,
    later,
    programs::{MAX_TOKENS, revoked},
    secret::Secret,
};
use crate::{
    SERVICE,
    accounts::throttled,
    identity::{
        User, UserId,
        throttle::{self, MAX_ADDRESS_FAILURES, Subject, WINDOW},
    },
    metrics as m,
    store::{SessionStore, StoreError, UserStore},
};

/// Sessions.
pub struct Sessions {
    pub(crate) store: SessionStore,
    pub(crate) users: UserStore,
    pub(crate) issuer: Issuer,
    /// How long a session lasts without a refresh.
    pub(crate) ttl: SignedDuration,
    pub(crate) ended: EndedSessions,
    pub(crate) clock: SharedClock,
    pub(crate) wake: Wake,
}

/// What a client of the API gets when it signs in, and with each refresh.
pub struct SignedIn {
    /// The account.
    pub user: User,
    /// The session.
    pub session: Session,
    /// The access token.
    pub token: Token,
    /// The text of the refresh token.
    pub refresh_token: String,
}

/// What a browser gets when it signs in.
pub struct StartedBrowser {
    /// The account.
    pub user: User,
    /// The session.
    pub session: Session,
    /// The value of the cookie.
    pub cookie: String,
}

impl Sessions {
    /// Starts a session of a client of the API, for a user who has proven to be one.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn start(&self, user: User, place: Place) -> Result<SignedIn, Fault> {
        let (session, secret) = self.begin(SessionKind::Api, &user, place).await?;
        self.signed_in(user, session, &secret)
    }

    /// Starts a session of a browser, for a user who has proven to be one.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn start_browser(&self, user: User, place: Place) -> Result<StartedBrowser, Fault> {
        let (session, secret) = self.begin(SessionKind::Browser, &user, place).await?;
        Ok(StartedBrowser {
            cookie: secret.text(session.kind),
            user,
            session,
        })
    }

    /// Exchanges a refresh token for the next pair of tokens.
    ///
    /// # Errors
    /// `INVALID_REFRESH_TOKEN`, `REFRESH_SUPERSEDED`, `REFRESH_REUSED`, `SESSION_ENDED`,
    /// `SESSION_EXPIRED`, `TOO_MANY_ATTEMPTS`.
    pub async fn refresh(&self, token: &str, place: Place) -> Result<SignedIn, Fault> {
        let refused = match self.try_refresh(token, &place).await? {
            Ok(signed_in) => {
                count_refresh("ok");
                return Ok(signed_in);
            }
            Err(refused) => refused,
        };
        count_refresh(match refused {
            SecretRefusal::Unknown => "invalid",
            SecretRefusal::Ended => "ended",
            SecretRefusal::Expired => "expired",
            SecretRefusal::Superseded => "superseded",
            SecretRefusal::Reused => "reused",
        });
        let code = "INVALID_REFRESH_TOKEN";
        let text = "The refresh token is not valid. Sign in again.";
        Err(self.refusal(refused, code, text, place.address).await?)
    }

    async fn try_refresh(
        &self,
        token: &str,
        place: &Place,
    ) -> Result<Result<SignedIn, SecretRefusal>, Fault> {
        let Some(secret) = Secret::parse(SessionKind::Api, token) else {
            return Ok(Err(SecretRefusal::Unknown));
        };
        let (next, now) = (secret.next(), self.clock.now());
        let (mut refused, mut owner) = (SecretRefusal::Unknown, None);
        let refreshed = self.store.update(secret.session, |before| {
            let before = before?;
            owner = Some(before.user);
            let refresh = before.refresh(&secret, &next, place.clone(), now, self.lifetimes());
            refresh.map_err(|why| refused = why).ok()
        });
        if let Some(session) = refreshed.await? {
            let user = self.user(&session).await?;
            return self.signed_in(user, session, &next).map(Ok);
        }
        if let (SecretRefusal::Reused, Some(user)) = (refused, owner) {
            tracing::warn!(
                session = %secret.session,
                "AN OLD REFRESH TOKEN WAS USED: somebody may have stolen it. Its session has ended"
            );
            let why = EndReason::RefreshReused;
            self.end_one(secret.session, user, why, &Actor::System)
                .await?;
        }
        Ok(Err(refused))
    }

    /// Exchanges the secret of a browser's session for an access token.
    ///
    /// # Errors
    /// `INVALID_SESSION`, `SESSION_ENDED`, `SESSION_EXPIRED`, `TOO_MANY_ATTEMPTS`.
    pub async fn exchange(&self, cookie: &str, place: Place) -> Result<Token, Fault> {
        let address = place.address;
        let session = match self.exchanged(SessionKind::Browser, cookie, place).await? {
            Ok(session) => session,
            Err(refused) => {
                let text = "The cookie is of no session. Sign in again.";
                let code = "INVALID_SESSION";
                return Err(self.refusal(refused, code, text, address).await?);
            }
        };
        let user = self.user(&session).await?;
        self.token(&user, &session)
    }

    /// The session with this text of a secret, which stays the same.
    pub(super) async fn exchanged(
        &self,
        kind: SessionKind,
        text: &str,
        place: Place,
    ) -> Result<Result<Session, SecretRefusal>, Fault> {
        let Some(secret) = Secret::parse(kind, text) else {
            return Ok(Err(SecretRefusal::Unknown));
        };
        let now = self.clock.now();
        let mut outcome = Err(SecretRefusal::Unknown);
        let seen = self.store.update(secret.session, |before| {
            let before = before?;
            let last = self.lifetimes();
            let exchanged = before.exchange(kind, &secret, place.clone(), now, last);
            outcome = exchanged
                .as_ref()
                .map(|_| before.clone())
                .map_err(|why| *why);
            exchanged.ok().flatten()
        });
        seen.await?;
        Ok(outcome)
    }

    /// A page of the sessions of a user that have neither ended nor expired, newest first.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn list(
        &self,
        user: UserId,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Page<Session, SessionId>, StoreError> {
        let now = self.clock.now();
        let mut page = self.store.list(user, after, limit).await?;
        page.items.retain(|session| session.is_live(now));
        Ok(page)
    }

    /// Ends the session of the caller's token.
    ///
    /// # Errors
    /// `NO_SESSION` if the token has none.
    pub async fn log_out(&self, caller: &Principal) -> Result<(), Fault> {
        let session = caller.session_id.ok_or_else(|| {
            Fault::new(
                Kind::Conflict,
                "NO_SESSION",
                "The token was issued by an older version of Slipway, without a session. It ends \
                 when it expires.",
            )
        })?;
        // Another request may have ended it: what was asked for is true.
        let (id, user) = (SessionId(session), UserId(caller.user_id));
        let (why, actor) = (EndReason::Logout, actor(caller));
        self.end_one(id, user, why, &actor).await?;
        Ok(())
    }

    /// Ends one session of the caller.
    ///
    /// # Errors
    /// `SESSION_NOT_FOUND` if the caller has no such session.
    pub async fn revoke(&self, caller: &Principal, id: SessionId) -> Result<(), Fault> {
        let user = UserId(caller.user_id);
        let session = self.store.get(id).await?;
        let own = session.filter(|session| {
            session.user == user && session.ended.is_none() && session.program.is_none()
        });
        let not_found = || {
            Fault::new(
                Kind::NotFound,
                "SESSION_NOT_FOUND",
                "You have no session with this id.",
            )
        };
        own.ok_or_else(not_found)?;
        let (why, actor) = (EndReason::Revoked, actor(caller));
        self.end_one(id, user, why, &actor).await?;
        Ok(())
    }

    /// Ends all sessions of the caller.
    ///
    /// # Errors
    /// If the database is unavailable: then only some of them may have ended.
    pub async fn revoke_all(&self, caller: &Principal) -> Result<(), StoreError> {
        let user = UserId(caller.user_id);
        self.end_sign_ins(user, None, EndReason::Revoked, &actor(caller))
            .await
    }

    /// Ends all sessions of an account, except `keep`, and revokes its tokens for programs.
    ///
    /// # Errors
    /// If the database is unavailable: then only some of them may have ended.
    pub(crate) async fn end_all(
        &self,
        user: UserId,
        keep: Option<SessionId>,
        why: EndReason,
        actor: &Actor,
    ) -> Result<(), StoreError> {
        self.end_sign_ins(user, keep, why, actor).await?;
        // An account never has more.
        let tokens = self.store.tokens(user, None, MAX_TOKENS).await?;
        for token in &tokens.items {
            self.end(token, why, actor).await?;
        }
        Ok(())
    }

    /// Ends all sessions of an account, except `keep`, and none of its tokens for programs.
    ///
    /// # Errors
    /// If the database is unavailable: then only some of them may have ended.
    pub(crate) async fn end_sign_ins(
        &self,
        user: UserId,
        keep: Option<SessionId>,
        why: EndReason,
        actor: &Actor,
    ) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = self.store.list(user, after, super::MAX_LIVE).await?;
            for session in &page.items {
                if Some(session.id) != keep {
                    self.end_one(session.id, user, why, actor).await?;
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn begin(
        &self,
        kind: SessionKind,
        user: &User,
        place: Place,
    ) -> Result<(Session, Secret), Fault> {
        let secret = Secret::generate();
        let now = self.clock.now();
        let session = Session::begin(kind, user.id, &secret, place, now, self.lifetimes());
        self.store.insert(&session).await?;
        metrics::counter!(m::SESSIONS_STARTED, "kind" => kind.label()).increment(1);
        // Afterwards, so that of sign-ins at the same time the last one sees all of them.
        for id in self.store.excess(user.id, session.id).await? {
            let why = EndReason::TooMany;
            self.end_one(id, user.id, why, &Actor::System).await?;
        }
        Ok((session, secret))
    }

    /// Ends the session of a sign-in unless it has ended. Other processes learn of it by the
    /// [feed](super::feed).
    pub(crate) async fn end_one(
        &self,
        id: SessionId,
        user: UserId,
        why: EndReason,
        actor: &Actor,
    ) -> Result<(), StoreError> {
        let end = self.ending(why);
        let event = ended(id, user, end, actor);
        self.store_end(id, user, end, event).await
    }

    /// Ends any session, also one of a program, unless it has ended.
    pub(super) async fn end(
        &self,
        session: &Session,
        why: EndReason,
        actor: &Actor,
    ) -> Result<(), StoreError> {
        let (id, user, end) = (session.id, session.user, self.ending(why));
        let event = match &session.program {
            Some(program) => revoked(session, program, why, actor, end.at),
            None => ended(id, user, end, actor),
        };
        self.store_end(id, user, end, event).await
    }

    fn ending(&self, why: EndReason) -> End {
        let at = self.clock.now();
        let until = later(later(at, self.lifetimes().token), MARGIN);
        End { at, why, until }
    }

    async fn store_end(
        &self,
        id: SessionId,
        user: UserId,
        end: End,
        event: Event,
    ) -> Result<(), StoreError> {
        let session = self.store.end(id, end, event).await?;
        if let Some(end) = session.and_then(|session| session.ended) {
            metrics::counter!(m::SESSIONS_ENDED, "reason" => end.why.label()).increment(1);
            self.announce(id, end.until);
            self.wake.wake(user.0);
        }
        Ok(())
    }

    /// Adds a session that has ended to those that this process refuses.
    pub(super) fn announce(&self, id: SessionId, until: Timestamp) {
        self.ended
            .add(EndedSession { id: id.0, until }, self.clock.now());
    }

    pub(super) fn lifetimes(&self) -> Lifetimes {
        Lifetimes {
            session: self.ttl,
            token: SignedDuration::try_from(self.issuer.ttl()).unwrap_or(SignedDuration::MAX),
        }
    }

    /// The user of a session whose secret was accepted. A change of the account may have ended the
    /// session without having got to it.
    pub(super) async fn user(&self, session: &Session) -> Result<User, Fault> {
        let account = self.users.user(session.user).await?.ok_or_else(gone)?;
        let is_disabled = account.user.is_disabled();
        let disabled = is_disabled.then_some(EndReason::AccountDisabled);
        if let Some(why) = disabled.or(account.has_ended(session)) {
            self.end(session, why, &Actor::System).await?;
            return Err(match session.program {
                Some(_) => TokenError::Revoked.into(),
                None => session_ended(),
            });
        }
        Ok(account.user)
    }

    fn signed_in(&self, user: User, session: Session, secret: &Secret) -> Result<SignedIn, Fault> {
        let token = self.token(&user, &session)?;
        Ok(SignedIn {
            refresh_token: secret.text(session.kind),
            token,
            user,
            session,
        })
    }

    pub(super) fn token(&self, user: &User, session: &Session) -> Result<Token, Fault> {
        let claim = SessionClaim {
            id: session.id.0,
            expires_at: session.expires_at,
            scope: session.program.as_ref().map(|program| program.scope),
        };
        let name = user.username.to_string();
        let token = self.issuer.issue(user.id.0, &name, user.role, Some(claim));
        token.map_err(Fault::internal)
    }

    /// The answer to a refused secret. Guesses are counted for the address: nobody can guess a
    /// secret, but each guess costs a read. A right secret is accepted whatever the count.
    pub(super) async fn refusal(
        &self,
        refused: SecretRefusal,
        code: &'static str,
        text: &'static str,
        address: Option<IpAddr>,
    ) -> Result<Fault, StoreError> {
        let unauthenticated = |code, text: &str| Fault::new(Kind::Unauthenticated, code, text);
        Ok(match refused {
            SecretRefusal::Unknown => match self.count_guess(address).await? {
                None => unauthenticated(code, text),
                Some(excess) => excess,
            },
            SecretRefusal::Ended => session_ended(),
            SecretRefusal::Expired => unauthenticated(
                "SESSION_EXPIRED",
                "The session has not been used for too long. Sign in again.",
            ),
            SecretRefusal::Superseded => Fault::new(
                Kind::Conflict,
                "REFRESH_SUPERSEDED",
                "Another request has just refreshed the session with this token. Use the tokens \
                 of its answer.",
            ),
            SecretRefusal::Reused => unauthenticated(
                "REFRESH_REUSED",
                "The refresh token was used before, so somebody else may have it. The session has \
                 ended. Sign in again.",
            ),
        })
    }

    /// Counts a wrong secret of a session or a link. Returns the answer if there were too many.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub(crate) async fn count_guess(
        &self,
        address: Option<IpAddr>,
    ) -> Result<Option<Fault>, StoreError> {
        let Some(subject) = address.map(Subject::sessions_of) else {
            return Ok(None);
        };
        let now = self.clock.now();
        let failures = self
            .users
            .failures(&subject, now - WINDOW, MAX_ADDRESS_FAILURES);
        if let Some(excess) = throttle::excess(&failures.await?, MAX_ADDRESS_FAILURES, now) {
            return Ok(Some(throttled(excess)));
        }
        self.users.record_failure(&[subject], now).await?;
        Ok(None)
    }
}

pub(crate) fn session_ended() -> Fault {
    Fault::new(
        Kind::Unauthenticated,
        "SESSION_ENDED",
        "The session has ended. Sign in again.",
    )
}

pub(crate) fn actor(caller: &Principal) -> Actor {
    Actor::User {
        id: caller.user_id,
        username: caller.username.clone(),
    }
}

fn ended(id: SessionId, user: UserId, end: End, actor: &Actor) -> Event {
    let payload = SessionEndedEvent {
        session_id: id.0,
        user_id: user.0,
        reason: end_reason(end.why),
    };
    let origin = Origin {
        service: SERVICE,
        key: user.0,
        subject: id.0,
        actor,
        time: end.at,
    };
    Event::new(&payload, &origin)
}

pub(super) fn end_reason(why: EndReason) -> SessionEndReason {
    match why {
        EndReason::Logout => SessionEndReason::Logout,
        EndReason::Revoked => SessionEndReason::Revoked,
        EndReason::RefreshReused => SessionEndReason::RefreshReused,
        EndReason::TooMany => SessionEndReason::TooMany,
        EndReason::PasswordChanged => SessionEndReason::PasswordChanged,
        EndReason::RoleChanged => SessionEndReason::RoleChanged,
        EndReason::AccountDisabled => SessionEndReason::AccountDisabled,
    }
}

fn count_refresh(outcome: &'static str) {
    metrics::counter!(m::SESSION_REFRESHES, "outcome" => outcome).increment(1);
}
