//! What a client was told: every command that was accepted, and what has to be true
//! because of it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// An event, as far as it follows from an accepted command: its type and its subject.
pub(crate) type Expected = (&'static str, String);

/// One answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    /// When the request was sent.
    pub(crate) sent: Instant,
    /// How long its answer took.
    pub(crate) took: Duration,
    /// The status; `None` if there was no answer: whether it was carried out is unknown.
    pub(crate) status: Option<u16>,
}

impl Answered {
    /// Whether the command was accepted.
    pub(crate) fn accepted(&self) -> bool {
        matches!(self.status, Some(200 | 201))
    }

    /// Whether it was refused, and so has no effect.
    pub(crate) fn refused(&self) -> bool {
        matches!(self.status, Some(400 | 409))
    }

    /// Whether its outcome is unknown: no answer, or that something is away.
    pub(crate) fn unknown(&self) -> bool {
        matches!(self.status, None | Some(503 | 504))
    }
}

/// A release, as its only worker knows it.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    /// Its id.
    pub(crate) id: String,
    /// Its name, which no other has.
    pub(crate) name: String,
    /// Its tasks with their states.
    pub(crate) tasks: BTreeMap<String, &'static str>,
    /// Whether it is completed.
    pub(crate) completed: bool,
    /// What its topic has to tell, in this order.
    pub(crate) events: Vec<Expected>,
}

/// Everything that one worker, or all of them, were told.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Every request that was sent.
    pub(crate) answers: Vec<Answered>,
    /// The releases of these workers.
    pub(crate) stories: Vec<Story>,
    /// Tasks that were added to the release of all workers.
    pub(crate) shared: Vec<String>,
    /// Names of releases that were refused: they must have left no trace.
    pub(crate) refused: Vec<String>,
    /// How long the longest command took until it was accepted, with its repetitions.
    pub(crate) longest: Duration,
}

impl Ledger {
    /// With what another worker was told.
    pub(crate) fn add(&mut self, other: Self) {
        self.answers.extend(other.answers);
        self.stories.extend(other.stories);
        self.shared.extend(other.shared);
        self.refused.extend(other.refused);
        self.longest = self.longest.max(other.longest);
    }

    /// How many answers are of this sort.
    pub(crate) fn count(&self, sort: impl Fn(&Answered) -> bool) -> usize {
        self.answers.iter().filter(|answer| sort(answer)).count()
    }

    /// The slowest answer of this sort.
    pub(crate) fn slowest(&self, sort: impl Fn(&Answered) -> bool) -> Duration {
        let answers = self.answers.iter().filter(|answer| sort(answer));
        answers.map(|answer| answer.took).max().unwrap_or_default()
    }
}
