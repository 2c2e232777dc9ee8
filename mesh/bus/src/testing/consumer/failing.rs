//! Events that cannot be handled are retried or become dead letters; the others are still handled.

use super::play::{FREE, Play, TIERS, header};
use crate::{
    Record,
    consumer::{Order, envelope},
    testing::stage::Stage,
};

pub async fn a_transient_failure_keeps_the_order_and_makes_no_dead_letter(stage: &Stage) {
    let play = Play::new(stage, FREE).await;
    *play.recorder.away_for.lock() = 4;
    play.publish(&["a"]).await;
    play.publish(&["b"]).await;
    assert_eq!(play.effects(2).await, ["a", "b"]);
    // If `a` or `b` had become a dead letter, it would be the first one.
    play.publish(&["poison-9"]).await;
    assert_eq!(
        header(&play.dead_letters(1).await[0], envelope::ATTEMPTS),
        "1"
    );
}

pub async fn in_an_ordered_group_a_retryable_event_blocks_the_others(stage: &Stage) {
    let play = Play::new(stage, Order::PerKey).await;
    play.publish(&["a", "retry-3-x"]).await;
    play.publish(&["b"]).await;
    assert_eq!(play.effects(3).await, ["a", "retry-3-x", "b"]);
}

pub async fn an_event_that_succeeds_after_two_retries_has_one_effect(stage: &Stage) {
    let play = Play::new(stage, FREE).await;
    play.publish(&["retry-2-x", "a"]).await;
    let mut effects = play.effects(2).await;
    effects.sort();
    assert_eq!(effects, ["a", "retry-2-x"]);
    // A second effect of `retry-2-x` would come before this one.
    play.publish(&["retry-3-y"]).await;
    assert_eq!(play.effects(3).await.len(), 3);
}

pub async fn an_event_that_always_fails_becomes_a_dead_letter_after_all_retries(stage: &Stage) {
    let play = Play::new(stage, FREE).await;
    play.publish(&["retry-99-x", "a"]).await;
    let letter = &play.dead_letters(1).await[0];
    assert_eq!(play.effects(1).await, ["a"]);
    assert_eq!(header(letter, envelope::CAUSE), "exhausted");
    assert_eq!(header(letter, envelope::ATTEMPTS), "4");
    assert_eq!(header(letter, envelope::LAST_ERROR), "refusal 4");
    assert_eq!(header(letter, envelope::ORIGIN_TOPIC), stage.name("t"));
    let history: Vec<serde_json::Value> =
        serde_json::from_str(header(letter, envelope::HISTORY)).unwrap();
    let time =
        |at: &serde_json::Value| -> jiff::Timestamp { at.as_str().unwrap().parse().unwrap() };
    for (pair, tier) in history.windows(2).zip(TIERS) {
        let waited = time(&pair[1]["at"]).duration_since(time(&pair[0]["at"]));
        assert!(waited.unsigned_abs() >= *tier, "{history:?}");
    }
}

pub async fn a_poisoned_record_becomes_a_dead_letter_and_the_others_are_handled(stage: &Stage) {
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
                header(letter, envelope::CAUSE),
                header(letter, envelope::REASON),
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
    assert_eq!(header(letter, envelope::ORIGIN_TOPIC), stage.name("t"));
    assert_eq!(header(letter, envelope::ORIGIN_OFFSET), "1");
    assert_eq!(letter.record.value, nameless.value);
    let original = &letter.record.headers[..nameless.headers.len()];
    assert_eq!(original, nameless.headers, "the original headers stay");
}

pub async fn a_handler_that_panics_twice_makes_a_dead_letter(stage: &Stage) {
    let play = Play::new(stage, Order::PerKey).await;
    play.publish(&["a", "panic", "b"]).await;
    assert_eq!(play.effects(2).await, ["a", "b"]);
    let letter = &play.dead_letters(1).await[0];
    assert_eq!(header(letter, envelope::CAUSE), "panic");
    assert!(header(letter, envelope::REASON).contains("it is panicked"));
}
