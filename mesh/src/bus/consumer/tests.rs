//! What the consumer runner does, on every adapter.

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

use super::{
    Collector, Consumer, DeadLetter, Failure, Handler, Keeper, Order, Refusal, Verdict,
    dead_letter_topic, letter as header,
};
use crate::{
    bus::{
        Actor, BusError, Delivery, Event, Record, SharedBus,
        event::Origin,
        stage::{Stage, create, record, take},
    },
    clock::{Clock as _, SharedClock, SystemClock},
    life::Background,
};

/// Runs the suite on a stage.
macro_rules! tests {
    ($stage:block) => {
        $crate::bus::stage::run!($crate::bus::consumer::tests {
            events_are_handled_in_order_and_once_across_a_restart
            while_what_it_needs_is_away_nothing_overtakes_and_nothing_is_put_aside
            a_poisoned_record_is_a_dead_letter_and_the_rest_goes_on
            a_handler_that_panics_twice_makes_a_dead_letter
            what_fails_twice_and_then_succeeds_has_its_effect_once
            what_always_fails_uses_its_retries_up
            where_order_matters_a_retryable_event_holds_up_the_others
            a_crash_between_effect_and_commit_repeats_no_effect
            a_replayed_letter_is_handled_by_its_group
            where_order_matters_a_replayed_letter_is_handled_as_well
            what_is_collected_is_kept_once_it_can_be_also_from_topics_that_come_later
            a_rebalance_in_the_middle_of_a_batch_loses_and_repeats_no_effect
        } on $stage);
    };
}
pub(in crate::bus) use tests;

/// Short, and different enough to be seen.
const TIERS: &[Duration] = &[
    Duration::from_millis(20),
    Duration::from_millis(40),
    Duration::from_millis(60),
];
const FREE: Order = Order::Free { tiers: TIERS };

/// What a username makes the recorder do: `retry-2-x` is refused twice.
fn script(name: &str) -> Option<(Verdict, u32)> {
    let (kind, rest) = name.split_once('-')?;
    let verdict = match kind {
        "retry" => Verdict::Retryable,
        "poison" => Verdict::Poison,
        _ => return None,
    };
    Some((verdict, rest.split('-').next()?.parse().ok()?))
}

/// A store of effects: remembers whom it has handled, each event id once.
#[derive(Default)]
struct Recorder {
    effects: watch::Sender<Vec<String>>,
    seen: Mutex<HashSet<Uuid>>,
    refused: Mutex<HashMap<String, u32>>,
    away_for: Mutex<u32>,
    calls: watch::Sender<u32>,
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

struct Play<'a> {
    stage: &'a Stage,
    bus: SharedBus,
    recorder: Arc<Recorder>,
    background: Background,
    group: &'static str,
    order: Order,
}

impl<'a> Play<'a> {
    async fn new(stage: &'a Stage, order: Order) -> Self {
        let bus = stage.open();
        stage.create(&bus, 1).await;
        let mut play = Self::on(stage, bus, order);
        play.start();
        play
    }

    /// Nothing is consumed yet.
    fn on(stage: &'a Stage, bus: SharedBus, order: Order) -> Self {
        Self {
            stage,
            bus,
            recorder: Arc::default(),
            background: Background::default(),
            group: stage.name("g").leak(),
            order,
        }
    }

    fn start(&mut self) {
        self.background = Background::default();
        let clock: SharedClock = Arc::new(SystemClock);
        self.consumer().spawn(&self.bus, &clock, &self.background);
    }

    fn consumer(&self) -> Consumer {
        Consumer {
            group: self.group,
            topics: vec![self.stage.name("t")],
            order: self.order,
            handler: self.recorder.clone(),
        }
    }

