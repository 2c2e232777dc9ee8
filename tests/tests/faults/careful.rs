//! A careful client: gives one command after the other, repeats what was not answered
//! until it knows what came of it, and goes to another gateway when one fails it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use slipway_tests::{Answer, Client};
use tokio::{
    sync::mpsc,
    time::{Interval, MissedTickBehavior},
};

use crate::ledger::Answered;

/// Between two requests, at least.
const PACE: Duration = Duration::from_millis(100);

/// Who is not answered within this time stops waiting.
const TIMEOUT: Duration = Duration::from_secs(5);

/// As whom a command is given.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Who {
    Admin,
    Developer,
}

/// What came of a request.
enum Outcome {
    Accepted(Value),
    Refused(Answer),
    Unknown,
}

/// A client with two accounts.
pub(crate) struct Careful {
    /// Its accounts at each gateway, by [`Who`].
    accounts: [Vec<Client>; 2],
    /// Is told of each accepted command.
    accepted: mpsc::UnboundedSender<()>,
    pace: Interval,
    /// The gateway to ask next.
    gateway: usize,
    answers: Vec<Answered>,
    longest: Duration,
    /// Commands that may still be carried out, long after they were given up.
    adrift: BTreeSet<String>,
}

impl Careful {
    /// A client with these accounts at each gateway.
    pub(crate) fn new(
        admins: Vec<Client>,
        developers: Vec<Client>,
        accepted: mpsc::UnboundedSender<()>,
    ) -> Self {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            accounts: [admins, developers],
            accepted,
            pace,
            gateway: 0,
            answers: Vec::new(),
            longest: Duration::ZERO,
            adrift: BTreeSet::new(),
        }
    }

    /// Asks this gateway next.
    pub(crate) fn go_to(&mut self, gateway: usize) {
        self.gateway = gateway;
    }

    /// Every answer, and the longest time from a command's first try to its acceptance.
    pub(crate) fn told(self) -> (Vec<Answered>, Duration) {
        (self.answers, self.longest)
    }

    /// A plan that has to be refused, if it is answered at all.
    pub(crate) async fn refused_plan(&mut self, body: &Value, name: &str) {
        let plan = |admin: &Client| post(admin, "/releases", body, name);
        match self.ask(Who::Admin, plan).await {
            Outcome::Refused(answer) => {
                let _ = answer.refused(400, "INVALID_ARGUMENT");
            }
            Outcome::Unknown => {}
            Outcome::Accepted(body) => panic!("{name} must be refused: {body:#}"),
        }
    }

    /// A command that has to be refused by this rule, if it is answered at all.
    pub(crate) async fn refused(&mut self, who: Who, path: &str, code: &str) {
        match self.ask(who, |client| patch(client, path)).await {
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
    pub(crate) async fn post(&mut self, path: &str, body: &Value, name: &str) -> Value {
        let begun = Instant::now();
        loop {
            match self
                .ask(Who::Admin, |admin| post(admin, path, body, name))
                .await
            {
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
    pub(crate) async fn patch(
        &mut self,
        who: Who,
        path: &str,
        act: &str,
        done: impl Fn(&Value) -> bool,
    ) {
        let (begun, command) = (Instant::now(), format!("{path}/{act}"));
        loop {
            match self.ask(who, |client| patch(client, &command)).await {
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
                    let found = self.read(who, path).await;
                    if found.is_some_and(|found| done(&found)) {
                        self.accepted(begun);
                        return;
                    }
                }
            }
        }
    }

    async fn read(&self, who: Who, path: &str) -> Option<Value> {
        let request = self.client(who).get(path);
        let answer = tokio::time::timeout(TIMEOUT, request).await.ok()?.ok()?;
        (answer.status == 200).then_some(answer.body)
    }

    fn accepted(&mut self, begun: Instant) {
        self.longest = self.longest.max(begun.elapsed());
        // Nobody may be interested any more.
        let _ = self.accepted.send(());
    }

    fn client(&self, who: Who) -> &Client {
        let clients = &self.accounts[who as usize];
        &clients[self.gateway % clients.len()]
    }

    /// One request. If it fails, the next goes to another gateway.
    async fn ask(&mut self, who: Who, request: impl Fn(&Client) -> RequestBuilder) -> Outcome {
        self.pace.tick().await;
        let client = self.client(who).clone();
        let sent = Instant::now();
        let answer = client.send(request(&client).timeout(TIMEOUT)).await;
        let answered = Answered {
            sent,
            took: sent.elapsed(),
            status: answer.as_ref().ok().map(|answer| answer.status),
        };
        self.answers.push(answered);
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
    let request = client.request(Method::POST, path);
    let key = name.replace(' ', "-");
    request.header("idempotency-key", key).json(body)
}

fn patch(client: &Client, path: &str) -> RequestBuilder {
    client.request(Method::PATCH, path)
}
