//! Signing in, and keeping those out who guess.

use std::{net::IpAddr, time::Duration};

use slipway_rpc::error::{Fault, Kind};

use super::{Accounts, Session};
use crate::{
    identity::{
        Account, credentials,
        password::{HashingPermit, Turn},
        throttle::{
            self, Admission, MAX_ADDRESS_FAILURES, MAX_FAILURES, Subject, TooManyFailures, WINDOW,
        },
    },
    metrics as m,
};

/// An attempt to prove with a password to be somebody.
pub(super) struct Attempt {
    /// Whose password it has to be; `None` if there is nobody of the name.
    pub(super) account: Option<Account>,
    /// What failures of this name are counted for.
    pub(super) name: Subject,
    /// The password shown.
    pub(super) password: String,
    /// Where the attempt comes from, if that is known.
    pub(super) address: Option<IpAddr>,
}

impl Accounts {
    /// Signs in by username or email address.
    ///
    /// # Errors
    /// `INVALID_CREDENTIALS`, the same for an unknown name and a wrong password;
    /// `TOO_MANY_ATTEMPTS` as [`throttle`] says; `TOO_BUSY` if too many sign in at once.
    pub async fn login(
        &self,
        login: String,
        password: String,
        address: Option<IpAddr>,
    ) -> Result<Session, Fault> {
        let place = self.hasher.sign_ins.place()?;
        let unknown = Subject::unknown(&credentials::key(&login));
        let account = self.stores.users.by_login(&login).await?;
        let attempt = Attempt {
            name: account
                .as_ref()
                .map_or(unknown, |account| Subject::account(account.user.id)),
            account,
            password,
            address,
        };
        let account = self.prove(&place, &attempt).await?.ok_or_else(|| {
            Fault::new(
                Kind::Unauthenticated,
                "INVALID_CREDENTIALS",
                "The name or the password is wrong.",
            )
        })?;
        self.session(account.user)
    }

    /// The account, if the password is its own. A wrong one counts as a failed sign-in.
    ///
    /// # Errors
    /// `TOO_MANY_ATTEMPTS`; `TOO_BUSY`.
    pub(super) async fn prove(
        &self,
        _place: &HashingPermit<'_>,
        attempt: &Attempt,
    ) -> Result<Option<Account>, Fault> {
        let who = Who::of(attempt);
        let mut alone = None;
        // Failures are counted within the turn: so those who try many passwords at once
        // get at most as many tries too many as there are turns.
        let (turn, failed_before, excess) = loop {
            let turn = self.hasher.sign_ins.turn().await?;
            let (admission, failed_before) = self.admission(attempt).await?;
            match admission {
                Admission::Open => break (turn, failed_before, None),
                Admission::Closed(excess) => return Err(who.throttled(excess)),
                Admission::OneGuess(excess) if alone.is_some() => {
                    break (turn, failed_before, Some(excess));
                }
                Admission::OneGuess(excess) => {
                    drop(turn);
                    let suspects = &self.hasher.suspects;
                    let place = suspects.place().map_err(|_| who.throttled(excess))?;
                    alone = Some((place, suspects.turn().await?));
                }
            }
        };
        let Attempt { account, name, .. } = attempt;
        if self.matches(&turn, attempt).await? {
            drop(turn);
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
            // Whoever hears this cannot tell a guess that was tried from one that was not.
            Some(excess) => Err(throttled(excess)),
            None => Ok(None),
        }
    }

    async fn matches(&self, turn: &Turn<'_>, attempt: &Attempt) -> Result<bool, Fault> {
        let hash = attempt.account.as_ref();
        let hash = hash.map(|account| account.password_hash.clone());
        let password = attempt.password.clone();
        Ok(self.hasher.verify(turn, password, hash).await?)
    }

    /// Whether the attempt is made, and whether sign-ins with its name failed lately.
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

/// Whom an attempt is about, for the log. A name that nobody has is left out: it could be a
/// password that was typed into the wrong field.
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

    fn throttled(&self, excess: TooManyFailures) -> Fault {
        metrics::counter!(m::LOGINS, "outcome" => "throttled").increment(1);
        let Self { account, address } = self;
        tracing::info!(%account, %address, "sign-in refused: too many failed attempts");
        throttled(excess)
    }
}

fn throttled(excess: TooManyFailures) -> Fault {
    Fault::new(
        Kind::RateLimited,
        "TOO_MANY_ATTEMPTS",
        "Too many failed sign-ins. Wait before you try again.",
    )
    .fact("limit", excess.limit)
    .fact("windowSeconds", WINDOW.as_secs())
    .retry_after(excess.wait.max(Duration::from_secs(1)))
}