    fn record(&self, username: &str) -> Record {
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

    async fn publish(&self, names: &[&str]) {
        let records = names.iter().map(|name| self.record(name)).collect();
        self.bus.publish(records).await.unwrap();
    }

    /// The effects, when there are at least `count`.
    async fn effects(&self, count: usize) -> Vec<String> {
        let mut effects = self.recorder.effects.subscribe();
        let effects = effects.wait_for(|names| names.len() >= count).await;
        effects.unwrap().clone()
    }

    /// The first `count` dead letters.
    async fn dead_letters(&self, count: usize) -> Vec<Delivery> {
        let topic = dead_letter_topic(&self.stage.name("t"), self.group);
        let mut delay = super::Delay::default();
        let stop = tokio_util::sync::CancellationToken::new();
        let mut desk = loop {
            match self
                .bus
                .subscribe(&self.stage.name("desk"), std::slice::from_ref(&topic))
                .await
            {
                Ok(desk) => break desk,
                // The consumer makes the topic when it starts.
                Err(BusError::Refused(_)) => assert!(delay.wait(&stop).await.is_continue()),
                Err(error) => panic!("{error}"),
            }
        };
        take(&mut desk, count).await
    }
}

fn header<'a>(letter: &'a Delivery, name: &str) -> &'a str {
    letter.record.header(name).unwrap_or_default()
}

pub(in crate::bus) async fn events_are_handled_in_order_and_once_across_a_restart(stage: &Stage) {
    let mut play = Play::new(stage, Order::PerKey).await;
    play.publish(&["a", "b"]).await;
    assert_eq!(play.effects(2).await, ["a", "b"]);
    play.background.stop(Duration::from_secs(10)).await;
    play.publish(&["c"]).await;
    play.start();
    assert_eq!(play.effects(3).await, ["a", "b", "c"]);
}

pub(in crate::bus) async fn while_what_it_needs_is_away_nothing_overtakes_and_nothing_is_put_aside(
    stage: &Stage,
) {
    let play = Play::new(stage, FREE).await;
    *play.recorder.away_for.lock() = 4;
    play.publish(&["a"]).await;
    play.publish(&["b"]).await;
    assert_eq!(play.effects(2).await, ["a", "b"]);
    // The first letter ever is the one that is asked for now.
    play.publish(&["poison-9"]).await;
    assert_eq!(
        header(&play.dead_letters(1).await[0], header::ATTEMPTS),
        "1"
    );
}

pub(in crate::bus) async fn a_poisoned_record_is_a_dead_letter_and_the_rest_goes_on(stage: &Stage) {
    let play = Play::new(stage, Order::PerKey).await;
    let mut nameless = play.record("nameless");
    nameless.headers.retain(|(header, _)| header != "ce_id");
    let garbled = Record {
        value: "{\"username\":".into(),
        ..play.record("garbled")
    };
    let records = [
        play.record("a"),
        nameless.clone(),
        garbled,
        play.record("poison-9"),
    ];
    play.bus.publish(records.into()).await.unwrap();
    play.publish(&["b"]).await;
    assert_eq!(play.effects(2).await, ["a", "b"]);
    let letters = play.dead_letters(3).await;
    let mut reasons: Vec<_> = letters
        .iter()
        .map(|letter| {
            (
                header(letter, header::CAUSE),
                header(letter, header::REASON),
            )
        })
        .collect();
    reasons.sort_unstable();
    assert_eq!(reasons[0], ("poison", "refusal 1"));
    assert!(reasons[1].1.contains("no ce_id"), "{reasons:?}");
    assert!(reasons[2].1.contains("not JSON"), "{reasons:?}");
    let letter = letters
        .iter()
        .find(|letter| letter.record.key == nameless.key)
        .unwrap();
    assert_eq!(header(letter, header::ORIGIN_TOPIC), stage.name("t"));
    assert_eq!(header(letter, header::ORIGIN_OFFSET), "1");
    assert_eq!(letter.record.value, nameless.value);
    let original = &letter.record.headers[..nameless.headers.len()];
    assert_eq!(original, nameless.headers, "the original headers stay");
}

pub(in crate::bus) async fn a_handler_that_panics_twice_makes_a_dead_letter(stage: &Stage) {
    let play = Play::new(stage, Order::PerKey).await;
    play.publish(&["a", "panic", "b"]).await;
    assert_eq!(play.effects(2).await, ["a", "b"]);
    let letter = &play.dead_letters(1).await[0];
    assert_eq!(header(letter, header::CAUSE), "panic");
    assert!(header(letter, header::REASON).contains("it is panicked"));
}

