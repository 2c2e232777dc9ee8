//! Records that are not valid events, among valid ones: they become dead letters with a reason, and
//! later records are processed. Through the whole process, on each bus.

use std::{path::Path, sync::Arc};

use serde_json::{Value, json};
use slipway_bus::{Bus, EmbeddedBus, Record};
use slipway_runtime::clock::SystemClock;
use slipway_tests::{Client, Options, Process};
use uuid::Uuid;

const TOPIC: &str = "slipway.releases";
const DEAD: &str = "slipway.releases.activity.dlq";

/// Records of one key: valid, invalid, valid. Also the expected reasons of the invalid ones.
struct Batch {
    records: Vec<Record>,
    good: [Uuid; 2],
    reasons: Vec<&'static str>,
}

fn assigned(id: Uuid, key: &str) -> Record {
    let payload = json!({
        "developerId": Uuid::now_v7(),
        "developerName": "ada",
        "releaseId": key,
        "releaseName": "Spring",
        "taskId": Uuid::now_v7(),
        "taskTitle": "Build",
        "orderIndex": 1,
    });
    let (id, subject) = (id.to_string(), Uuid::now_v7().to_string());
    let headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", &id),
        ("ce_type", "task.assigned"),
        ("ce_source", "/another/program"),
        ("ce_subject", &subject),
        ("ce_time", "2026-01-02T03:04:05.678Z"),
        ("ce_dataschema", "task.assigned/1"),
        ("content-type", "application/json"),
        ("slipway-actor", "system"),
    ];
    Record {
        topic: TOPIC.into(),
        key: key.into(),
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        value: payload.to_string().into_bytes().into(),
    }
}

fn batch() -> Batch {
    let key = Uuid::now_v7().to_string();
    let bad = || assigned(Uuid::now_v7(), &key);
    let without = |name: &str| {
        let mut record = bad();
        record.headers.retain(|(header, _)| header != name);
        record
    };
    let not_json = Record {
        value: "{\"taskTitle\":".into(),
        ..bad()
    };
    let misfit = Record {
        value: "{\"taskTitle\": 7}".into(),
        ..bad()
    };
    let good = [Uuid::now_v7(), Uuid::now_v7()];
    Batch {
        records: vec![
            assigned(good[0], &key),
            not_json,
            misfit,
            without("ce_id"),
            without("ce_type"),
            assigned(good[1], &key),
        ],
        good,
        reasons: vec![
            "its payload is not JSON",
            "its payload violates task.assigned/1",
            "it has no ce_id",
            "it has no ce_type",
        ],
    }
}

/// The activity feed has the valid ones and no others.
async fn only_valid_records_are_in_the_feed(admin: &Client, batch: &Batch) {
    let last = json!(batch.good[1]);
    admin.seen(|entry| entry["id"] == last).await.unwrap();
    let list = admin.get("/activity?type=task.assigned").await.unwrap();
    let list = list.expect(200);
    let items = list["items"].as_array().unwrap();
    let mut shown: Vec<_> = items.iter().map(|entry| entry["id"].clone()).collect();
    shown.sort_by_key(Value::to_string);
    assert_eq!(shown, batch.good.map(|id| json!(id)));
}

/// The dead letters have their reasons, their history and the original records.
async fn invalid_records_are_dead_letters(bus: &dyn Bus, batch: &Batch) {
    let mut consumer = bus.subscribe("a-desk", &[DEAD.into()]).await.unwrap();
    let mut letters = Vec::new();
    while letters.len() < batch.reasons.len() {
        letters.extend(consumer.next(100).await.unwrap());
    }
    for reason in &batch.reasons {
        let is_it = |text: &str| text.contains(reason);
        let letter = letters.iter().map(|letter| &letter.record).find(|record| {
            let text = record.header("slipway-dead-letter-reason");
            text.is_some_and(is_it)
        });
        let letter = letter.unwrap_or_else(|| panic!("no dead letter: {reason}"));
        assert_eq!(letter.header("slipway-origin-topic"), Some(TOPIC));
        assert_eq!(letter.header("slipway-attempts"), Some("1"));
        let history = letter.header("slipway-attempt-history").unwrap();
        let history: Vec<Value> = serde_json::from_str(history).unwrap();
        assert!(is_it(history[0]["error"].as_str().unwrap()));
        let original = batch.records.iter().find(|record| {
            record.value == letter.value && record.headers == letter.headers[..record.headers.len()]
        });
        assert!(original.is_some(), "{letter:?}");
    }
}

fn embedded(data: &Path) -> EmbeddedBus {
    EmbeddedBus::open(&data.join("data/bus.db"), Arc::new(SystemClock)).unwrap()
}

#[tokio::test]
async fn poison_becomes_dead_letters_on_the_embedded_bus() {
    let batch = batch();
    let data = Process::start().await.unwrap().kill().await.unwrap();
    let bus = embedded(data.path());
    bus.publish(batch.records.clone()).await.unwrap();
    drop(bus);

    let options = Options::default();
    let server = Process::start_on(Arc::clone(&data), &options)
        .await
        .unwrap();
    only_valid_records_are_in_the_feed(&server.admin().await.unwrap(), &batch).await;
    server.signal("TERM").await.unwrap();
    server.ended().await.unwrap();
    invalid_records_are_dead_letters(&embedded(data.path()), &batch).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_becomes_dead_letters_on_kafka() {
    use slipway_bus_kafka::{KafkaBus, KafkaConfig};

    let Some(backbones) = slipway_tests::Backbones::start().await.unwrap() else {
        return;
    };
    let options = Options::default().env("SLIPWAY_KAFKA_BROKERS", &backbones.kafka);
    let server = Process::start_with(&options).await.unwrap();
    let bus = KafkaBus::new(KafkaConfig::new(&backbones.kafka)).unwrap();
    let batch = batch();
    bus.publish(batch.records.clone()).await.unwrap();
    only_valid_records_are_in_the_feed(&server.admin().await.unwrap(), &batch).await;
    invalid_records_are_dead_letters(&bus, &batch).await;
}
