//! Signs accounts in, and limits password guessing.

use std::{net::IpAddr, time::Duration};

use slipway_bus::Actor;
use slipway_rpc::error::{Fault, Kind};

use super::Accounts;
use crate::{
    identity::{
        Account, credentials,
        password::{HashingPermit, Turn},
        throttle::{
            self, Admission, MAX_ADDRESS_FAILURES, MAX_FAILURES, Subject, TooManyFailures, WINDOW,
        },
    },
    metrics as m,
    sessions::{EndReason, Place, SessionId, SignedIn, StartedBrowser},
    store::StoreError,
};

/// An attempt to sign in with a password.
pub(super) struct Attempt {
    /// The account; `None` if no account has the name.
    pub(super) account: Option<Account>,
    /// The subject for which failures of this name are counted.
    pub(super) name: Subject,
    /// The password given.
    pub(super) password: String,
    /// The client's network address, if it is known.
    pub(super) address: Option<IpAddr>,
}

impl Accounts {
    /// Signs a client of the API in by username or email address.
    ///
    /// # Errors
    /// `PASSWORDS_OFF`; `INVALID_CREDENTIALS`, the same for an unknown name and a wrong password; `ACCOUNT_DISABLED`
    /// for the right one of a disabled account; `TOO_MANY_ATTEMPTS`, see [`throttle`]; `TOO_BUSY` if
    /// the hashing queue is full.
    pub async fn login(
        &self,
        login: String,
        password: String,
        place: Place,
    ) -> Result<SignedIn, Fault> {
        let account = self.identify(login, password, place.address).await?;
        let started = self.sessions.start(account.user.clone(), place).await?;
        self.still_valid(&account, started.session.id).await?;
        Ok(started)
    }

    /// Signs a browser in by username or email address.
    ///
    /// # Errors
    /// As [`Self::login`].
    pub async fn login_browser(
        &self,
        login: String,
        password: String,
        place: Place,
    ) -> Result<StartedBrowser, Fault> {
        let account = self.identify(login, password, place.address).await?;
        let started = self.sessions.start_browser(account.user.clone(), place);
        let started = started.await?;
        self.still_valid(&account, started.session.id).await?;
        Ok(started)
    }

    /// Ends a session that has just begun if a change of the account has ended its sessions after the
    /// password was verified: the change has ended only the sessions that it knew.
    pub(super) async fn still_valid(
        &self,
        account: &Account,
        session: SessionId,
    ) -> Result<(), Fault> {
        match self.is_valid(account, session).await? {
            true => Ok(()),
            false => Err(invalid_credentials()),
        }
    }

    /// The same; returns whether it goes on.
    pub(super) async fn is_valid(
        &self,
        account: &Account,
        session: SessionId,
    ) -> Result<bool, StoreError> {
        let user = account.user.id;
        let now = self.stores.users.user(user).await?;
        let cut = now.as_ref().and_then(|now| now.ended_sessions);
        if now.is_some() && cut == account.ended_sessions {
            return Ok(true);
        }
        let why = cut.map_or(EndReason::PasswordChanged, |cut| cut.why);
        self.sessions
            .end_one(session, user, why, &Actor::System)
            .await?;
        Ok(false)
    }

    /// The account with this name and password.
    async fn identify(
        &self,
        login: String,
        password: String,
        address: Option<IpAddr>,
    ) -> Result<Account, Fault> {
        let place = self.hasher.sign_ins.place()?;
        let unknown = Subject::unknown(&credentials::key(&login));
        let account = self.stores.users.by_login(&login).await?;
        self.check_password_of(account.as_ref())?;
        let attempt = Attempt {
            name: account
                .as_ref()
                .map_or(unknown, |account| Subject::account(account.user.id)),
            account,
            password,
            address,
        };
        let account = self.prove(&place, &attempt).await?;
        account.ok_or_else(invalid_credentials)
    }

