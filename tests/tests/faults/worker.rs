//! One developer and one admin at work, as careful clients: they give one command after the
//! other, repeat what was not answered until they know what came of it, and go to the other
//! gateway when one fails them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use slipway_tests::{Answer, Client, team::id};
use tokio::{
    sync::mpsc,
    time::{Interval, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::ledger::{Answered, Ledger, Story};

/// Between two requests of a worker, at least.
const PACE: Duration = Duration::from_millis(100);

/// Who is not answered within this time stops waiting.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tasks that a worker adds to the release of all: it may have 500.
const SHARED: usize = 50;

/// What came of a request.
enum Outcome {
    Accepted(Value),
    Refused(Answer),
    Unknown,
}

/// A worker of the load.
pub(crate) struct Worker {
    /// Its number and its developer's.
    pub(crate) number: usize,
    /// Its admin at each gateway.
    pub(crate) admins: Vec<Client>,
    /// Its developer at each gateway.
    pub(crate) developers: Vec<Client>,
    /// The release that every worker adds to.
    pub(crate) shared: String,
    /// Is told of each accepted command.
    pub(crate) accepted: mpsc::UnboundedSender<()>,
    /// When to stop.
    pub(crate) stop: CancellationToken,
}

/// A worker's work so far.
struct Shift {
    worker: Worker,
    pace: Interval,
    /// The gateway to ask next.
    gateway: usize,
    ledger: Ledger,
    /// Commands that may still be carried out, long after they were given up.
    adrift: BTreeSet<String>,
}

impl Worker {
    /// Works until told to stop; a release that is begun is brought to its end, so that
    /// the worker knows what came of all it did.
    pub(crate) async fn work(self) -> Ledger {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut shift = Shift {
            gateway: self.number,
            worker: self,
            pace,
            ledger: Ledger::default(),
            adrift: BTreeSet::new(),
        };
        let mut n = 0;
        while !shift.worker.stop.is_cancelled() {
            // Each release begins at another gateway, whatever happened there before.
            shift.gateway = shift.worker.number + n;
            shift.release(n).await;
            n += 1;
        }
        shift.ledger
    }
}

impl Shift {
    /// A release from its plan to its hotfix, with what is refused on the way.
    async fn release(&mut self, n: usize) {
        let number = self.worker.number;
        self.plan_for_nobody(n).await;
        let at = self.plan(&format!("release {number}-{n}")).await;
        let story = &self.ledger.stories[at];
        let (path, tasks) = (
            format!("/releases/{}", story.id),
            story.tasks.keys().cloned().collect::<Vec<_>>(),
        );
        self.refused(
            false,
            &format!("/tasks/{}/start", tasks[1]),
            "TASK_OUT_OF_ORDER",
        )
        .await;
        self.refused(true, &format!("{path}/complete"), "RELEASE_INCOMPLETE")
            .await;
        for task in &tasks {
            self.task(at, task).await;
        }
        self.complete(at).await;
        if n < SHARED {
            self.add_to_shared(n).await;
        }
        let hotfix = self.hotfix(at).await;
        self.task(at, &hotfix).await;
        self.complete(at).await;
    }

    /// Must be refused, and must leave nothing.
    async fn plan_for_nobody(&mut self, n: usize) {
        let name = format!("refused {}-{n}", self.worker.number);
        let body = json!({"name": name, "tasks": [{"title": name, "assignee": "nobody"}]});
        self.ledger.refused.push(name.clone());
        if let Outcome::Refused(answer) = self
            .ask(true, |admin| post(admin, "/releases", &body, &name))
            .await
        {
            let _ = answer.refused(400, "INVALID_ARGUMENT");
        }
    }

    /// Plans a release; returns its place in the ledger.
    async fn plan(&mut self, name: &str) -> usize {
        let developer = format!("dev-{}", self.worker.number);
        let task = |n: usize| json!({"title": format!("{name}, task {n}"), "assignee": developer});
        let body = json!({"name": name, "tasks": [task(0), task(1)]});
        let release = self.post("/releases", &body, name).await;
        let mut story = Story {
            id: id(&release).to_owned(),
            name: name.to_owned(),
            tasks: BTreeMap::new(),
            completed: false,
            events: vec![("release.created", id(&release).to_owned())],
        };
        for task in release["tasks"].as_array().unwrap() {
            story.tasks.insert(id(task).to_owned(), "TODO");
            story.events.push(("task.created", id(task).to_owned()));
            story.events.push(("task.assigned", id(task).to_owned()));
        }
        self.ledger.stories.push(story);
        self.ledger.stories.len() - 1
    }

    /// Starts and completes a task.
    async fn task(&mut self, at: usize, task: &str) {
        let steps = [
            ("start", "IN_PROCESS", "task.started"),
            ("complete", "COMPLETED", "task.completed"),
        ];
        for (step, state, event) in steps {
            let path = format!("/tasks/{task}");
            self.patch(false, &path, step, |task| task["status"] == state)
                .await;
            let story = &mut self.ledger.stories[at];
            story.tasks.insert(task.to_owned(), state);
            story.events.push((event, task.to_owned()));
        }
    }

    async fn complete(&mut self, at: usize) {
        let path = format!("/releases/{}", self.ledger.stories[at].id);
        self.patch(true, &path, "complete", |release| {
            release["isCompleted"] == true
        })
        .await;
        let story = &mut self.ledger.stories[at];
        story.completed = true;
        story.events.push(("release.completed", story.id.clone()));
    }

    /// Adds a task to the completed release; returns its id.
    async fn hotfix(&mut self, at: usize) -> String {
        let story = &self.ledger.stories[at];
        let (path, title) = (
            format!("/releases/{}/tasks", story.id),
            format!("{}, hotfix", story.name),
        );
        let body = json!({"title": title, "assignee": format!("dev-{}", self.worker.number)});
        let task = self.post(&path, &body, &title).await;
        assert_eq!(task["hotfix"], true, "{task:#}");
        let task = id(&task).to_owned();
        let story = &mut self.ledger.stories[at];
        story.completed = false;
        story.tasks.insert(task.clone(), "TODO");
        story.events.extend([
            ("release.reopened", story.id.clone()),
            ("task.created", task.clone()),
            ("task.hotfix_added", task.clone()),
        ]);
        task
    }

    /// Adds a task to the release that the others add to at the same time.
    async fn add_to_shared(&mut self, n: usize) {
        let path = format!("/releases/{}/tasks", self.worker.shared);
        let title = format!("by worker {}: {n}", self.worker.number);
        let body = json!({"title": title, "assignee": format!("dev-{}", self.worker.number)});
        let task = self.post(&path, &body, &title).await;
        self.ledger.shared.push(id(&task).to_owned());
    }

    /// A command that has to be refused by this rule, if it is answered at all.
    async fn refused(&mut self, admin: bool, path: &str, code: &str) {
        match self.ask(admin, |client| patch(client, path)).await {
            Outcome::Refused(answer) => {
                let _ = answer.refused(409, code);
            }
            Outcome::Unknown => {
                self.adrift.insert(path.to_owned());
            }
            Outcome::Accepted(body) => panic!("{path} must be refused: {body:#}"),
        }
    }

    /// POST with an idempotency key, repeated until it is accepted.
    async fn post(&mut self, path: &str, body: &Value, name: &str) -> Value {
        let begun = Instant::now();
        loop {
            match self.ask(true, |admin| post(admin, path, body, name)).await {
                Outcome::Accepted(body) => {
                    self.accepted(begun);
                    return body;
                }
                Outcome::Refused(answer) => {
                    panic!("POST {path}: {} {:#}", answer.status, answer.body)
                }
                Outcome::Unknown => {}
            }
        }
    }

    /// PATCH until it is accepted, or is seen to have been carried out without an answer.
    async fn patch(&mut self, admin: bool, path: &str, act: &str, done: impl Fn(&Value) -> bool) {
        let (begun, command) = (Instant::now(), format!("{path}/{act}"));
        loop {
            match self.ask(admin, |client| patch(client, &command)).await {
                Outcome::Accepted(body) => {
                    assert!(done(&body), "{command}: {body:#}");
                    self.accepted(begun);
                    return;
                }
                Outcome::Unknown => {
                    self.adrift.insert(command.clone());
                }
                Outcome::Refused(answer) => {
                    assert!(
                        self.adrift.contains(&command),
                        "{command}: {} {:#}",
                        answer.status,
                        answer.body
                    );
                    let _ = answer.refused(409, "INVALID_TRANSITION");
                    if self
                        .read(admin, path)
                        .await
                        .is_some_and(|found| done(&found))
                    {
                        self.accepted(begun);
                        return;
                    }
                }
            }
        }
    }

    async fn read(&self, admin: bool, path: &str) -> Option<Value> {
        let request = self.client(admin).get(path);
        let answer = tokio::time::timeout(PATIENCE, request).await.ok()?.ok()?;
        (answer.status == 200).then_some(answer.body)
    }

    fn accepted(&mut self, begun: Instant) {
        self.ledger.longest = self.ledger.longest.max(begun.elapsed());
        // Nobody may be interested any more.
        let _ = self.worker.accepted.send(());
    }

    fn client(&self, admin: bool) -> &Client {
        let clients = if admin {
            &self.worker.admins
        } else {
            &self.worker.developers
        };
        &clients[self.gateway % clients.len()]
    }

    /// One request. If it fails, the next goes to another gateway.
    async fn ask(&mut self, admin: bool, request: impl Fn(&Client) -> RequestBuilder) -> Outcome {
        self.pace.tick().await;
        let client = self.client(admin).clone();
        let sent = Instant::now();
        let answer = client.send(request(&client).timeout(PATIENCE)).await;
        let answered = Answered {
            sent,
            took: sent.elapsed(),
            status: answer.as_ref().ok().map(|answer| answer.status),
        };
        self.ledger.answers.push(answered);
        match answer {
            Ok(answer) if answered.accepted() => Outcome::Accepted(answer.body),
            Ok(answer) if !answered.unknown() => Outcome::Refused(answer),
            other => {
                if let Ok(answer) = other {
                    let waits = !answer.header("retry-after").is_empty();
                    assert!(waits || answer.status != 503, "{:#}", answer.body);
                }
                self.gateway += 1;
                Outcome::Unknown
            }
        }
    }
}

/// What it makes has a name that no other has, which makes a key.
fn post(client: &Client, path: &str, body: &Value, name: &str) -> RequestBuilder {
    let request = client.request(reqwest::Method::POST, path);
    let key = name.replace(' ', "-");
    request.header("idempotency-key", key).json(body)
}

fn patch(client: &Client, path: &str) -> RequestBuilder {
    client.request(reqwest::Method::PATCH, path)
}
