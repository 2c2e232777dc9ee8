//! Closed-loop load: each client sends its next request after the answer to the previous one.

use std::{
    net::SocketAddr,
    ops::Range,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure};
use futures::future::try_join_all;
use hdrhistogram::Histogram;
use serde_json::Value;

use super::wire::{self, Connection};

/// Warm-up before measuring: connections, caches and allocators reach their size.
pub(crate) const WARM_UP: Duration = Duration::from_secs(1);

/// The requests of one client, one after the other.
pub(crate) enum Script {
    /// The same request repeatedly.
    Repeat(Vec<u8>),
    /// Starts and completes one task after the other.
    Work(Shift),
}

/// A developer's tasks, in an order in which they can be worked on.
pub(crate) struct Shift {
    tasks: std::vec::IntoIter<String>,
    started: Option<String>,
    tail: String,
}

impl Shift {
    pub(crate) fn new(tasks: Vec<String>, token: &str) -> Self {
        Self {
            tasks: tasks.into_iter(),
            started: None,
            tail: wire::tail(token),
        }
    }

    /// Whether a task is started; then the next command completes it.
    pub(crate) fn is_at_work(&self) -> bool {
        self.started.is_some()
    }

    /// Writes the next command; `false` if there is none left.
    pub(crate) fn next(&mut self, request: &mut Vec<u8>) -> bool {
        let (task, step) = match self.started.take() {
            Some(task) => (task, "complete"),
            None => match self.tasks.next() {
                Some(task) => {
                    self.started = Some(task.clone());
                    (task, "start")
                }
                None => return false,
            },
        };
        request.clear();
        for part in ["PATCH /tasks/", &task, "/", step, &self.tail] {
            request.extend_from_slice(part.as_bytes());
        }
        true
    }
}

impl Script {
    /// `GET` this path.
    pub(crate) fn get(path: &str, token: &str) -> Self {
        Self::Repeat(format!("GET {path}{}", wire::tail(token)).into_bytes())
    }

    /// `PATCH` this path, without a body.
    pub(crate) fn patch(path: &str, token: &str) -> Self {
        Self::Repeat(format!("PATCH {path}{}", wire::tail(token)).into_bytes())
    }

    /// `POST` this body to this path.
    pub(crate) fn post(path: &str, body: &Value, token: &str) -> Self {
        Self::Repeat(wire::post(path, body, token))
    }

    fn next(&mut self, request: &mut Vec<u8>) -> bool {
        match self {
            Self::Repeat(bytes) => {
                request.clear();
                request.extend_from_slice(bytes);
                true
            }
            Self::Work(shift) => shift.next(request),
        }
    }
}

/// The result of a run.
pub(crate) struct Outcome {
    /// Times in microseconds from before a request to the end of its answer.
    pub(crate) times: Histogram<u64>,
    seconds: f64,
}

impl Outcome {
    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.times.len() as f64 / self.seconds
    }

    /// A quantile in milliseconds.
    pub(crate) fn millis(&self, quantile: f64) -> f64 {
        millis(&self.times, quantile)
    }
}

/// A histogram of microseconds, up to a minute, in three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("these bounds are in order")
}

/// A quantile of such a histogram in milliseconds.
pub(crate) fn millis(times: &Histogram<u64>, quantile: f64) -> f64 {
    times.value_at_quantile(quantile) as f64 / 1000.0
}

/// Records a time; more than a minute counts as one minute.
pub(crate) fn note(times: &mut Histogram<u64>, time: Duration) {
    times.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
}

/// Runs every script on its own connection.
///
/// # Errors
/// If an answer is not 200 or 201, or a script ends too early.
pub(crate) async fn run(
    address: SocketAddr,
    scripts: Vec<Script>,
    time: Duration,
) -> anyhow::Result<Outcome> {
    answered(address, scripts, time, &[200, 201]).await
}

/// The same while a service is unavailable.
///
/// # Errors
/// If an answer is not 503.
pub(crate) async fn run_refused(
    address: SocketAddr,
    scripts: Vec<Script>,
    time: Duration,
) -> anyhow::Result<Outcome> {
    answered(address, scripts, time, &[503]).await
}

async fn answered(
    address: SocketAddr,
    scripts: Vec<Script>,
    time: Duration,
    expected: &'static [u16],
) -> anyhow::Result<Outcome> {
    let begin = Instant::now() + WARM_UP;
    let clients = scripts
        .into_iter()
        .map(|script| client(address, script, expected, begin..begin + time));
    let mut times = histogram();
    for of_one in try_join_all(clients.map(tokio::spawn)).await? {
        times.add(of_one?)?;
    }
    ensure!(!times.is_empty(), "nothing was answered in time");
    Ok(Outcome {
        times,
        seconds: time.as_secs_f64(),
    })
}

async fn client(
    address: SocketAddr,
    mut script: Script,
    expected: &[u16],
    Range { start, end }: Range<Instant>,
) -> anyhow::Result<Histogram<u64>> {
    let mut connection = Connection::open(address).await?;
    let (mut times, mut request) = (histogram(), Vec::new());
    loop {
        let sent = Instant::now();
        if sent >= end {
            return Ok(times);
        }
        if !script.next(&mut request) {
            bail!("the prepared tasks ran out: this Slipway is faster than was thought possible");
        }
        let status = connection.call(&request).await?;
        ensure!(
            expected.contains(&status),
            "a request was answered with {status}"
        );
        let answered = Instant::now();
        if sent >= start && answered <= end {
            note(&mut times, answered - sent);
        }
    }
}
