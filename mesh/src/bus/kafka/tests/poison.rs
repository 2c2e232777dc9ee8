//! Records that no client of Slipway's would write.

use rdkafka::{
    ClientConfig,
    message::OwnedHeaders,
    producer::{FutureProducer, FutureRecord},
    util::Timeout,
};

use super::{Mock, real, real_brokers};
use crate::bus::{
    Record,
    consumer::{
        Order, letter,
        tests::play::{Play, header},
    },
    kafka::headers::testing::add,
    stage::Stage,
};

/// A client of another program, which names headers as it likes.
struct Stranger(FutureProducer);

impl Stranger {
    fn of(brokers: &str) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers);
        Self(config.create().unwrap())
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
    let (id, _) = nameless
        .headers
        .iter()
        .enumerate()
        .find(|(_, header)| header.0 == "ce_id")
        .unwrap();
    let (_, value) = nameless.headers.remove(id);
    let without_id = add(headers(&nameless), b"ce_id\xff", value.as_bytes());
    stranger.publish(&nameless, without_id).await;
    play.publish(&["b"]).await;

    assert_eq!(play.effects(2).await, ["strange", "b"]);
    let letter = &play.dead_letters(1).await[0];
    assert!(
        header(letter, letter::REASON).contains("no ce_id"),
        "{letter:?}"
    );
    assert_eq!(header(letter, "ce_id\u{fffd}"), value);
    assert_eq!(letter.record.value, nameless.value);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_mock_names_that_are_no_text_are_read_as_well_as_they_can_be() {
    let mock = Mock::new();
    let on = mock.clone();
    let stage = Stage::new("", (), move || std::sync::Arc::new(on.bus()));
    let brokers = mock.cluster().bootstrap_servers();
    names_that_are_no_text_are_read_as_well_as_they_can_be(&stage, &brokers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_real_kafka_names_that_are_no_text_are_read_as_well_as_they_can_be() {
    if let Some(brokers) = real_brokers() {
        let stage = real().unwrap();
        names_that_are_no_text_are_read_as_well_as_they_can_be(&stage, &brokers).await;
    }
}
