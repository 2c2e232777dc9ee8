//! Limits how many calls one account and one network address may make in a minute.
//!
//! Each process counts by itself, in memory: counting in the database would cost a write for each
//! call. With several replicas a client gets as many times the limit. What must hold over replicas
//! is counted in the database by the services: failed sign-ins, registrations, questions to the
//! assistant and events of other programs.

use std::{
    hash::Hash,
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use uuid::Uuid;

use crate::{
    error::{Fault, Kind},
    http::Network,
};

/// The window of all rates.
const WINDOW: Duration = Duration::from_secs(60);

/// How many clients are remembered before those without recent calls are dropped.
const REMEMBERED: usize = 10_000;

/// The rates of this process: how many calls in a minute.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// Of one account, with all of its sessions and programs.
    pub per_account: NonZeroU32,
    /// From one network address (of IPv6: the /64), by the gateway.
    pub per_address: NonZeroU32,
    /// From one network address, to the methods that anybody may call and that have an effect:
    /// those that sign in, register, refresh and exchange.
    pub sign_ins: NonZeroU32,
}

/// Counts calls. Cheap to clone: all clones count together.
#[derive(Clone)]
pub struct CallRates(Arc<Counted>);

struct Counted {
    accounts: Limiter<Uuid>,
    addresses: Limiter<Network>,
    sign_ins: Limiter<Network>,
}

impl CallRates {
    /// Counts calls up to these rates.
    #[must_use]
    pub fn new(rates: Rates) -> Self {
        Self(Arc::new(Counted {
            accounts: Limiter::new(rates.per_account),
            addresses: Limiter::new(rates.per_address),
            sign_ins: Limiter::new(rates.sign_ins),
        }))
    }

    /// Counts a call of an account.
    ///
    /// # Errors
    /// `TOO_MANY_REQUESTS`.
    pub fn count_account(&self, account: Uuid) -> Result<(), Fault> {
        self.0.accounts.count(&account, "Your account makes")
    }

    /// Counts a call from an address.
    ///
    /// # Errors
    /// `TOO_MANY_REQUESTS`.
    pub fn count_address(&self, address: IpAddr) -> Result<(), Fault> {
        let network = Network::from(address);
        self.0
            .addresses
            .count(&network, "Your network address makes")
    }

    /// Counts a call from an address that signs in, or does something like it.
    ///
    /// # Errors
    /// `TOO_MANY_REQUESTS`.
    pub fn count_sign_in(&self, address: IpAddr) -> Result<(), Fault> {
        let who = "Your network address signs in or registers with";
        self.0.sign_ins.count(&Network::from(address), who)
    }
}

/// A rate for each key.
struct Limiter<K: Hash + Eq + Clone> {
    rate: NonZeroU32,
    calls: DefaultKeyedRateLimiter<K>,
    /// With more keys than these, those without recent calls are dropped.
    remembered: AtomicUsize,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    /// This many calls a minute; after a minute without calls, as many at once.
    fn new(rate: NonZeroU32) -> Self {
        Self {
            rate,
            calls: RateLimiter::keyed(Quota::per_minute(rate)),
            remembered: AtomicUsize::new(REMEMBERED),
        }
    }

    fn count(&self, key: &K, who: &str) -> Result<(), Fault> {
        if self.calls.len() > self.remembered.load(Ordering::Relaxed) {
            self.calls.retain_recent();
            // So that a flood from many addresses does not make every call look through them.
            let next = REMEMBERED.max(2 * self.calls.len());
            self.remembered.store(next, Ordering::Relaxed);
        }
        self.calls.check_key(key).map_err(|refused| {
            let wait = refused.wait_time_from(DefaultClock::default().now());
            too_many(who, self.rate, wait)
        })
    }
}

fn too_many(who: &str, rate: NonZeroU32, wait: Duration) -> Fault {
    Fault::new(
        Kind::RateLimited,
        "TOO_MANY_REQUESTS",
        format!("{who} more than {rate} requests a minute. Wait before you send another one."),
    )
    .fact("limit", rate)
    .fact("windowSeconds", WINDOW.as_secs())
    .retry_after(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(per_account: u32, per_address: u32, sign_ins: u32) -> CallRates {
        let rate = |calls| NonZeroU32::new(calls).unwrap();
        CallRates::new(Rates {
            per_account: rate(per_account),
            per_address: rate(per_address),
            sign_ins: rate(sign_ins),
        })
    }

    #[test]
    fn each_account_has_its_own_rate() {
        let rates = rates(2, 1, 1);
        let (ada, bob) = (Uuid::from_u128(1), Uuid::from_u128(2));
        rates.count_account(ada).unwrap();
        rates.count_account(ada).unwrap();
        let refused = rates.count_account(ada).unwrap_err();
        assert_eq!(refused.code, "TOO_MANY_REQUESTS");
        assert_eq!(refused.kind, Kind::RateLimited);
        assert_eq!(refused.facts["limit"], 2);
        assert_eq!(refused.facts["windowSeconds"], 60);
        // The next one of two in a minute.
        let wait = refused.retry_after.unwrap();
        assert!(
            wait > Duration::from_secs(20) && wait <= Duration::from_secs(30),
            "{wait:?}"
        );
        rates.count_account(bob).unwrap();
    }

    #[test]
    fn addresses_of_one_network_share_a_rate_and_sign_ins_have_another() {
        let rates = rates(1, 1, 1);
        let [one, neighbour, other] = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"]
            .map(|address| address.parse().unwrap());
        rates.count_address(one).unwrap();
        assert!(rates.count_address(neighbour).is_err());
        rates.count_address(other).unwrap();
        rates.count_sign_in(one).unwrap();
        assert!(rates.count_sign_in(neighbour).is_err());
    }

    #[test]
    fn clients_without_recent_calls_are_forgotten() {
        let limiter = Limiter::new(NonZeroU32::MAX);
        for key in 0..3 * REMEMBERED {
            // At this rate each key is as good as new after a moment.
            limiter.count(&key, "").unwrap();
        }
        assert!(
            limiter.calls.len() <= REMEMBERED + 1,
            "{}",
            limiter.calls.len()
        );
    }
}
