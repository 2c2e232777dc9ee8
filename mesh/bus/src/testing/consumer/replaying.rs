//! A dead letter can be replayed to the group that could not handle it.

use uuid::Uuid;

use super::play::{FREE, Play};
use crate::{
    consumer::{DeadLetter, Order, dead_letter_topic},
    testing::stage::{Stage, take},
};

pub async fn a_replayed_dead_letter_is_handled_by_its_group(stage: &Stage) {
    replay(stage, FREE).await;
}

/// An ordered group has its first retry topic only for replays.
pub async fn an_ordered_group_handles_a_replayed_dead_letter(stage: &Stage) {
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
    let mut other_reader = play
        .bus
        .subscribe(&stage.name("other-reader"), &[topic])
        .await
        .unwrap();
    let again = DeadLetter::read(&take(&mut other_reader, 2).await[1]);
    assert_eq!((again.attempts, again.replay), (2, Some(id)));
    let publish = play.bus.publish(vec![again.replay(Uuid::now_v7(), None)]);
    publish.await.unwrap();
    assert_eq!(play.effects(2).await, ["a", "poison-2"]);
}
