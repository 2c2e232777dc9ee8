//! Until when a call is waited for. It goes along with every call that is made to answer
//! it, so that nobody works for a caller who has gone.

use std::{future::Future, time::Duration};

use http::HeaderMap;
use tokio::time::Instant;

/// A call without a deadline of its own gets this one.
const DEFAULT: Duration = Duration::from_secs(30);

/// The head of an answer is waited for at most this long, whatever its client asks for: a
/// call takes room as long as it is waited for.
const LONGEST: Duration = Duration::from_secs(300);

tokio::task_local! {
    static CURRENT: Deadline;
}

/// The moment after which nobody waits for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadline(Instant);

impl Deadline {
    /// The deadline that the headers of a call that begins now ask for.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self(Instant::now() + timeout(headers).unwrap_or(DEFAULT).min(LONGEST))
    }

    /// The deadline of the call that is being answered; `None` outside of any.
    pub(super) fn current() -> Option<Self> {
        CURRENT.try_with(|deadline| *deadline).ok()
    }

    /// Answers a call within this deadline.
    pub(super) async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// The moment.
    pub(super) fn at(self) -> Instant {
        self.0
    }

    /// What is left of it, which may be nothing.
    pub(super) fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// The `grpc-timeout` a client asks for: up to 8 digits and a unit.
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
    async fn no_call_is_waited_for_without_end() {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", "99999999H".parse().unwrap());
        assert_eq!(Deadline::of(&headers).remaining(), LONGEST);
    }

    #[test]
    fn deadlines_are_read_as_grpc_writes_them() {
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
