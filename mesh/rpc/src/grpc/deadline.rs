//! The deadline of a call. Each call that a service makes to answer another one inherits its
//! deadline, so that no service works for a caller that no longer waits.

use std::{future::Future, time::Duration};

use http::HeaderMap;
use tokio::time::Instant;

/// The deadline of a call that does not set one.
const DEFAULT: Duration = Duration::from_secs(30);

/// The longest wait for the head of an answer, even if the client asks for more: a waiting call
/// takes resources.
const LONGEST: Duration = Duration::from_secs(300);

tokio::task_local! {
    static CURRENT: Deadline;
}

/// The time after which the caller no longer waits for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadline(Instant);

impl Deadline {
    /// The deadline that the headers of a new call ask for.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self(Instant::now() + timeout(headers).unwrap_or(DEFAULT).min(LONGEST))
    }

    /// The deadline of the call that is being answered; `None` outside a call.
    pub(super) fn current() -> Option<Self> {
        CURRENT.try_with(|deadline| *deadline).ok()
    }

    /// Runs `work` within this deadline.
    pub(super) async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// The time of the deadline.
    pub(super) fn at(self) -> Instant {
        self.0
    }

    /// The time until the deadline; zero if it has passed.
    pub(super) fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// Parses the `grpc-timeout` of a client: up to 8 digits and a unit.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(value * 3600),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn every_call_has_a_deadline() {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", "99999999H".parse().unwrap());
        assert_eq!(Deadline::of(&headers).remaining(), LONGEST);
    }

    #[test]
    fn grpc_timeouts_are_parsed() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            timeout(&headers)
        };
        assert_eq!(read("5S"), Some(Duration::from_secs(5)));
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("2H"), Some(Duration::from_secs(7200)));
        for bad in ["", "S", "5", "5x", "-5S", "123456789S"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
