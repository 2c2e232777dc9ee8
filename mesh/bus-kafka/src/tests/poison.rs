//! Records that no client of Slipway's would write.

use std::{collections::BTreeMap, env, sync::Arc};

use rdkafka::{
    ClientConfig,
    message::OwnedHeaders,
    producer::{FutureProducer, FutureRecord},
    util::Timeout,
};

use super::{Mock, REAL, real};
use crate::headers::testing::add;
use slipway_bus::{
    Record, SharedBus, TopicSpec,
    consumer::{Order, envelope},
    testing::{
        consumer::play::{FREE, Play, header},
        stage::Stage,
    },
};

/// A stage, and where its brokers are.
fn on_the_mock() -> (Stage, String) {
    let mock = Mock::new();
    let brokers = mock.cluster().bootstrap_servers();
    (Stage::new("", (), move || Arc::new(mock.bus())), brokers)
}

fn on_real_kafka() -> Option<(Stage, String)> {
    Some((real()?, env::var(REAL).ok()?))
}

/// A client of another program, which names headers as it likes.
struct Stranger(FutureProducer);

impl Stranger {
    fn of(brokers: &str) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers);
        config.set("message.max.bytes", "2000000");
        Self(config.create().unwrap())
    }

    /// A record whose payload is no JSON and cannot be compressed, of so many bytes.
    async fn publish_noise(&self, play: &Play<'_>, bytes: usize) -> Record {
        let mut noise = vec![0; bytes];
        rand::fill(&mut noise[..]);
        let record = Record {
            value: noise.into(),
            ..play.record("noise")
        };
        self.publish(&record, headers(&record)).await;
        record
    }

    async fn publish(&self, record: &Record, headers: OwnedHeaders) {
        let message = FutureRecord::to(&record.topic)
            .key(&record.key)
            .payload(&record.value[..])
            .headers(headers);
        self.0.send(message, Timeout::Never).await.unwrap();
    }
}

fn headers(record: &Record) -> OwnedHeaders {
    let headers = record.headers.iter();
    headers.fold(OwnedHeaders::new(), |headers, (name, value)| {
        add(headers, name.as_bytes(), value.as_bytes())
    })
}

async fn names_that_are_no_text_are_read_as_well_as_they_can_be(stage: &Stage, brokers: &str) {
    let play = Play::new(stage, Order::PerKey).await;
    let stranger = Stranger::of(brokers);
    let strange = play.record("strange");
    let with_more = add(headers(&strange), b"caf\xe9", b"\xff");
    stranger.publish(&strange, with_more).await;
    let mut nameless = play.record("nameless");
    let mut names = nameless.headers.iter();
    let id = names.position(|(name, _)| name == "ce_id").unwrap();
    let (_, value) = nameless.headers.remove(id);
    let without_id = add(headers(&nameless), b"ce_id\xff", value.as_bytes());
    stranger.publish(&nameless, without_id).await;
    play.publish(&["b"]).await;

    assert_eq!(play.effects(2).await, ["strange", "b"]);
    let letter = &play.dead_letters(1).await[0];
    assert!(
        header(letter, envelope::REASON).contains("no ce_id"),
        "{letter:?}"
    );
    assert_eq!(header(letter, "ce_id\u{fffd}"), value);
    assert_eq!(letter.record.value, nameless.value);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_mock_names_that_are_no_text_are_read_as_well_as_they_can_be() {
    let (stage, brokers) = on_the_mock();
    names_that_are_no_text_are_read_as_well_as_they_can_be(&stage, &brokers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_real_kafka_names_that_are_no_text_are_read_as_well_as_they_can_be() {
    if let Some((stage, brokers)) = on_real_kafka() {
        names_that_are_no_text_are_read_as_well_as_they_can_be(&stage, &brokers).await;
    }
}

/// With its headers, nearly as much as brokers take unless they are told otherwise.
const NEARLY_TOO_LARGE: usize = 1_048_588 - 700;

async fn a_record_that_its_topic_just_took_is_put_aside_whole(stage: &Stage, brokers: &str) {
    let play = Play::new(stage, Order::PerKey).await;
    let noise = Stranger::of(brokers)
        .publish_noise(&play, NEARLY_TOO_LARGE)
        .await;
    play.publish(&["b"]).await;
    assert_eq!(play.effects(1).await, ["b"]);
    let letter = &play.dead_letters(1).await[0];
    assert!(header(letter, envelope::REASON).contains("not JSON"));
    assert!(letter.record.value == noise.value, "it is not what it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_mock_a_record_that_its_topic_just_took_is_put_aside_whole() {
    let (stage, brokers) = on_the_mock();
    a_record_that_its_topic_just_took_is_put_aside_whole(&stage, &brokers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_real_kafka_a_record_that_its_topic_just_took_is_put_aside_whole() {
    if let Some((stage, brokers)) = on_real_kafka() {
        a_record_that_its_topic_just_took_is_put_aside_whole(&stage, &brokers).await;
    }
}

/// Somebody else has made the group's own topics, and they take little.
async fn make_narrow(bus: &SharedBus, play: &Play<'_>) {
    let narrow = play.consumer().group.own_topics().into_iter();
    let narrow = narrow.map(|topic| TopicSpec {
        record_bytes: Some(100_000),
        ..topic
    });
    bus.create_topics(&narrow.collect::<Vec<_>>())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_real_kafka_what_its_dead_letter_topic_does_not_take_is_put_aside_cut() {
    let Some((stage, brokers)) = on_real_kafka() else {
        return;
    };
    let bus = stage.open();
    stage.create(&bus, 1).await;
    let mut play = Play::on(&stage, bus.clone(), FREE);
    make_narrow(&bus, &play).await;
    let noise = Stranger::of(&brokers).publish_noise(&play, 1_000_000).await;
    play.publish(&["a", "poison-9"]).await;
    play.publish(&[&format!("retry-1-{}", noise_text(200_000)), "b"])
        .await;
    play.start();
    assert_eq!(play.effects(2).await, ["a", "b"]);
    let mut desk = play.dead_letter_reader().await;
    // What was aside before one of its batch turned out to be too large comes twice.
    let mut letters = BTreeMap::new();
    while letters.len() < 3 {
        for letter in desk.next(1).await.unwrap() {
            letters.insert(header(&letter, envelope::ORIGIN_OFFSET).to_owned(), letter);
        }
    }
    let reason = |offset| header(&letters[offset], envelope::REASON);
    for word in ["too large: 65536 of 1000000 bytes", "not JSON"] {
        assert!(reason("0").contains(word), "{}", reason("0"));
    }
    let kept = &letters["0"].record;
    assert!(noise.value.starts_with(&kept.value));
    assert_eq!(kept.header("ce_id"), noise.header("ce_id"));
    assert_eq!(reason("2"), "refusal 1");
    for word in ["too large", "refusal 1"] {
        assert!(reason("3").contains(word), "{}", reason("3"));
    }
    assert_eq!(header(&letters["3"], envelope::CAUSE), "poison");
}

/// Text that cannot be compressed much.
fn noise_text(chars: usize) -> String {
    use rand::distr::{Alphanumeric, SampleString as _};
    Alphanumeric.sample_string(&mut rand::rng(), chars)
}
