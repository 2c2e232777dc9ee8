//! A steady load: some workers, of whom each has a developer and an admin, at both
//! gateways in turn.

use std::time::Duration;

use serde_json::json;
use slipway_tests::{
    Client, Mesh, Team,
    team::{PASSWORD, id},
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{careful::Careful, ledger::Ledger, worker::Worker};

/// Workers.
pub(crate) const WORKERS: usize = 6;

/// The release that all workers add tasks to at the same time.
pub(crate) const SHARED: &str = "the release of all workers";

/// Commands that are not accepted within this time never will be.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A load that is running.
pub(crate) struct Load {
    workers: JoinSet<Ledger>,
    accepted: mpsc::UnboundedReceiver<()>,
    stop: CancellationToken,
    /// The release of all workers.
    pub(crate) shared: String,
}

impl Load {
    /// Begins to work.
    pub(crate) async fn begin(mesh: &Mesh) -> Self {
        let team = Team::at(&mesh.client(), WORKERS).await.unwrap();
        let second = second_admin(&team.admin).await;
        let shared = team.release(SHARED, &[]).await.unwrap();
        let shared = id(&shared).to_owned();
        let (stop, (sender, accepted)) = (CancellationToken::new(), mpsc::unbounded_channel());
        let mut workers = JoinSet::new();
        for (number, developer) in team.developers.iter().enumerate() {
            let admin = [&team.admin, &second][number % 2];
            let worker = Worker {
                number,
                client: Careful::new(
                    mesh.everywhere(admin),
                    mesh.everywhere(developer),
                    sender.clone(),
                ),
                shared: shared.clone(),
                stop: stop.clone(),
                ledger: Ledger::default(),
            };
            workers.spawn(worker.work());
        }
        Self {
            workers,
            accepted,
            stop,
            shared,
        }
    }

    /// Waits until so many more commands have been accepted, from now on.
    pub(crate) async fn more(&mut self, commands: usize) {
        while self.accepted.try_recv().is_ok() {}
        for n in 0..commands {
            let next = tokio::time::timeout(TIMEOUT, self.accepted.recv()).await;
            let all_there = matches!(next, Ok(Some(())));
            if !all_there {
                self.fail(&format!("{n} of {commands} commands were accepted"))
                    .await;
            }
        }
    }

    /// Stops; returns what the workers were told.
    pub(crate) async fn end(mut self) -> Ledger {
        self.stop.cancel();
        let mut ledger = Ledger::default();
        while let Some(worker) = self.workers.join_next().await {
            ledger.add(worker.unwrap());
        }
        ledger
    }

    /// If a worker has panicked, that is the reason.
    async fn fail(&mut self, what: &str) -> ! {
        while let Some(worker) = self.workers.try_join_next() {
            worker.unwrap();
        }
        panic!("{what}");
    }
}

async fn second_admin(first: &Client) -> Client {
    let body = json!({
        "username": "second",
        "email": "second@example.com",
        "password": PASSWORD,
        "role": "ADMIN",
    });
    let answer = first
        .post("/auth/register", &body)
        .await
        .unwrap()
        .expect(201);
    first.with_token(answer["token"].as_str().unwrap())
}