pub(in crate::bus) async fn what_fails_twice_and_then_succeeds_has_its_effect_once(stage: &Stage) {
    let play = Play::new(stage, FREE).await;
    play.publish(&["retry-2-x", "a"]).await;
    let mut effects = play.effects(2).await;
    effects.sort();
    assert_eq!(effects, ["a", "retry-2-x"]);
    // Whatever came twice would have come before this.
    play.publish(&["retry-3-y"]).await;
    assert_eq!(play.effects(3).await.len(), 3);
}

pub(in crate::bus) async fn what_always_fails_uses_its_retries_up(stage: &Stage) {
    let play = Play::new(stage, FREE).await;
    play.publish(&["retry-99-x", "a"]).await;
    let letter = &play.dead_letters(1).await[0];
    assert_eq!(play.effects(1).await, ["a"]);
    assert_eq!(header(letter, header::CAUSE), "exhausted");
    assert_eq!(header(letter, header::ATTEMPTS), "4");
    assert_eq!(header(letter, header::LAST_ERROR), "refusal 4");
    assert_eq!(header(letter, header::ORIGIN_TOPIC), stage.name("t"));
    let history: Vec<serde_json::Value> =
        serde_json::from_str(header(letter, header::HISTORY)).unwrap();
    let time =
        |at: &serde_json::Value| -> jiff::Timestamp { at.as_str().unwrap().parse().unwrap() };
    for (pair, tier) in history.windows(2).zip(TIERS) {
        let waited = time(&pair[1]["at"]).duration_since(time(&pair[0]["at"]));
        assert!(waited.unsigned_abs() >= *tier, "{history:?}");
    }
}

pub(in crate::bus) async fn where_order_matters_a_retryable_event_holds_up_the_others(
    stage: &Stage,
) {
    let play = Play::new(stage, Order::PerKey).await;
    play.publish(&["a", "retry-3-x"]).await;
    play.publish(&["b"]).await;
    assert_eq!(play.effects(3).await, ["a", "retry-3-x", "b"]);
}

pub(in crate::bus) async fn a_crash_between_effect_and_commit_repeats_no_effect(stage: &Stage) {
    let play = Play::new(stage, Order::PerKey).await;
    play.background.stop(Duration::from_secs(10)).await;
    play.publish(&["a", "b"]).await;
    // A member that stores the effects and is gone before it can commit.
    let mut crashing = stage.subscribe(&play.bus, "g").await;
    let batch = take(&mut crashing, 2).await;
    let events: Vec<_> = batch
        .iter()
        .map(|delivery| Event::from_record(&delivery.record).unwrap())
        .collect();
    play.recorder.handle(&events).await.unwrap();
    drop(crashing);

    let calls = *play.recorder.calls.borrow();
    let mut play = play;
    play.start();
    play.publish(&["c"]).await;
    assert_eq!(play.effects(3).await, ["a", "b", "c"]);
    assert!(*play.recorder.calls.borrow() > calls);
}

pub(in crate::bus) async fn a_replayed_letter_is_handled_by_its_group(stage: &Stage) {
    replay(stage, FREE).await;
}

/// It has its first retry topic for this alone.
pub(in crate::bus) async fn where_order_matters_a_replayed_letter_is_handled_as_well(
    stage: &Stage,
) {
    replay(stage, Order::PerKey).await;
}

async fn replay(stage: &Stage, order: Order) {
    let play = Play::new(stage, order).await;
    play.publish(&["poison-2", "a"]).await;
    assert_eq!(play.effects(1).await, ["a"]);
    let first = DeadLetter::read(&play.dead_letters(1).await[0]);
    assert_eq!((&*first.group, first.attempts), (play.group, 1));
    let id = Uuid::now_v7();
    let publish = play.bus.publish(vec![first.replay(id, None)]);
    publish.await.unwrap();
    // It fails again and comes back, with its history.
    let topic = dead_letter_topic(&stage.name("t"), play.group);
    let mut other_desk = play
        .bus
        .subscribe(&stage.name("other-desk"), &[topic])
        .await
        .unwrap();
    let again = DeadLetter::read(&take(&mut other_desk, 2).await[1]);
    assert_eq!((again.attempts, again.replay), (2, Some(id)));
    let publish = play.bus.publish(vec![again.replay(Uuid::now_v7(), None)]);
    publish.await.unwrap();
    assert_eq!(play.effects(2).await, ["a", "poison-2"]);
}

