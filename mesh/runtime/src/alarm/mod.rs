//! Alerts for administrators: any code can raise one.
//!
//! [`raise`] and [`resolve`] take one lock and never wait. A condition that is raised repeatedly is
//! counted; it is reported immediately the first time, and then every ten seconds at most
//! ([`ledger`]). The code that delivers alerts takes the reports that are [`due`] and confirms each
//! with [`delivered`]. Until then the ledger stores them: a bounded number of conditions, each with
//! its count.
//!
//! Nothing in this module raises an alert, and nothing that runs in [`delivering`] does, so no
//! alert can cause another one.
//!
//! | module | |
//! | --- | --- |
//! | [`ledger`] | the alerts that were raised and not delivered yet: pure |
//! | [`watch`] | raises alerts for failed health checks and panics |

mod ledger;
pub mod watch;

use std::{future::Future, sync::LazyLock};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use ledger::Ledger;
pub use ledger::Report;

use crate::telemetry::TraceContext;

/// What kind of problem an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A dependency of a service is unreachable.
    Unreachable,
    /// The bus is unreachable.
    BusUnreachable,
    /// A dependency of a service is not writable: its disk is full or has failed, or its file is
    /// damaged.
    Unwritable,
    /// The bus is not writable, for the same reasons.
    BusUnwritable,
    /// A consumer has made no progress for over a minute: it cannot join, publish dead letters or
    /// commit.
    ConsumerLost,
    /// A consumer has been retrying the same events for over a minute.
    ConsumerStuck,
    /// Events have waited for the bus for over a minute.
    OutboxGrows,
    /// The bus refuses an event for good, for example because it is too large.
    EventRefused,
    /// Events became dead letters.
    DeadLetter,
    /// Requests are answered with internal errors.
    ErrorAnswers,
    /// A thread or a task panicked.
    Panic,
    /// A backup could not be made.
    BackupFailed,
}

impl Kind {
    /// The name of the kind in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::BusUnreachable => "bus-unreachable",
            Self::Unwritable => "unwritable",
            Self::BusUnwritable => "bus-unwritable",
            Self::ConsumerLost => "consumer-lost",
            Self::ConsumerStuck => "consumer-stuck",
            Self::OutboxGrows => "outbox-grows",
            Self::EventRefused => "event-refused",
            Self::DeadLetter => "dead-letter",
            Self::ErrorAnswers => "error-answers",
            Self::Panic => "panic",
            Self::BackupFailed => "backup-failed",
        }
    }

    /// Whether this is an expected consequence while the bus is unreachable or not writable: then
    /// it is not reported in addition.
    fn follows_from_the_bus(self) -> bool {
        matches!(self, Self::ConsumerLost | Self::OutboxGrows)
    }

    /// Whether the problem is the bus itself: then it is not reported through the bus.
    #[must_use]
    pub fn is_about_the_bus(self) -> bool {
        matches!(
            self,
            Self::BusUnreachable | Self::BusUnwritable | Self::ConsumerLost | Self::OutboxGrows
        )
    }
}

/// A condition of this process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Condition {
    /// The kind of problem.
    pub kind: Kind,
    /// Its subject, for instance a dependency.
    pub about: String,
}

/// The conditions of this process. Global, like its metrics: code that raises an alert need not
/// know the code that delivers it.
static ALARMS: LazyLock<Alarms> = LazyLock::new(Alarms::default);

#[derive(Default)]
struct Alarms {
    ledger: Mutex<Ledger>,
    news: Notify,
}

/// Raises an alert about `about`, of which there must be few different ones; `summary` is one line
/// without secrets. Call it each time the problem occurs, and repeatedly while it lasts.
pub fn raise(kind: Kind, about: &str, summary: &str) {
    let trace = TraceContext::scoped().map(TraceContext::trace_id);
    let condition = Condition {
        kind,
        about: about.to_owned(),
    };
    let (at, now) = (Timestamp::now(), Instant::now());
    let is_news = {
        let mut ledger = ALARMS.ledger.lock();
        let without_bus = [Kind::BusUnreachable, Kind::BusUnwritable];
        if kind.follows_from_the_bus() && without_bus.iter().any(|kind| ledger.stands(*kind)) {
            return;
        }
        ledger.raise(condition, summary, trace, at, now)
    };
    if is_news {
        ALARMS.news.notify_one();
    }
}

/// Ends a condition. A condition that was not raised may also be resolved.
pub fn resolve(kind: Kind, about: &str) {
    let condition = Condition {
        kind,
        about: about.to_owned(),
    };
    if ALARMS.ledger.lock().resolve(&condition) {
        ALARMS.news.notify_one();
    }
}

/// The reports to deliver now.
#[must_use]
pub fn due() -> Vec<Report> {
    ALARMS.ledger.lock().due(Instant::now())
}

/// Confirms that a report was delivered: it is no longer due.
pub fn delivered(report: &Report) {
    ALARMS.ledger.lock().delivered(report);
}

/// Waits until there is a new report to deliver.
pub async fn news() {
    ALARMS.news.notified().await;
}

tokio::task_local! {
    /// Set in the task that delivers alerts, so that it raises none.
    static DELIVERING: ();
}

/// Runs the delivery of alerts. Code within it raises no alert, not even when it panics.
pub async fn delivering<F: Future>(delivery: F) -> F::Output {
    DELIVERING.scope((), delivery).await
}

fn is_delivering() -> bool {
    DELIVERING.try_with(|()| ()).is_ok()
}

/// For tests: whether the condition is active.
#[cfg(feature = "testing")]
#[must_use]
pub fn stands(kind: Kind, about: &str) -> bool {
    let about = about.to_owned();
    ALARMS.ledger.lock().has(&Condition { kind, about })
}
