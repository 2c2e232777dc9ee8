//! How many mails a second go to one domain: its operator takes more for an attack.

use std::{num::NonZeroU32, time::Duration};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// How long a mail may wait in its slot for its domain; longer, and it would keep those
/// for other domains from being sent.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Domains that are remembered before those not written to lately are forgotten.
const REMEMBERED: usize = 10_000;

/// The limits of this process.
pub struct DomainLimits(DefaultKeyedRateLimiter<String>);

impl DomainLimits {
    /// At most so many mails a second to one domain; as many at once after a pause.
    #[must_use]
    pub fn per_second(mails: NonZeroU32) -> Self {
        Self(RateLimiter::keyed(Quota::per_second(mails)))
    }

    /// Waits until a mail may go to `domain`; `false` if that takes too long.
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
    async fn one_domain_does_not_hold_up_another() {
        let limits = DomainLimits::per_second(NonZeroU32::MIN);
        assert!(limits.pass("example.com").await);
        assert!(limits.pass("example.org").await);
        let (second, third) = tokio::join!(limits.pass("example.com"), limits.pass("example.com"));
        assert!(!(second && third), "there is one a second");
    }
}
