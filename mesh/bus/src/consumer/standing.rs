//! Whether the members of a group get on with their work: for health checks, and for the
//! alarm when they have not for a minute.

use std::collections::BTreeMap;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::{Duration, Instant};

use super::settle::INCIDENT_AFTER;
use slipway_runtime::{
    alarm::{self, Kind},
    life::{Check, Problem},
};

/// A member that failed, is back, and then has nothing to do for so long is well again:
/// longer than brokers take to hand a partition over.
const QUIET: Duration = Duration::from_secs(15);

/// What a group's members have failed of, by member.
#[derive(Debug)]
pub(super) struct Standing<M> {
    group: &'static str,
    failures: Mutex<BTreeMap<M, Failure>>,
}

#[derive(Debug)]
struct Failure {
    since: Instant,
    reason: String,
}

impl<M: Ord + Send> Standing<M> {
    pub(super) fn new(group: &'static str) -> Self {
        Self {
            group,
            failures: Mutex::default(),
        }
    }

    /// A member has failed and is going to join again.
    pub(super) fn failed(&self, member: M, reason: String) {
        let now = Instant::now();
        let since = {
            let mut failures = self.failures.lock();
            let since = failures.get(&member).map_or(now, |failure| failure.since);
            failures.insert(member, Failure { since, reason });
            since
        };
        if since.elapsed() >= INCIDENT_AFTER {
            let group = self.group;
            let text = format!("the consumers of {group} have not got on for a minute");
            alarm::raise(Kind::ConsumerLost, group, &text);
        }
    }

    /// A member has done what it was given.
    pub(super) fn got_on(&self, member: &M) {
        let mut failures = self.failures.lock();
        if failures.remove(member).is_some() && failures.is_empty() {
            alarm::resolve(Kind::ConsumerLost, self.group);
        }
    }

    /// Called when a member has joined: returns when it counts as well although nothing has
    /// come, if it has failed before.
    pub(super) async fn quiet(&self, member: &M) {
        if self.failures.lock().contains_key(member) {
            tokio::time::sleep(QUIET).await;
        } else {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl<M: Ord + Send + 'static> Check for Standing<M> {
    async fn check(&self) -> Result<(), Problem> {
        match self.failures.lock().values().next() {
            Some(failure) => Err(Problem::Away(failure.reason.clone())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_member_that_gets_on_does_not_hide_one_that_does_not() {
        let standing = Standing::new("g");
        standing.check().await.unwrap();
        standing.failed(1, "three partitions".into());
        standing.failed(2, "gone".into());
        standing.got_on(&2);
        assert_eq!(
            standing.check().await.unwrap_err().to_string(),
            "three partitions"
        );
        standing.quiet(&1).await;
        standing.got_on(&1);
        standing.check().await.unwrap();
    }
}
