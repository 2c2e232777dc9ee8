//! The health of a consumer group, for health checks and for the alert that is raised when its
//! members have failed for a minute.

use std::collections::BTreeMap;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::{Duration, Instant};

use super::settle::INCIDENT_AFTER;
use slipway_runtime::{
    alarm::{self, Kind},
    life::{Check, Problem},
};

/// A member that failed and rejoined counts as healthy after this time without a record. It is
/// longer than brokers need to reassign a partition.
const IDLE: Duration = Duration::from_secs(15);

/// Why members of a group fail, by member.
#[derive(Debug)]
pub(super) struct GroupHealth<M> {
    group: &'static str,
    failures: Mutex<BTreeMap<M, Failure>>,
}

#[derive(Debug)]
struct Failure {
    since: Instant,
    reason: String,
}

impl<M: Ord + Send> GroupHealth<M> {
    pub(super) fn new(group: &'static str) -> Self {
        Self {
            group,
            failures: Mutex::default(),
        }
    }

    /// Notes that a member has failed and will rejoin.
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
            let text = format!("the consumer group {group} has been failing for a minute");
            alarm::raise(Kind::ConsumerLost, group, &text);
        }
    }

    /// Notes that a member has processed a batch.
    pub(super) fn succeeded(&self, member: &M) {
        let mut failures = self.failures.lock();
        if failures.remove(member).is_some() && failures.is_empty() {
            alarm::resolve(Kind::ConsumerLost, self.group);
        }
    }

    /// Called when a member has joined. If it had failed before, waits until it counts as healthy
    /// without having received a record; otherwise waits forever.
    pub(super) async fn idle(&self, member: &M) {
        if self.failures.lock().contains_key(member) {
            tokio::time::sleep(IDLE).await;
        } else {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl<M: Ord + Send + 'static> Check for GroupHealth<M> {
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
    async fn a_healthy_member_does_not_hide_one_that_fails() {
        let health = GroupHealth::new("g");
        health.check().await.unwrap();
        health.failed(1, "three partitions".into());
        health.failed(2, "gone".into());
        health.succeeded(&2);
        assert_eq!(
            health.check().await.unwrap_err().to_string(),
            "three partitions"
        );
        health.idle(&1).await;
        health.succeeded(&1);
        health.check().await.unwrap();
    }
}