/// Fails at first; then keeps the values.
#[derive(Default)]
struct Shelf {
    failed: Mutex<bool>,
    values: watch::Sender<Vec<String>>,
}

#[async_trait]
impl Keeper for Shelf {
    async fn keep(&self, records: &[Delivery]) -> Result<(), String> {
        if !std::mem::replace(&mut *self.failed.lock(), true) {
            return Err("away".into());
        }
        let values = records.iter();
        let values = values.map(|d| String::from_utf8(d.record.value.to_vec()).unwrap());
        self.values.send_modify(|kept| kept.extend(values));
        Ok(())
    }
}

pub(in crate::bus) async fn what_is_collected_is_kept_once_it_can_be_also_from_topics_that_come_later(
    stage: &Stage,
) {
    let bus = stage.open();
    let (keeper, background) = (Arc::new(Shelf::default()), Background::default());
    let collector = Collector {
        group: stage.name("collector").leak(),
        wants: |topic| topic.ends_with(".late.dlq"),
        keeper: keeper.clone(),
    };
    let mut known = collector.spawn(&bus, &background);
    known.wait_for(Option::is_some).await.unwrap();
    let topic = stage.name("x.late.dlq");
    create(&*bus, &topic, 1).await;
    let records = ["1", "2"].map(|value| record(&topic, "k", value));
    bus.publish(records.into()).await.unwrap();
    let mut values = keeper.values.subscribe();
    let values = values.wait_for(|values| values.len() >= 2).await.unwrap();
    assert!(values.ends_with(&["1".into(), "2".into()]), "{values:?}");
    assert!(known.borrow().as_ref().unwrap().contains(&topic));
}

/// A handler that has its batch in hand until it is let go.
struct Held {
    recorder: Arc<Recorder>,
    holds: watch::Sender<bool>,
    go: watch::Sender<bool>,
}

#[async_trait]
impl Handler for Held {
    async fn handle(&self, events: &[Event]) -> Result<(), Failure> {
        self.holds.send_replace(true);
        self.go.subscribe().wait_for(|go| *go).await.unwrap();
        self.recorder.handle(events).await
    }
}

pub(in crate::bus) async fn a_rebalance_in_the_middle_of_a_batch_loses_and_repeats_no_effect(
    stage: &Stage,
) {
    const KEYS: usize = 40;
    let bus = stage.open();
    stage.create(&bus, 4).await;
    let mut play = Play::on(stage, bus, Order::PerKey);
    let round = |play: &Play<'_>, number: usize| {
        let record = |key: usize| Record {
            key: format!("k{key}"),
            ..play.record(&format!("k{key}-{number}"))
        };
        (0..KEYS).map(record).collect::<Vec<_>>()
    };
    play.bus.publish(round(&play, 0)).await.unwrap();
    let held = Arc::new(Held {
        recorder: play.recorder.clone(),
        holds: watch::Sender::new(false),
        go: watch::Sender::new(false),
    });
    let (clock, background): (SharedClock, _) = (Arc::new(SystemClock), Background::default());
    let first = Consumer {
        handler: held.clone(),
        ..play.consumer()
    };
    first.spawn(&play.bus, &clock, &background);
    held.holds.subscribe().wait_for(|h| *h).await.unwrap();

    // Another member takes some of the partitions, with what the first has in hand.
    play.start();
    play.bus.publish(round(&play, 1)).await.unwrap();
    play.effects(1).await;
    held.go.send_replace(true);
    let effects = play.effects(2 * KEYS).await;
    let distinct: HashSet<_> = effects.iter().collect();
    assert_eq!((effects.len(), distinct.len()), (2 * KEYS, 2 * KEYS));
    for key in 0..KEYS {
        let place = |number| {
            let name = format!("k{key}-{number}");
            effects.iter().position(|effect| *effect == name)
        };
        assert!(place(0) < place(1), "{effects:?}");
    }
    background.stop(Duration::from_secs(10)).await;
}
