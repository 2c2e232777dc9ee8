//! Limits the mails per second to one domain: its operator would treat more as an attack.

use std::{num::NonZeroU32, time::Duration};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// How long a mail may wait for its domain: while it waits, it occupies a slot that mails to other
/// domains need.
const TIMEOUT: Duration = Duration::from_secs(1);

/// How many domains are remembered before those without recent mails are dropped.
const REMEMBERED: usize = 10_000;

/// The rate limits of this process.
pub struct DomainLimits(DefaultKeyedRateLimiter<String>);

impl DomainLimits {
    /// At most this many mails a second to one domain; after a pause, as many at once.
    #[must_use]
    pub fn per_second(mails: NonZeroU32) -> Self {
        Self(RateLimiter::keyed(Quota::per_second(mails)))
    }

    /// Waits until a mail to `domain` is allowed; `false` if that takes too long.
    pub(super) async fn pass(&self, domain: &str) -> bool {
        if self.0.len() > REMEMBERED {
            self.0.retain_recent();
        }
        let domain = domain.to_owned();
        tokio::time::timeout(TIMEOUT, self.0.until_key_ready(&domain))
            .await
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_domain_does_not_delay_another() {
        let limits = DomainLimits::per_second(NonZeroU32::MIN);
        assert!(limits.pass("example.com").await);
        assert!(limits.pass("example.org").await);
        let (second, third) = tokio::join!(limits.pass("example.com"), limits.pass("example.com"));
        assert!(!(second && third), "there is one a second");
    }
}
