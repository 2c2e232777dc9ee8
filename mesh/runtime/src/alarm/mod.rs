//! Alarms: any code says what is wrong, and administrators hear of it.
//!
//! [`raise`] and [`resolve`] cost a lock and never wait. What is raised again and again
//! is counted, and reported at once the first time and every ten seconds at most after
//! that ([`ledger`]). Whoever delivers them takes what is [`due`], and says what has been
//! [`delivered`]. Until then the ledger keeps them: a bounded number of conditions, each with
//! its count.
//!
//! Nothing in here raises an alarm, and nothing that runs in [`delivering`], so none can cause
//! another one.
//!
//! | module | |
//! | --- | --- |
//! | [`ledger`] | what has been raised and not been delivered: pure |
//! | [`watch`] | raises what health checks and panics say |

mod ledger;
pub mod watch;

use std::{future::Future, sync::LazyLock};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use ledger::Ledger;
pub use ledger::Report;

use crate::telemetry::TraceContext;

/// What sort of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Something that a service needs cannot be reached.
    Unreachable,
    /// The bus cannot be reached.
    BusUnreachable,
    /// Something that a service needs takes no writes: its disk is full or has failed, or its
    /// file is damaged.
    Unwritable,
    /// The bus takes no writes, for the same reasons.
    BusUnwritable,
    /// A consumer has not got on for over a minute: it cannot join, put aside or commit.
    ConsumerLost,
    /// A consumer has been trying the same events for over a minute.
    ConsumerStuck,
    /// Events have waited for the bus for over a minute.
    OutboxGrows,
    /// The bus refuses an event for good, as one that is too large.
    EventRefused,
    /// Events were put aside as dead letters.
    DeadLetter,
    /// Requests are answered with errors of ours.
    ErrorAnswers,
    /// A thread or a task panicked.
    Panic,
}

impl Kind {
    /// As it is told.
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
        }
    }

    /// Whether it is what is to be expected while the bus cannot be reached or written: then
    /// it is not told beside that.
    fn follows_from_the_bus(self) -> bool {
        matches!(self, Self::ConsumerLost | Self::OutboxGrows)
    }

    /// Whether the bus is what is wrong: then it is not told by it.
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
    /// Its kind.
    pub kind: Kind,
    /// What it is about.
    pub about: String,
}

/// What this process has raised. One for the process, like its metrics: whoever raises
/// something need not know who delivers it.
static ALARMS: LazyLock<Alarms> = LazyLock::new(Alarms::default);

#[derive(Default)]
struct Alarms {
    ledger: Mutex<Ledger>,
    news: Notify,
}

/// Something is wrong: with `about`, of which there are few, as `summary` says in one line
/// without a secret. To be repeated as often as it happens, and while it lasts.
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

/// It is over. What was not raised need not be resolved, but may be.
pub fn resolve(kind: Kind, about: &str) {
    let condition = Condition {
        kind,
        about: about.to_owned(),
    };
    if ALARMS.ledger.lock().resolve(&condition) {
        ALARMS.news.notify_one();
    }
}

/// What is to be delivered now.
#[must_use]
pub fn due() -> Vec<Report> {
    ALARMS.ledger.lock().due(Instant::now())
}

/// A report has arrived: it is not due any more.
pub fn delivered(report: &Report) {
    ALARMS.ledger.lock().delivered(report);
}

/// Returns when something is due that was not before.
pub async fn news() {
    ALARMS.news.notified().await;
}

tokio::task_local! {
    /// Set in what delivers alarms: what goes wrong there raises none.
    static DELIVERING: ();
}

/// Runs what delivers alarms: not even a panic in it raises one.
pub async fn delivering<F: Future>(delivery: F) -> F::Output {
    DELIVERING.scope((), delivery).await
}

fn is_delivering() -> bool {
    DELIVERING.try_with(|()| ()).is_ok()
}

/// For tests: whether it is raised and not over.
#[cfg(feature = "testing")]
#[must_use]
pub fn stands(kind: Kind, about: &str) -> bool {
    let about = about.to_owned();
    ALARMS.ledger.lock().has(&Condition { kind, about })
}
