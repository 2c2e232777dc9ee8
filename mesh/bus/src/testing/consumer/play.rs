//! A consumer for tests, with a handler whose results are scripted by the events.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use slipway_proto::events::{Role, UserRegisteredEvent};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    Actor, BusError, Delivery, Event, Record, SharedBus, Subscription,
    consumer::{
        Consumer, Failure, Group, Handler, Host, Order, Refusal, Verdict, dead_letter_topic,
    },
    event::Origin,
    testing::stage::{Stage, take},
};
use slipway_runtime::{
    backoff::Backoff,
    clock::{Clock as _, SystemClock},
    life::{Background, Health},
};

/// Short, but far enough apart to be told apart in a test.
pub const TIERS: &[Duration] = &[
    Duration::from_millis(20),
    Duration::from_millis(40),
    Duration::from_millis(60),
];
pub const FREE: Order = Order::Free { tiers: TIERS };

/// How often and how the recorder refuses a username: `retry-2-x` is refused twice.
fn script(name: &str) -> Option<(Verdict, u32)> {
    let (kind, rest) = name.split_once('-')?;
    let verdict = match kind {
        "retry" => Verdict::Retryable,
        "poison" => Verdict::Poison,
        _ => return None,
    };
    Some((verdict, rest.split('-').next()?.parse().ok()?))
}

/// A store of effects: records the usernames it has handled, each event id once.
#[derive(Default)]
pub struct Recorder {
    pub effects: watch::Sender<Vec<String>>,
    seen: Mutex<HashSet<Uuid>>,
    refused: Mutex<HashMap<String, u32>>,
    pub away_for: Mutex<u32>,
    pub calls: watch::Sender<u32>,
}

#[async_trait]
impl Handler for Recorder {
    async fn handle(&self, events: &[Event]) -> Result<(), Failure> {
        self.calls.send_modify(|calls| *calls += 1);
        let names: Vec<_> = events.iter().map(name).collect();
        assert!(!names.iter().any(|name| name == "panic"), "it is panicked");
        {
            let mut away_for = self.away_for.lock();
            if *away_for > 0 {
                *away_for -= 1;
                return Err(Failure::Transient("away".into()));
            }
        }
        let refusals = self.refusals(events);
        if !refusals.is_empty() {
            return Err(Failure::Events(refusals));
        }
        let mut seen = self.seen.lock();
        let new = events.iter().filter(|event| seen.insert(event.id));
        let new: Vec<_> = new.map(name).collect();
        self.effects.send_modify(|effects| effects.extend(new));
        Ok(())
    }
}

impl Recorder {
    fn refusals(&self, events: &[Event]) -> Vec<Refusal> {
        let mut refused = self.refused.lock();
        let mut refusals = Vec::new();
        for event in events {
            let Some((verdict, times)) = script(&name(event)) else {
                continue;
            };
            let so_far = refused.entry(name(event)).or_default();
            if *so_far < times {
                *so_far += 1;
                refusals.push(Refusal {
                    event_id: event.id,
                    verdict,
                    reason: format!("refusal {so_far}"),
                });
            }
        }
        refusals
    }
}

fn name(event: &Event) -> String {
    event.payload::<UserRegisteredEvent>().unwrap().username
}

pub struct Play<'a> {
    stage: &'a Stage,
    pub bus: SharedBus,
    pub recorder: Arc<Recorder>,
    pub background: Background,
    pub health: Health,
    pub group: &'static str,
    order: Order,
}

impl<'a> Play<'a> {
    pub async fn new(stage: &'a Stage, order: Order) -> Self {
        let bus = stage.open();
        stage.create(&bus, 1).await;
        let mut play = Self::on(stage, bus, order);
        play.start();
        play
    }

    /// Does not start the consumer.
    pub fn on(stage: &'a Stage, bus: SharedBus, order: Order) -> Self {
        Self {
            stage,
            bus,
            recorder: Arc::default(),
            background: Background::default(),
            health: Health::default(),
            group: stage.name("g").leak(),
            order,
        }
    }

    pub fn start(&mut self) {
        self.background = Background::default();
        self.health = Health::default();
        self.consumer().spawn(&self.host());
    }

    pub fn host(&self) -> Host {
        Host {
            bus: self.bus.clone(),
            clock: Arc::new(SystemClock),
            background: self.background.clone(),
            health: self.health.clone(),
        }
    }

    pub fn consumer(&self) -> Consumer {
        Consumer {
            group: Group {
                name: self.group,
                topics: vec![self.stage.name("t")],
                order: self.order,
            },
            handler: self.recorder.clone(),
        }
    }

    pub fn record(&self, username: &str) -> Record {
        let id = Uuid::now_v7();
        let payload = UserRegisteredEvent {
            user_id: id,
            username: username.into(),
            email: "a@example.com".into(),
            role: Role::Developer,
        };
        let origin = Origin {
            service: "test",
            key: id,
            subject: id,
            actor: &Actor::System,
            time: SystemClock.now(),
        };
        Record {
            topic: self.stage.name("t"),
            ..Event::new(&payload, &origin).to_record()
        }
    }

    pub async fn publish(&self, names: &[&str]) {
        let records = names.iter().map(|name| self.record(name)).collect();
        self.bus.publish(records).await.unwrap();
    }

    /// Waits until there are at least `count` effects and returns all.
    pub async fn effects(&self, count: usize) -> Vec<String> {
        let mut effects = self.recorder.effects.subscribe();
        let effects = effects.wait_for(|names| names.len() >= count).await;
        effects.unwrap().clone()
    }

    /// The first `count` dead letters.
    pub async fn dead_letters(&self, count: usize) -> Vec<Delivery> {
        take(&mut self.dead_letter_reader().await, count).await
    }

    /// A subscription to the dead letters.
    pub async fn dead_letter_reader(&self) -> Box<dyn Subscription> {
        let topic = dead_letter_topic(&self.stage.name("t"), self.group);
        let mut backoff = Backoff::default();
        let stop = tokio_util::sync::CancellationToken::new();
        loop {
            match self
                .bus
                .subscribe(
                    &self.stage.name("dead_letter_reader"),
                    std::slice::from_ref(&topic),
                )
                .await
            {
                Ok(dead_letter_reader) => return dead_letter_reader,
                // The consumer creates the topic when it starts.
                Err(BusError::Refused(_)) => assert!(backoff.wait(&stop).await.is_continue()),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

pub fn header<'a>(letter: &'a Delivery, name: &str) -> &'a str {
    letter.record.header(name).unwrap_or_default()
}
