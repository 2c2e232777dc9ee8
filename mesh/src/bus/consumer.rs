//! How a service consumes: in batches, committing after the effect.
//!
//! - A handler stores the effect of a batch, once per event id, in one write; only then
//!   are the offsets committed. A crash between the two delivers the batch again.
//! - While what the handler needs is away, the same batch is tried again with growing
//!   delay, and nothing behind it overtakes.
//! - What is no event, and an event the handler panics on twice, goes to the group's
//!   dead-letter topic with the reason, and the partition goes on.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::FutureExt as _;
use rand::RngExt as _;
use tokio_util::sync::CancellationToken;

use super::{BusError, Delivery, Event, Record, SharedBus, Subscription, TopicSpec};
use crate::{clock::SharedClock, grpc::panic_text, life::Background, telemetry::metrics as m};

/// Events handled in one write at most.
const BATCH: usize = 500;

const FIRST_DELAY: Duration = Duration::from_millis(50);
const LAST_DELAY: Duration = Duration::from_secs(10);

/// Why a dead letter is one.
pub const REASON: &str = "slipway-dead-letter-reason";
const ORIGIN_TOPIC: &str = "slipway-dead-letter-topic";
const ORIGIN_PARTITION: &str = "slipway-dead-letter-partition";
const ORIGIN_OFFSET: &str = "slipway-dead-letter-offset";

/// The handler could not store the effect of a batch: what it needs is away. It is not
/// the events' fault, so they are tried again.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Transient(pub String);

/// What a consumer group does with events.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Stores the effect of `events`, in their order, all or nothing, and of each event
    /// id only once.
    ///
    /// # Errors
    /// [`Transient`] if that cannot be done at the moment.
    async fn handle(&self, events: &[Event]) -> Result<(), Transient>;
}

/// A consumer group to be run.
pub struct Consumer {
    /// The group's name.
    pub group: &'static str,
    /// What it consumes.
    pub topics: Vec<String>,
    /// What it does.
    pub handler: Arc<dyn Handler>,
}

impl Consumer {
    /// Runs the group's member in the background until it is told to stop: then the
    /// batch in hand is finished and committed.
    pub fn spawn(self, bus: SharedBus, clock: SharedClock, background: &Background) {
        let consumer = Arc::new(self);
        background.spawn(consumer.group, move |stop| {
            let run = Run {
                consumer: Arc::clone(&consumer),
                bus: Arc::clone(&bus),
                clock: Arc::clone(&clock),
                stop,
            };
            async move {
                let mut delay = Delay::default();
                while let Err(error) = run.until_stopped(&mut delay).await {
                    tracing::warn!(group = run.consumer.group, %error, "the consumer lost the bus");
                    if delay.wait(&run.stop).await.is_break() {
                        return;
                    }
                }
            }
        });
    }
}

/// A delay that grows until it is reset.
#[derive(Debug, Default)]
pub(crate) struct Delay {
    last: Option<Duration>,
}

impl Delay {
    pub(crate) fn reset(&mut self) {
        self.last = None;
    }

    /// Waits longer than the last time, with jitter; breaks when told to stop.
    pub(crate) async fn wait(&mut self, stop: &CancellationToken) -> std::ops::ControlFlow<()> {
        let next = self
            .last
            .map_or(FIRST_DELAY, |last| (last * 2).min(LAST_DELAY));
        self.last = Some(next);
        let jittered = next.mul_f64(rand::rng().random_range(0.8..1.2));
        tokio::select! {
            () = stop.cancelled() => std::ops::ControlFlow::Break(()),
            () = tokio::time::sleep(jittered) => std::ops::ControlFlow::Continue(()),
        }
    }
}

/// The dead-letter topic of a group for a topic.
#[must_use]
pub fn dead_letter_topic(topic: &str, group: &str) -> String {
    format!("{topic}.{group}.dlq")
}

struct Run {
    consumer: Arc<Consumer>,
    bus: SharedBus,
    clock: SharedClock,
    stop: CancellationToken,
}

/// Whether a batch was handled, or the process is stopping.
enum Outcome {
    Handled,
    Stopping,
}

