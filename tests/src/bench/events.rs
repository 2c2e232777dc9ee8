//! Measures the delay from a commit to the event on its topic, and from there to the entry in the
//! activity feed, with two replicas of each role, a real Kafka and a MongoDB-compatible server.
//!
//! A Kafka consumer and a client of the stream record the arrivals. All clocks are the same
//! machine's.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use hdrhistogram::Histogram;
use slipway_tests::{Backbones, Client, Mesh, Team, team::task_ids};
use tokio::time::MissedTickBehavior;

use super::{
    Plan,
    listener::{Listener, Received},
    load::{histogram, millis, note},
    report::Line,
};

/// Number of concurrent task operations.
const AT_ONCE: usize = 100;

/// Number of rounds: starts and completions alternate.
const ROUNDS: usize = 10;

/// Time between two commands of the steady part: 50 a second.
const PACE: Duration = Duration::from_millis(20);

const TOPIC_P95_MS: f64 = 100.0;
const STORED_P95_MS: f64 = 1_000.0;

/// The row `events`.
pub(super) async fn events(plan: &Plan) -> anyhow::Result<Vec<Line>> {
    let mesh = Mesh::on(Backbones::run().await?).await?;
    let steady = (plan.time.as_secs_f64() / PACE.as_secs_f64()).ceil() as usize;
    let mut staff = Staff::assemble(&mesh, steady).await?;
    let mut listener = Listener::open(&mesh, &staff.team.admin).await?;

    let mut at_once = Delays::new();
    for _ in 0..ROUNDS {
        let commands = (0..AT_ONCE).map(|developer| staff.command(&mesh, developer));
        let commands = commands.collect::<anyhow::Result<Vec<_>>>()?;
        let answered = try_join_all(commands.into_iter().map(send)).await?;
        at_once.add(
            listener.received(AT_ONCE).await?,
            &answered.into_iter().collect(),
        );
    }
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut answered = HashMap::new();
    for n in 0..steady {
        pace.tick().await;
        answered.extend([send(staff.command(&mesh, n % AT_ONCE)?).await?]);
    }
    let mut steadily = Delays::new();
    steadily.add(listener.received(steady).await?, &answered);

    let all = format!("{0} of {0}, each once", AT_ONCE * ROUNDS);
    let operations = format!("events of {AT_ONCE} task operations at once, {ROUNDS} times");
    Ok(vec![
        Line::new(operations, all).target("all", true),
        at_once.topic("commit → on the topic, 100 at once"),
        at_once.stored("on the topic → in the activity feed, 100 at once"),
        steadily.topic("commit → on the topic, at most 50 commands a second"),
        steadily.stored("on the topic → in the activity feed, at most 50 commands a second"),
    ])
}

/// Developers with one release each, all of whose tasks are theirs.
struct Staff {
    team: Team,
    tasks: Vec<Vec<String>>,
    /// How many commands each has sent.
    sent: Vec<usize>,
}

impl Staff {
    async fn assemble(mesh: &Mesh, steady: usize) -> anyhow::Result<Self> {
        let team = Team::at(&mesh.client(), AT_ONCE).await?;
        // Each task gives two commands.
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
            sent: vec![0; AT_ONCE],
        })
    }

    /// A developer's next command, sent to the gateways in turn.
    fn command(&mut self, mesh: &Mesh, developer: usize) -> anyhow::Result<Command> {
        let sent = self.sent[developer];
        self.sent[developer] += 1;
        let task = self.tasks[developer]
            .get(sent / 2)
            .context("there are tasks enough")?;
        let (step, event) = match sent % 2 {
            0 => ("start", "task.started"),
            _ => ("complete", "task.completed"),
        };
        Ok(Command {
            client: mesh.anywhere(&self.team.developers[developer]),
            path: format!("/tasks/{task}/{step}"),
            event: (event.to_owned(), task.clone()),
        })
    }
}

/// An event's type and subject. Each type occurs once for a task.
type Event = (String, String);

/// A command with the event it causes.
struct Command {
    client: Client,
    path: String,
    event: Event,
}

/// Sends a command; returns when it was answered.
async fn send(command: Command) -> anyhow::Result<(Event, SystemTime)> {
    let answer = command.client.patch(&command.path).await?;
    let answered = SystemTime::now();
    let status = answer.status;
    ensure!(
        status == 200,
        "a command was answered with {status}: {}",
        answer.body
    );
    Ok((command.event, answered))
}

/// Delays in microseconds.
struct Delays {
    /// From the decision, which is before the commit.
    topic: Histogram<u64>,
    /// From the answer, which is after the commit.
    answered: Histogram<u64>,
    stored: Histogram<u64>,
}

impl Delays {
    fn new() -> Self {
        Self {
            topic: histogram(),
            answered: histogram(),
            stored: histogram(),
        }
    }

    fn add(&mut self, received: Received, answered: &HashMap<Event, SystemTime>) {
        for (event, on_topic, stored) in received {
            // An event that arrived before the answer counts as no delay.
            let since = |from, to: SystemTime| to.duration_since(from).unwrap_or_default();
            note(&mut self.topic, since(event.happened, on_topic));
            if let Some(answered) = answered.get(&(event.kind, event.subject)) {
                note(&mut self.answered, since(*answered, on_topic));
            }
            note(&mut self.stored, since(event.produced, stored));
        }
    }

    fn topic(&self, what: &str) -> Line {
        let [p50, p95] = quantiles(&self.topic);
        let [p50_answered, p95_answered] = quantiles(&self.answered);
        let measured = format!(
            "p50 {p50:.1} ms, p95 {p95:.1} ms; after the answer p50 {p50_answered:.1} ms, \
             p95 {p95_answered:.1} ms"
        );
        Line::new(what, measured)
            .target("p95 100 ms", p95 <= TOPIC_P95_MS)
            .figures(&[("p50Ms", p50), ("p95Ms", p95)])
            .figures(&[
                ("answeredP50Ms", p50_answered),
                ("answeredP95Ms", p95_answered),
            ])
    }

    fn stored(&self, what: &str) -> Line {
        let [p50, p95] = quantiles(&self.stored);
        Line::new(what, format!("p50 {p50:.1} ms, p95 {p95:.1} ms"))
            .target("p95 1 s", p95 <= STORED_P95_MS)
            .figures(&[("p50Ms", p50), ("p95Ms", p95)])
    }
}

fn quantiles(times: &Histogram<u64>) -> [f64; 2] {
    [0.5, 0.95].map(|quantile| millis(times, quantile))
}