    /// Verifies the password. Returns the account if it is right; a wrong password counts as a
    /// failed sign-in.
    ///
    /// # Errors
    /// `ACCOUNT_DISABLED` if it is right, but the account is disabled: only its owner learns that.
    /// `TOO_MANY_ATTEMPTS`; `TOO_BUSY`.
    pub(super) async fn prove(
        &self,
        _place: &HashingPermit<'_>,
        attempt: &Attempt,
    ) -> Result<Option<Account>, Fault> {
        let who = Who::of(attempt);
        let mut suspect_turn = None;
        // Failures are read while the turn is held, so that parallel attempts exceed the limit by
        // at most the number of turns.
        let (turn, failed_before, excess) = loop {
            let turn = self.hasher.sign_ins.turn().await?;
            let (admission, failed_before) = self.admission(attempt).await?;
            match admission {
                Admission::Open => break (turn, failed_before, None),
                Admission::Closed(excess) => return Err(who.throttled(excess)),
                Admission::OneGuess(excess) if suspect_turn.is_some() => {
                    break (turn, failed_before, Some(excess));
                }
                Admission::OneGuess(excess) => {
                    drop(turn);
                    let suspects = &self.hasher.suspects;
                    let place = suspects.place().map_err(|_| who.throttled(excess))?;
                    suspect_turn = Some((place, suspects.turn().await?));
                }
            }
        };
        let Attempt { account, name, .. } = attempt;
        if self.matches(&turn, attempt).await? {
            drop(turn);
            if account.as_ref().is_some_and(|a| a.user.is_disabled()) {
                return Err(who.disabled());
            }
            if failed_before {
                self.stores.users.clear_failures(name).await?;
            }
            metrics::counter!(m::LOGINS, "outcome" => "ok").increment(1);
            return Ok(account.clone());
        }
        let mut subjects = vec![name.clone()];
        subjects.extend(attempt.address.map(Subject::address));
        let now = self.clock.now();
        self.stores.users.record_failure(&subjects, now).await?;
        who.failed();
        match excess {
            // The same answer as without a check: the client must not learn that it was made.
            Some(excess) => Err(throttled(excess)),
            None => Ok(None),
        }
    }

    async fn matches(&self, turn: &Turn<'_>, attempt: &Attempt) -> Result<bool, Fault> {
        let hash = attempt.account.as_ref();
        let hash = hash.and_then(|account| account.password_hash.clone());
        let password = attempt.password.clone();
        Ok(self.hasher.verify(turn, password, hash).await?)
    }

    /// Whether the password may be checked, and whether this name has recent failures.
    async fn admission(&self, attempt: &Attempt) -> Result<(Admission, bool), Fault> {
        let since = self.clock.now() - WINDOW;
        let users = &self.stores.users;
        let of_name = users.failures(&attempt.name, since, MAX_FAILURES).await?;
        let of_address = match attempt.address.map(Subject::address) {
            Some(address) => {
                let of_address = users.failures(&address, since, MAX_ADDRESS_FAILURES);
                of_address.await?
            }
            None => Vec::new(),
        };
        let admission = throttle::admission(&of_name, &of_address, self.clock.now());
        Ok((admission, !of_name.is_empty()))
    }
}

fn invalid_credentials() -> Fault {
    Fault::new(
        Kind::Unauthenticated,
        "INVALID_CREDENTIALS",
        "The name or the password is wrong.",
    )
}

/// The account and the address of an attempt, for the log. An unknown name is not logged: it could
/// be a password that was typed into the wrong field.
struct Who {
    account: String,
    address: String,
}

impl Who {
    fn of(attempt: &Attempt) -> Self {
        let account = attempt.account.as_ref();
        Self {
            account: account.map_or("unknown".to_owned(), |a| a.user.username.to_string()),
            address: attempt
                .address
                .map_or("unknown".to_owned(), |address| address.to_string()),
        }
    }

    fn failed(&self) {
        metrics::counter!(m::LOGINS, "outcome" => "refused").increment(1);
        let Self { account, address } = self;
        tracing::info!(%account, %address, "sign-in failed");
    }

    fn disabled(&self) -> Fault {
        metrics::counter!(m::LOGINS, "outcome" => "disabled").increment(1);
        let Self { account, address } = self;
        tracing::info!(%account, %address, "sign-in refused: the account is disabled");
        account_disabled()
    }

    fn throttled(&self, excess: TooManyFailures) -> Fault {
        metrics::counter!(m::LOGINS, "outcome" => "throttled").increment(1);
        let Self { account, address } = self;
        tracing::info!(%account, %address, "sign-in refused: too many failed attempts");
        throttled(excess)
    }
}

/// The answer to the right password of a disabled account.
pub(super) fn account_disabled() -> Fault {
    Fault::new(
        Kind::Forbidden,
        "ACCOUNT_DISABLED",
        "This account is disabled. Ask an admin to enable it.",
    )
}

/// The answer to too many failures.
pub(crate) fn throttled(excess: TooManyFailures) -> Fault {
    Fault::new(
        Kind::RateLimited,
        "TOO_MANY_ATTEMPTS",
        "Too many failed sign-ins. Wait before you try again.",
    )
    .fact("limit", excess.limit)
    .fact("windowSeconds", WINDOW.as_secs())
    .retry_after(excess.wait.max(Duration::from_secs(1)))
}
