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
    /// What was said about its first task, once it was.
    pub(crate) thread: Option<Thread>,
}

impl Story {
    /// Its topic has to tell what it waits for now: for its next task, or to be completed.
    /// The ids of tasks are in their order.
    pub(crate) fn waits(&mut self) {
        let mut tasks = self.tasks.iter();
        let next = tasks.find(|(_, state)| **state != "COMPLETED");
        self.events.push(match next {
            Some((task, _)) => ("task.ready", task.clone()),
            None => ("release.ready", self.id.clone()),
        });
    }
}

/// A comment and the reply to it.
#[derive(Debug, Clone)]
pub(crate) struct Thread {
    /// The task they are about.
    pub(crate) task: String,
    /// The id of the comment.
    pub(crate) comment: String,
    /// The id of the reply.
    pub(crate) reply: String,
}

impl Thread {
    /// What its topic has to tell, in this order.
    pub(crate) fn events(&self) -> Vec<Expected> {
        vec![
            ("comment.posted", self.comment.clone()),
            ("comment.replied", self.reply.clone()),
        ]
    }
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

    /// How many events of this type follow from what was accepted.
    pub(crate) fn of_kind(&self, kind: &str) -> usize {
        let of_stories = self.stories.iter().flat_map(|story| &story.events);
        let of_stories = of_stories.filter(|(told, _)| *told == kind).count();
        // Each that was added to the release of all was assigned.
        let of_shared = if kind == "task.assigned" {
            self.shared.len()
        } else {
            0
        };
        of_stories + of_shared
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
