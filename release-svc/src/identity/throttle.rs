//! How many failed sign-ins are borne: 10 in 15 minutes for a name or an address.

use std::{net::IpAddr, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::UserId;

/// Failures borne within [`WINDOW`].
pub const MAX_FAILURES: usize = 10;

/// How long a failure counts.
pub const WINDOW: SignedDuration = SignedDuration::from_mins(15);

/// What failures are counted for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(String);

impl Subject {
    /// An account, by whichever of its names it was tried.
    #[must_use]
    pub fn account(id: UserId) -> Self {
        Self(format!("account:{id}"))
    }

    /// A name that is no account's.
    #[must_use]
    pub fn unknown(login_key: &str) -> Self {
        Self(format!("unknown:{login_key}"))
    }

    /// A network address; of IPv6 the /64, which is one subscriber's.
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

    /// As it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How long to wait, if these failures are too many. `failures` are the times of the
/// latest failures of one subject, newest first.
#[must_use]
pub fn wait(failures: &[Timestamp], now: Timestamp) -> Option<Duration> {
    let oldest_of_the_limit = failures.get(MAX_FAILURES - 1)?;
    let left = WINDOW - now.duration_since(*oldest_of_the_limit);
    Duration::try_from(left).ok().filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tenth_failure_closes_the_door_until_the_first_is_forgotten() {
        let now = Timestamp::now();
        let minutes_ago = |m: i64| now - SignedDuration::from_mins(m);
        let nine: Vec<_> = (1..=9).map(minutes_ago).collect();
        assert_eq!(wait(&nine, now), None);
        let ten: Vec<_> = (1..=10).map(minutes_ago).collect();
        assert_eq!(wait(&ten, now), Some(Duration::from_secs(5 * 60)));
        let spread: Vec<_> = (0..10).map(|n| minutes_ago(n * 2)).collect();
        assert_eq!(wait(&spread, now), None, "the first is 18 minutes old");
    }

    #[test]
    fn an_ipv6_subscriber_is_one_address() {
        let subject = |text: &str| Subject::address(text.parse().unwrap());
        assert_eq!(subject("2001:db8:1:2::1"), subject("2001:db8:1:2:ffff::9"));
        assert_ne!(subject("2001:db8:1:2::1"), subject("2001:db8:1:3::1"));
        assert_eq!(subject("::ffff:192.0.2.1"), subject("192.0.2.1"));
    }
}
