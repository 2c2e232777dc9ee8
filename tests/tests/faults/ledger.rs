//! Records the answers to a client: every accepted command, and what must be true because of it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The type and subject of an event that follows from an accepted command.
pub(crate) type Expected = (&'static str, String);

/// One answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    /// When the request was sent.
    pub(crate) sent: Instant,
    /// The time until its answer.
    pub(crate) took: Duration,
    /// The status; `None` if there was no answer, so the outcome is unknown.
    pub(crate) status: Option<u16>,
}

impl Answered {
    /// Whether the command was accepted.
    pub(crate) fn accepted(&self) -> bool {
        matches!(self.status, Some(200 | 201))
    }

    /// Whether it was refused and has no effect.
    pub(crate) fn refused(&self) -> bool {
        matches!(self.status, Some(400 | 409))
    }

    /// Whether its outcome is unknown: no answer, or something was unavailable.
    pub(crate) fn unknown(&self) -> bool {
        matches!(self.status, None | Some(503 | 504))
    }
}

/// A release, as seen by its only worker.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    /// Its id.
    pub(crate) id: String,
    /// Its unique name.
    pub(crate) name: String,
    /// Its tasks with their states.
    pub(crate) tasks: BTreeMap<String, &'static str>,
    /// Whether it is completed.
    pub(crate) completed: bool,
    /// The events its topic must have, in this order.
    pub(crate) events: Vec<Expected>,
    /// The discussion of its first task, once there is one.
    pub(crate) thread: Option<Thread>,
}

impl Story {
    /// Adds the event for what became ready: the next task, or the release. Task ids sort in the
    /// order of the tasks.
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
    /// The events its topic must have, in this order.
    pub(crate) fn events(&self) -> Vec<Expected> {
        vec![
            ("comment.posted", self.comment.clone()),
            ("comment.replied", self.reply.clone()),
        ]
    }
}

/// The answers to one worker, or to all of them.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Every request that was sent.
    pub(crate) answers: Vec<Answered>,
    /// The releases of these workers.
    pub(crate) stories: Vec<Story>,
    /// Tasks that were added to the shared release.
    pub(crate) shared: Vec<String>,
    /// Names of refused releases: they must have left no trace.
    pub(crate) refused: Vec<String>,
    /// The longest time until a command was accepted, including its repetitions.
    pub(crate) longest: Duration,
}

impl Ledger {
    /// Adds the answers to another worker.
    pub(crate) fn add(&mut self, other: Self) {
        self.answers.extend(other.answers);
        self.stories.extend(other.stories);
        self.shared.extend(other.shared);
        self.refused.extend(other.refused);
        self.longest = self.longest.max(other.longest);
    }

    /// How many events of this type follow from the accepted commands.
    pub(crate) fn of_kind(&self, kind: &str) -> usize {
        let of_stories = self.stories.iter().flat_map(|story| &story.events);
        let of_stories = of_stories.filter(|(event, _)| *event == kind).count();
        // Each task that was added to the shared release was assigned.
        let of_shared = if kind == "task.assigned" {
            self.shared.len()
        } else {
            0
        };
        of_stories + of_shared
    }

    /// Number of answers of this kind.
    pub(crate) fn count(&self, sort: impl Fn(&Answered) -> bool) -> usize {
        self.answers.iter().filter(|answer| sort(answer)).count()
    }

    /// The slowest answer of this kind.
    pub(crate) fn slowest(&self, sort: impl Fn(&Answered) -> bool) -> Duration {
        let answers = self.answers.iter().filter(|answer| sort(answer));
        answers.map(|answer| answer.took).max().unwrap_or_default()
    }
}
