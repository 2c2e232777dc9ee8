//! What cannot be handled waits, is tried again, or is put aside, and what then becomes of
//! the others.

use super::play::{FREE, Play, TIERS, header};
use crate::{
    Record,
    consumer::{Order, envelope},
    testing::stage::Stage,
};

pub async fn while_what_it_needs_is_away_nothing_overtakes_and_nothing_is_put_aside(stage: &Stage) {
    let play = Play::new(stage, FREE).await;
    *play.recorder.away_for.lock() = 4;
    play.publish(&["a"]).await;
    play.publish(&["b"]).await;
    assert_eq!(play.effects(2).await, ["a", "b"]);
    // The first letter ever is the one that is asked for now.
    play.publish(&["poison-9"]).await;
    assert_eq!(
        header(&play.dead_letters(1).await[0], envelope::ATTEMPTS),
        "1"
    );
}

pub async fn where_order_matters_a_retryable_event_holds_up_the_others(stage: &Stage) {
    let play = Play::new(stage, Order::PerKey).await;
    play.publish(&["a", "retry-3-x"]).await;
    play.publish(&["b"]).await;
    assert_eq!(play.effects(3).await, ["a", "retry-3-x", "b"]);
}

pub async fn what_fails_twice_and_then_succeeds_has_its_effect_once(stage: &Stage) {
    let play = Play::new(stage, FREE).await;
    play.publish(&["retry-2-x", "a"]).await;
    let mut effects = play.effects(2).await;
    effects.sort();
    assert_eq!(effects, ["a", "retry-2-x"]);
    // Whatever came twice would have come before this.
    play.publish(&["retry-3-y"]).await;
    assert_eq!(play.effects(3).await.len(), 3);
}

pub async fn what_always_fails_uses_its_retries_up(stage: &Stage) {
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

pub async fn a_poisoned_record_is_a_dead_letter_and_the_rest_goes_on(stage: &Stage) {
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