impl Run {
    async fn until_stopped(&self, delay: &mut Delay) -> Result<(), BusError> {
        let topics = &self.consumer.topics;
        let dead_letters: Vec<_> = topics
            .iter()
            .map(|topic| TopicSpec {
                name: dead_letter_topic(topic, self.consumer.group),
                partitions: 1,
            })
            .collect();
        self.bus.create_topics(&dead_letters).await?;
        let mut subscription = self.bus.subscribe(self.consumer.group, topics).await?;
        loop {
            let batch = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                batch = subscription.next(BATCH) => batch?,
            };
            delay.reset();
            if let Outcome::Stopping = self.consume(&mut subscription, &batch).await? {
                return Ok(());
            }
        }
    }

    async fn consume(
        &self,
        subscription: &mut Box<dyn Subscription>,
        batch: &[Delivery],
    ) -> Result<Outcome, BusError> {
        let mut events = Vec::with_capacity(batch.len());
        for delivery in batch {
            match Event::from_record(&delivery.record) {
                Ok(event) => events.push((delivery, event)),
                Err(reason) => {
                    self.bury(delivery, &format!("it is no event: {reason}"))
                        .await?;
                }
            }
        }
        let all: Vec<_> = events.iter().map(|(_, event)| event.clone()).collect();
        match self.handle(&all).await {
            Ok(outcome @ Outcome::Stopping) => return Ok(outcome),
            Ok(Outcome::Handled) => {}
            // One of them makes the handler panic: find it by trying each alone.
            Err(_panic) => {
                for (delivery, event) in events {
                    match self.handle(&[event]).await {
                        Ok(outcome @ Outcome::Stopping) => return Ok(outcome),
                        Ok(Outcome::Handled) => {}
                        Err(panic) => {
                            self.bury(delivery, &format!("the handler panicked: {panic}"))
                                .await?;
                        }
                    }
                }
            }
        }
        subscription.commit(batch).await?;
        self.record(&all);
        Ok(Outcome::Handled)
    }

    /// Handles events, again and again while it fails for a reason that passes. A panic
    /// is an error.
    async fn handle(&self, events: &[Event]) -> Result<Outcome, String> {
        let mut delay = Delay::default();
        loop {
            let handled = AssertUnwindSafe(self.consumer.handler.handle(events)).catch_unwind();
            match handled.await {
                Ok(Ok(())) => return Ok(Outcome::Handled),
                Ok(Err(Transient(error))) => {
                    metrics::counter!(m::EVENTS_RETRIED, "group" => self.consumer.group)
                        .increment(1);
                    tracing::warn!(
                        group = self.consumer.group,
                        error,
                        "events wait to be handled"
                    );
                    if delay.wait(&self.stop).await.is_break() {
                        return Ok(Outcome::Stopping);
                    }
                }
                Err(panic) => return Err(panic_text(&*panic).to_owned()),
            }
        }
    }

    /// Puts a record aside, with the reason and where it came from.
    async fn bury(&self, delivery: &Delivery, reason: &str) -> Result<(), BusError> {
        let topic = &delivery.record.topic;
        let group = self.consumer.group;
        tracing::error!(group, %topic, offset = delivery.offset, reason, "a record is put aside");
        metrics::counter!(m::EVENTS_DEAD, "group" => group, "topic" => topic.clone()).increment(1);
        let mut headers = delivery.record.headers.clone();
        headers.extend(
            [
                (REASON, reason.to_owned()),
                (ORIGIN_TOPIC, topic.clone()),
                (ORIGIN_PARTITION, delivery.partition.to_string()),
                (ORIGIN_OFFSET, delivery.offset.to_string()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        let letter = Record {
            topic: dead_letter_topic(topic, group),
            headers,
            ..delivery.record.clone()
        };
        self.bus.publish(vec![letter]).await
    }

    fn record(&self, events: &[Event]) {
        let now = self.clock.now();
        for event in events {
            metrics::counter!(
                m::EVENTS_CONSUMED,
                "group" => self.consumer.group, "topic" => event.topic.clone()
            )
            .increment(1);
            let lag = now.duration_since(event.time).as_secs_f64();
            metrics::histogram!(m::EVENT_LAG_SECONDS, "group" => self.consumer.group)
                .record(lag.max(0.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use slipway_proto::events::{Role, USERS, UserRegisteredEvent};
    use tokio::sync::watch;
    use uuid::Uuid;

    use super::*;
    use crate::{
        bus::{Actor, EmbeddedBus, contract::create, event::Origin},
        clock::{Clock as _, SystemClock},
    };

    fn event(username: &str) -> Event {
        let id = Uuid::now_v7();
        Event::new(
            &UserRegisteredEvent {
                user_id: id,
                username: username.into(),
                email: "a@example.com".into(),
                role: Role::Developer,
            },
            &Origin {
                service: "test",
                key: id,
                subject: id,
                actor: &Actor::System,
                time: SystemClock.now(),
            },
        )
    }

    fn name(event: &Event) -> String {
        event.payload::<UserRegisteredEvent>().unwrap().username
    }

    /// Remembers whom it has handled; misbehaves as the names tell it to.
    #[derive(Default)]
    struct Recorder {
        handled: watch::Sender<Vec<String>>,
        refusals: Mutex<u32>,
    }

    #[async_trait]
    impl Handler for Recorder {
        async fn handle(&self, events: &[Event]) -> Result<(), Transient> {
            let names: Vec<_> = events.iter().map(name).collect();
            assert!(!names.iter().any(|name| name == "poison"), "poisoned");
            {
                let mut refusals = self.refusals.lock();
                if *refusals > 0 {
                    *refusals -= 1;
                    return Err(Transient("away".into()));
                }
            }
            self.handled.send_modify(|handled| handled.extend(names));
            Ok(())
        }
    }

    struct Setup {
        bus: SharedBus,
        recorder: Arc<Recorder>,
        background: Background,
        _dir: tempfile::TempDir,
    }

    impl Setup {
        async fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let bus = EmbeddedBus::open(&dir.path().join("bus.db"), Arc::new(SystemClock)).unwrap();
            create(&bus, USERS.name, 1).await;
            Self {
                bus: Arc::new(bus),
                recorder: Arc::default(),
                background: Background::default(),
                _dir: dir,
            }
        }

        fn start(&mut self) {
            self.background = Background::default();
            let consumer = Consumer {
                group: "g",
                topics: vec![USERS.name.into()],
                handler: self.recorder.clone(),
            };
            consumer.spawn(self.bus.clone(), Arc::new(SystemClock), &self.background);
        }

        async fn publish(&self, names: &[&str]) {
            let records = names.iter().map(|name| event(name).to_record()).collect();
            self.bus.publish(records).await.unwrap();
        }

        async fn handled(&self, count: usize) -> Vec<String> {
            let mut handled = self.recorder.handled.subscribe();
            handled
                .wait_for(|names| names.len() >= count)
                .await
                .unwrap()
                .clone()
        }
    }

    #[tokio::test]
    async fn events_are_handled_in_order_and_once_across_a_restart() {
        let mut s = Setup::new().await;
        s.start();
        s.publish(&["a", "b"]).await;
        assert_eq!(s.handled(2).await, ["a", "b"]);
        s.background.stop(Duration::from_secs(5)).await;
        s.publish(&["c"]).await;
        s.start();
        assert_eq!(s.handled(3).await, ["a", "b", "c"]);
    }

    #[tokio::test]
    async fn what_fails_for_now_is_tried_again_and_nothing_overtakes() {
        let mut s = Setup::new().await;
        *s.recorder.refusals.lock() = 3;
        s.start();
        s.publish(&["a"]).await;
        s.publish(&["b"]).await;
        assert_eq!(s.handled(2).await, ["a", "b"]);
    }

    #[tokio::test]
    async fn poison_is_put_aside_with_its_reason_and_the_rest_goes_on() {
        let mut s = Setup::new().await;
        let mut garbled = event("garbled").to_record();
        garbled.headers.retain(|(header, _)| header != "ce_id");
        s.publish(&["a", "poison"]).await;
        s.bus.publish(vec![garbled]).await.unwrap();
        s.publish(&["b"]).await;
        s.start();
        assert_eq!(s.handled(2).await, ["a", "b"]);
        let topic = dead_letter_topic(USERS.name, "g");
        let mut letters = s.bus.subscribe("desk", &[topic]).await.unwrap();
        let mut reasons = Vec::new();
        while reasons.len() < 2 {
            for letter in letters.next(9).await.unwrap() {
                reasons.push(letter.record.header(REASON).unwrap().to_owned());
                assert_eq!(letter.record.header(ORIGIN_TOPIC), Some(USERS.name));
            }
        }
        reasons.sort();
        assert!(reasons[0].contains("no ce_id"), "{reasons:?}");
        assert!(reasons[1].contains("poisoned"), "{reasons:?}");
    }
}
