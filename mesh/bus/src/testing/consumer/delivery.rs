//! Events have their effects in order and once, also across restarts, rebalances and crashes.

use std::{collections::HashSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::watch;

use super::play::{Play, Recorder};
use crate::{
    Event, Record,
    consumer::{Consumer, Failure, Handler, Order},
    testing::stage::{Stage, take},
};

pub async fn events_are_handled_in_order_and_once_across_a_restart(stage: &Stage) {
    let mut play = Play::new(stage, Order::PerKey).await;
    play.publish(&["a", "b"]).await;
    assert_eq!(play.effects(2).await, ["a", "b"]);
    play.background.stop(Duration::from_secs(10)).await;
    play.publish(&["c"]).await;
    play.start();
    assert_eq!(play.effects(3).await, ["a", "b", "c"]);
}

pub async fn a_crash_between_effect_and_commit_repeats_no_effect(stage: &Stage) {
    let play = Play::new(stage, Order::PerKey).await;
    play.background.stop(Duration::from_secs(10)).await;
    play.publish(&["a", "b"]).await;
    // A member that stores the effects and crashes before it can commit.
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

/// A handler that blocks with a batch until the test releases it.
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

pub async fn a_rebalance_in_the_middle_of_a_batch_loses_and_repeats_no_effect(stage: &Stage) {
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
    let host = play.host();
    let first = Consumer {
        handler: held.clone(),
        ..play.consumer()
    };
    first.spawn(&host);
    held.holds.subscribe().wait_for(|h| *h).await.unwrap();

    // Another member takes over some partitions, including records of the batch in progress.
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
    host.background.stop(Duration::from_secs(10)).await;
}
