//! A mesh under load, in which a test breaks something, and the resulting row.

use std::time::{Duration, Instant};

use slipway_tests::{Mesh, topics::Topics};

use crate::{
    checker::{Checked, check},
    ledger::{Answered, Ledger},
    load::Load,
};

/// A mesh and its load.
pub(crate) struct Scene {
    /// What is broken.
    pub(crate) mesh: Mesh,
    /// The load of commands.
    pub(crate) load: Load,
    /// The topics.
    pub(crate) topics: Topics,
}

impl Scene {
    /// A mesh with a running load. `None`, with a message on standard error, if tests on real
    /// servers are not enabled.
    pub(crate) async fn set() -> Option<Self> {
        let mesh = Mesh::replicas().await.unwrap()?;
        let topics = Topics::of(&mesh.backbones().unwrap().kafka);
        let mut load = Load::begin(&mesh).await;
        load.more(30).await;
        Some(Self { mesh, load, topics })
    }

    /// Ends the load, waits for its effects, and checks everything.
    pub(crate) async fn check(self) -> Outcome {
        let shared = self.load.shared.clone();
        let ledger = self.load.end().await;
        let ended = Instant::now();
        let checked = check(&self.mesh, &self.topics, &ledger, &shared, ended).await;
        Outcome {
            mesh: self.mesh,
            ledger,
            checked,
        }
    }
}

/// The result of the checks.
pub(crate) struct Outcome {
    /// The mesh, still running.
    pub(crate) mesh: Mesh,
    /// The answers to the workers.
    pub(crate) ledger: Ledger,
    /// The figures of the comparison.
    pub(crate) checked: Checked,
}

impl Outcome {
    /// Asserts that every command was answered, and none with 503 or 504: the fault must not affect
    /// commands.
    pub(crate) fn no_command_failed(&self) {
        assert_eq!(self.ledger.count(Answered::unknown), 0);
    }

    /// Prints a row of the table in `docs/faults.md`.
    pub(crate) fn row(&self, fault: &str, note: &str) {
        let Self {
            ledger, checked, ..
        } = self;
        // The test's name is at the beginning of the line.
        println!(
            "\n| {fault} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {note} |",
            ledger.count(Answered::accepted),
            ledger.count(Answered::refused),
            ledger.count(Answered::unknown),
            seconds(ledger.slowest(Answered::accepted)),
            seconds(ledger.longest),
            checked.events,
            checked.repeated,
            checked.entries,
            seconds(checked.delivered),
        );
    }
}

/// A time, as in the table.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}
