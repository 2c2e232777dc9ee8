//! From a commit to its event on the topic, and from there to its entry on the wall: two
//! replicas of each role, on a real Kafka and a MongoDB-compatible server of their own.
//!
//! An own client of Kafka and a client of the stream note when they have what. All clocks
//! are this machine's.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use hdrhistogram::Histogram;
use slipway_tests::{
    Backbones, Client, Mesh, Team,
    team::task_ids,
    topics::{ACTIVITY, Told, Topics},
};
use tokio::{sync::mpsc, time::MissedTickBehavior};

use super::{
    Plan,
    load::{histogram, millis, note},
    report::Line,
};

/// Task operations at the same moment.
const AT_ONCE: usize = 100;

/// How many times: starts and completions in turn.
const ROUNDS: usize = 10;

/// Between two commands of the steady part: fifty a second.
const PACE: Duration = Duration::from_millis(20);

/// What has not arrived after this time never will.
const PATIENCE: Duration = Duration::from_secs(60);

const TOPIC_P95_MS: f64 = 100.0;
const STORED_P95_MS: f64 = 1_000.0;

/// The row `events`.
pub(super) async fn events(plan: &Plan) -> anyhow::Result<Vec<Line>> {
    let mesh = Mesh::on(Backbones::run().await?).await?;
    let steady = (plan.time.as_secs_f64() / PACE.as_secs_f64()).ceil() as usize;
    let mut crew = Crew::assemble(&mesh, steady).await?;
    let mut ears = Ears::open(&mesh, &crew.team.admin).await?;

    let mut at_once = Delays::new();
    for _ in 0..ROUNDS {
        let commands = (0..AT_ONCE).map(|developer| crew.command(&mesh, developer));
        let commands = commands.collect::<anyhow::Result<Vec<_>>>()?;
        try_join_all(commands.into_iter().map(give)).await?;
        at_once.add(ears.heard(AT_ONCE).await?);
    }
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for n in 0..steady {
        pace.tick().await;
        give(crew.command(&mesh, n % AT_ONCE)?).await?;
    }
    let mut steadily = Delays::new();
    steadily.add(ears.heard(steady).await?);

    let all = format!("{0} of {0}, each once", AT_ONCE * ROUNDS);
    Ok(vec![
        Line::new(
            format!("events of {AT_ONCE} task operations at once, {ROUNDS} times"),
            all,
        )
        .target("all", true),
        at_once
            .topic("commit → on the topic, 100 at once")
            .without_target(),
        at_once.stored("on the topic → on the wall, 100 at once"),
        steadily.topic("commit → on the topic, at most 50 commands a second"),
        steadily.stored("on the topic → on the wall, at most 50 commands a second"),
    ])
}

/// Developers with a release each, of tasks that are all theirs.
struct Crew {
    team: Team,
    tasks: Vec<Vec<String>>,
    /// How many commands each has given.
    given: Vec<usize>,
}

impl Crew {
    async fn assemble(mesh: &Mesh, steady: usize) -> anyhow::Result<Self> {
        let team = Team::at(&mesh.client(), AT_ONCE).await?;
        // A task is two commands.
        let each = (ROUNDS + steady.div_ceil(AT_ONCE)).div_ceil(2);
        let mut tasks = Vec::new();
        for developer in 0..AT_ONCE {
            let name = format!("release of {developer}");
            let release = team.release(&name, &vec![developer; each]).await?;
            tasks.push(task_ids(&release));
        }
        Ok(Self {
            team,
            tasks,
            given: vec![0; AT_ONCE],
        })
    }

    /// A developer's next command, at one of the gateways.
    fn command(&mut self, mesh: &Mesh, developer: usize) -> anyhow::Result<(Client, String)> {
        let given = self.given[developer];
        self.given[developer] += 1;
        let task = self.tasks[developer]
            .get(given / 2)
            .context("there are tasks enough")?;
        let step = if given.is_multiple_of(2) {
            "start"
        } else {
            "complete"
        };
        let client = mesh.anywhere(&self.team.developers[developer]);
        Ok((client, format!("/tasks/{task}/{step}")))
    }
}

async fn give((client, path): (Client, String)) -> anyhow::Result<()> {
    let answer = client.patch(&path).await?;
    ensure!(
        answer.status == 200,
        "a command was answered with {}",
        answer.body
    );
    Ok(())
}

/// What listens to the topics and to the wall.
struct Ears {
    topics: mpsc::UnboundedReceiver<(Told, SystemTime)>,
    wall: mpsc::UnboundedReceiver<(String, SystemTime)>,
    /// Events that were here before: a later one of that id has been published again.
    known: HashSet<String>,
}

/// An event, and when its entry was here.
type Heard = Vec<(Told, SystemTime, SystemTime)>;

impl Ears {
    /// Listens to what comes, when everything that was is on the wall.
    async fn open(mesh: &Mesh, admin: &Client) -> anyhow::Result<Self> {
        let brokers = Topics::of(&mesh.backbones()?.kafka);
        brokers.consumed_by(ACTIVITY).await?;
        let topics = brokers.follow().await?;
        let mut stream = admin.stream("", None).await?;
        let (sender, wall) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            // Until the stream or the measurement ends.
            while let Ok((_, entry)) = stream.entry().await {
                let id = entry["id"].as_str().unwrap_or_default().to_owned();
                if sender.send((id, SystemTime::now())).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            topics,
            wall,
            known: HashSet::new(),
        })
    }

    /// The next so many events, at both.
    async fn heard(&mut self, count: usize) -> anyhow::Result<Heard> {
        let both = async {
            let (mut told, mut entries) = (Vec::new(), HashMap::new());
            while told.len() < count {
                let (event, at) = self.topics.recv().await.context("the topics ended")?;
                if self.known.insert(event.id.clone()) {
                    told.push((event, at));
                }
            }
            while entries.len() < count {
                let (id, at) = self.wall.recv().await.context("the stream ended")?;
                ensure!(
                    entries.insert(id, at).is_none(),
                    "an event is on the wall twice"
                );
            }
            told.into_iter()
                .map(|(event, at)| {
                    let stored = entries
                        .get(&event.id)
                        .context("an event is not on the wall")?;
                    Ok((event, at, *stored))
                })
                .collect()
        };
        tokio::time::timeout(PATIENCE, both)
            .await
            .context("events are missing")?
    }
}

/// How long it took, in microseconds.
struct Delays {
    topic: Histogram<u64>,
    stored: Histogram<u64>,
}

impl Delays {
    fn new() -> Self {
        Self {
            topic: histogram(),
            stored: histogram(),
        }
    }

    fn add(&mut self, heard: Heard) {
        for (event, on_topic, stored) in heard {
            // Clocks that are set back make a delay of nothing.
            let since = |from, to: SystemTime| to.duration_since(from).unwrap_or_default();
            note(&mut self.topic, since(event.happened, on_topic));
            note(&mut self.stored, since(event.produced, stored));
        }
    }

    fn topic(&self, what: &str) -> Line {
        line(what, &self.topic, "p95 100 ms", TOPIC_P95_MS)
    }

    fn stored(&self, what: &str) -> Line {
        line(what, &self.stored, "p95 1 s", STORED_P95_MS)
    }
}

fn line(what: &str, times: &Histogram<u64>, target: &'static str, p95_ms: f64) -> Line {
    let [p50, p95] = [0.5, 0.95].map(|quantile| millis(times, quantile));
    Line::new(what, format!("p50 {p50:.1} ms, p95 {p95:.1} ms"))
        .target(target, p95 <= p95_ms)
        .figures(&[("p50Ms", p50), ("p95Ms", p95)])
}
