//! A mesh under load, in which a test breaks something, and the row that comes of it.

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
    /// Commands, all the while.
    pub(crate) load: Load,
    /// The topics.
    pub(crate) topics: Topics,
}

impl Scene {
    /// A mesh whose load has begun; `None`, said loudly, where tests on real servers were
    /// not asked for.
    pub(crate) async fn set() -> Option<Self> {
        let mesh = Mesh::replicas().await.unwrap()?;
        let topics = Topics::of(&mesh.backbones().unwrap().kafka);
        let mut load = Load::begin(&mesh).await;
        load.more(30).await;
        Some(Self { mesh, load, topics })
    }

    /// Ends the load, waits for what it has caused, and checks everything.
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

/// What was checked.
pub(crate) struct Outcome {
    /// It goes on running.
    pub(crate) mesh: Mesh,
    /// What the workers were told.
    pub(crate) ledger: Ledger,
    /// What came of it.
    pub(crate) checked: Checked,
}

impl Outcome {
    /// Every command was answered, and none with 503 or 504: what failed is of no concern
    /// to commands.
    pub(crate) fn no_command_failed(&self) {
        assert_eq!(self.ledger.count(Answered::unknown), 0);
    }

    /// Prints a row of the table in `docs/faults.md`.
    pub(crate) fn row(&self, fault: &str, note: &str) {
        let Self {
            ledger, checked, ..
        } = self;
        // The name of the test stands at the beginning of the line.
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

/// As it stands in the table.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}
