//! Limits failed sign-ins within 15 minutes: 10 per name, and 100 per network address.
//!
//! Many people may share one address: an office, or everybody behind a proxy. So an address
//! with too many failures is not blocked completely. It may still try each account without
//! failures once: the right password signs in, a wrong one closes the account to this address.
//! So an attacker gets one guess per account from one address, and failures with other names do
//! not lock out a user with the right password.

use std::{net::IpAddr, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::UserId;

/// Failures allowed per name within [`WINDOW`].
pub const MAX_FAILURES: usize = 10;

/// Failures allowed per address within [`WINDOW`].
pub const MAX_ADDRESS_FAILURES: usize = 100;

/// How long a failure counts.
pub const WINDOW: SignedDuration = SignedDuration::from_mins(15);

/// The key for which failed sign-ins and registrations are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Subject(String);

impl Subject {
    /// An account, whether it was tried by username or by email address.
    #[must_use]
    pub fn account(id: UserId) -> Self {
        Self(format!("account:{id}"))
    }

    /// A name that no account has.
    #[must_use]
    pub fn unknown(login_key: &str) -> Self {
        Self(format!("unknown:{login_key}"))
    }

    /// A network address; for IPv6 its /64, which belongs to one subscriber.
    #[must_use]
    pub fn address(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(format!("address:{v4}")),
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                Self(format!("address:{a:x}:{b:x}:{c:x}:{d:x}::/64"))
            }
        }
    }

    /// A network address that sends secrets of sessions. They are counted apart from passwords: a
    /// browser with an old cookie must not make it harder to sign in.
    #[must_use]
    pub fn sessions_of(address: IpAddr) -> Self {
        Self(format!("sessions-{}", Self::address(address).0))
    }

    /// A network address that asks for links in mails.
    #[must_use]
    pub fn links_from(address: IpAddr) -> Self {
        Self::address(address).for_links()
    }

    /// The same subject, for links in mails.
    #[must_use]
    pub fn for_links(&self) -> Self {
        Self(format!("links-{}", self.0))
    }

    /// The stored value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether the password of a sign-in attempt is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Yes.
    Open,
    /// Yes: the name has no failures. But the address has too many, so only one such attempt
    /// runs at a time, and a wrong password is answered with these failures.
    OneGuess(TooManyFailures),
    /// No.
    Closed(TooManyFailures),
}

/// Too many failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyFailures {
    /// How many are allowed.
    pub limit: usize,
    /// Time until there are fewer than that.
    pub wait: Duration,
}

/// Decides about an attempt by the times of the latest failures of its name and of its address,
/// newest first.
#[must_use]
pub fn admission(of_name: &[Timestamp], of_address: &[Timestamp], now: Timestamp) -> Admission {
    if let Some(excess) = excess(of_name, MAX_FAILURES, now) {
        return Admission::Closed(excess);
    }
    match excess(of_address, MAX_ADDRESS_FAILURES, now) {
        None => Admission::Open,
        Some(excess) if of_name.is_empty() => Admission::OneGuess(excess),
        Some(excess) => Admission::Closed(excess),
    }
}

/// Whether there were `limit` failures within [`WINDOW`], by the times of the latest ones, newest
/// first.
#[must_use]
pub fn excess(failures: &[Timestamp], limit: usize, now: Timestamp) -> Option<TooManyFailures> {
    let oldest_of_the_limit = failures.get(limit - 1)?;
    let left = WINDOW - now.duration_since(*oldest_of_the_limit);
    let wait = Duration::try_from(left)
        .ok()
        .filter(|left| !left.is_zero())?;
    Some(TooManyFailures { limit, wait })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes_ago(now: Timestamp) -> impl Fn(i64) -> Timestamp {
        move |minutes| now - SignedDuration::from_mins(minutes)
    }

    fn many(limit: usize, minutes: u64) -> TooManyFailures {
        TooManyFailures {
            limit,
            wait: Duration::from_secs(minutes * 60),
        }
    }

    #[test]
    fn the_tenth_failure_closes_a_name_until_the_first_is_forgotten() {
        let now = Timestamp::now();
        let ten: Vec<_> = (1..=10).map(minutes_ago(now)).collect();
        assert_eq!(admission(&ten[..9], &[], now), Admission::Open);
        let closed = Admission::Closed(many(10, 5));
        assert_eq!(admission(&ten, &[], now), closed);
        assert_eq!(admission(&ten, &[now; 100], now), closed);
        let spread: Vec<_> = (0..10).map(|n| n * 2).map(minutes_ago(now)).collect();
        assert_eq!(
            admission(&spread, &[], now),
            Admission::Open,
            "the first is 18 minutes old"
        );
    }

    #[test]
    fn an_address_with_a_hundred_failures_has_one_guess_for_a_name_without_any() {
        let now = Timestamp::now();
        let failures = [minutes_ago(now)(3); 100];
        let (below, above) = (&failures[..99], &failures[..]);
        let name = &failures[..1];
        assert_eq!(admission(name, below, now), Admission::Open);
        assert_eq!(
            admission(&[], above, now),
            Admission::OneGuess(many(100, 12))
        );
        assert_eq!(
            admission(name, above, now),
            Admission::Closed(many(100, 12))
        );
    }

    #[test]
    fn an_ipv6_subscriber_is_one_address() {
        let subject = |text: &str| Subject::address(text.parse().unwrap());
        assert_eq!(subject("2001:db8:1:2::1"), subject("2001:db8:1:2:ffff::9"));
        assert_ne!(subject("2001:db8:1:2::1"), subject("2001:db8:1:3::1"));
        assert_eq!(subject("::ffff:192.0.2.1"), subject("192.0.2.1"));
    }
}
