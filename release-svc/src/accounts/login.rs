//! Signing in, and keeping those out who guess.

use std::{net::IpAddr, time::Duration};

use slipway_mesh::error::{Fault, Kind};

use super::{Accounts, Session};
use crate::{
    identity::{
        credentials,
        throttle::{self, MAX_FAILURES, Subject, WINDOW},
    },
    metrics as m,
};

impl Accounts {
    /// Signs in by username or email address.
    ///
    /// # Errors
    /// `INVALID_CREDENTIALS`, the same for an unknown name and a wrong password;
    /// `TOO_MANY_ATTEMPTS` after 10 failures in 15 minutes for a name or an address.
    pub async fn login(
        &self,
        login: String,
        password: String,
        address: Option<IpAddr>,
    ) -> Result<Session, Fault> {
        let login_key = credentials::key(&login);
        let account = self.stores.users.by_login(login).await?;
        let name = account.as_ref().map_or_else(
            || Subject::unknown(&login_key),
            |account| Subject::account(account.user.id),
        );
        let mut subjects = vec![name.clone()];
        subjects.extend(address.map(Subject::address));
        // Failures are counted within the turn: so those who try many passwords at once
        // get at most as many tries too many as there are turns.
        let turn = self.hasher.turn().await?;
        let mut failed_before = false;
        for subject in &subjects {
            failed_before |= self.failed_before(subject).await?;
        }
        let hash = account
            .as_ref()
            .map(|account| account.password_hash.clone());
        let matches = turn.verify(password, hash).await?;
        let Some(account) = account.filter(|_| matches) else {
            let now = self.clock.now();
            self.stores.users.record_failure(subjects, now).await?;
            metrics::counter!(m::LOGINS, "outcome" => "refused").increment(1);
            return Err(Fault::new(
                Kind::Unauthenticated,
                "INVALID_CREDENTIALS",
                "The name or the password is wrong.",
            ));
        };
        drop(turn);
        if failed_before {
            self.stores.users.clear_failures(name).await?;
        }
        metrics::counter!(m::LOGINS, "outcome" => "ok").increment(1);
        self.session(account.user)
    }

    /// Whether sign-ins of the subject failed lately; too many are an error.
    async fn failed_before(&self, subject: &Subject) -> Result<bool, Fault> {
        let now = self.clock.now();
        let limit = u32::try_from(MAX_FAILURES).unwrap_or(u32::MAX);
        let failures: Vec<_> = self
            .stores
            .users
            .failures(subject.clone(), now - WINDOW, limit)
            .await?;
        let Some(wait) = throttle::wait(&failures, now) else {
            return Ok(!failures.is_empty());
        };
        metrics::counter!(m::LOGINS, "outcome" => "throttled").increment(1);
        Err(Fault::new(
            Kind::RateLimited,
            "TOO_MANY_ATTEMPTS",
            "Too many failed sign-ins. Wait before you try again.",
        )
        .fact("limit", MAX_FAILURES)
        .fact("windowSeconds", WINDOW.as_secs())
        .retry_after(wait.max(Duration::from_secs(1))))
    }
}
