//! Backbones that are unreachable or do not match the configuration: a clear message and exit 2, or
//! a process that serves and reports what is missing. Never a panic, and never the embedded mode
//! instead.

use serde_json::Value;
use slipway_tests::{Options, process};

/// Nobody listens there.
const NOBODY: &str = "127.0.0.1:1";
/// A name that never resolves (RFC 6761).
const NOWHERE: &str = "backbone.invalid:9092";

/// The process must not start: it exits with 2, and its message has all of `words`.
async fn refused(options: &Options, words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let options = options.clone().signing(dir.path()).unwrap();
    let (status, output, errors) = process::run(dir.path(), &options).await.unwrap();
    assert_eq!(status.code(), Some(2), "{errors}");
    assert!(!output.contains("ready"), "{output}");
    assert!(!errors.contains("panicked"), "{errors}");
    let last = errors.lines().last().unwrap();
    // A role logs the message, as JSON here; a command prints it for a person.
    let message = match serde_json::from_str::<Value>(last) {
        Ok(line) => {
            assert_eq!(line["level"], "ERROR");
            line["message"].as_str().unwrap().to_owned()
        }
        Err(_) => last.to_owned(),
    };
    for word in words {
        assert!(message.contains(word), "{word} is not in: {errors}");
    }
}

fn mongodb(url: &str) -> Options {
    Options::default().env("SLIPWAY_MONGODB_URL", url)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_reached_ends_the_start() {
    let (nobody, nowhere) = (
        mongodb(&format!("mongodb://{NOBODY}")),
        mongodb(&format!("mongodb://user:hunter2@{NOWHERE}")),
    );
    tokio::join!(
        refused(
            &nobody,
            &[
                "mongodb_url",
                NOBODY,
                "cannot be used: I/O error: Connection refused"
            ],
        ),
        refused(
            &nowhere,
            &[
                "mongodb_url",
                NOWHERE,
                "cannot be used: I/O error: failed to lookup address"
            ],
        ),
    );
}

#[cfg(not(feature = "kafka-tls"))]
#[tokio::test]
async fn tls_needs_a_program_that_was_built_with_it() {
    let options = Options::default()
        .env("SLIPWAY_KAFKA_BROKERS", NOBODY)
        .env("SLIPWAY_KAFKA_TLS", "true");
    let said = ["Kafka", NOBODY, "the cargo feature kafka-tls"];
    refused(&options, &said).await;
    refused(&options.arg("config").arg("check"), &said).await;
}

mod kafka {
    use std::time::Instant;

    use anyhow::ensure;
    use serde_json::{Value, json};
    use slipway_bus::{Bus as _, TopicSpec};
    use slipway_bus_kafka::{KafkaBus, KafkaConfig};
    use slipway_mongo as mongo;
    use slipway_mongo::{Database, Index};
    use slipway_tests::{Backbones, Client, Process, Team, team::id, until};

    use super::*;

    fn on(broker: &str) -> Options {
        Options::default().env("SLIPWAY_KAFKA_BROKERS", broker)
    }

    /// One role, with the others elsewhere.
    fn alone(options: Options, role: &str) -> Options {
        let release = format!("http://{NOBODY}");
        options
            .of_the_mesh()
            .arg(role)
            .env("SLIPWAY_RELEASE_URL", release)
    }

    /// The answer of `/readyz` once it is as `wanted`; it must report ready all the time.
    async fn ready(process: &Process, wanted: impl Fn(&Value) -> bool) -> Value {
        let ops = Client::new(&process.ops);
        let found = until(async || {
            let ready = ops.get("/readyz").await.unwrap().expect(200);
            ensure!(wanted(&ready), "{ready:#}");
            Ok(ready)
        });
        found.await.unwrap()
    }

    fn degraded(ready: &Value) -> bool {
        let missing = ready["degraded"].as_array().unwrap();
        ["release-svc: bus", "slipway.release.v1.TaskService: topics"]
            .iter()
            .all(|name| missing.contains(&json!(name)))
    }

    fn whole(ready: &Value) -> bool {
        ready["degraded"] == json!([])
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn without_its_broker_a_process_serves_and_says_what_is_missing() {
        for (broker, word) in [(NOBODY, "refused"), (NOWHERE, "resolve")] {
            let server = Process::start_with(&on(broker)).await.unwrap();
            let ready = ready(&server, degraded).await;
            let checks = ready["checks"].as_array().unwrap().iter();
            let problems: Vec<_> = checks.filter_map(|c| c["problem"].as_str()).collect();
            assert!(
                problems.iter().any(|problem| problem.contains(word)),
                "{word}: {ready:#}"
            );
            let team = Team::new(&server, 1).await.unwrap();
            team.release("accepted all the same", &[0]).await.unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn events_accepted_without_the_broker_are_published_when_it_is_available() {
        let Some(backbones) = Backbones::start().await.unwrap() else {
            return;
        };
        backbones.kafka("stop").await.unwrap();
        let server = Process::start_with(&on(&backbones.kafka)).await.unwrap();
        ready(&server, degraded).await;
        let team = Team::new(&server, 1).await.unwrap();
        for command in ["start", "restart"] {
            let release = team.release(command, &[0]).await.unwrap();
            let subject = json!(id(&release));
            backbones.kafka(command).await.unwrap();
            let since = Instant::now();
            let seen = team.admin.seen(|entry| entry["subject"] == subject);
            seen.await.unwrap();
            eprintln!(
                "{command}: in the activity feed {:?} after it",
                since.elapsed()
            );
            ready(&server, whole).await;
            backbones.kafka("kill").await.unwrap();
            ready(&server, |ready| !whole(ready)).await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_refusal_by_a_server_ends_the_start() {
        let Some(backbones) = Backbones::start().await.unwrap() else {
            return;
        };
        let (_, host) = backbones.mongodb.split_once("://").unwrap();
        let wrong = mongodb(&format!("mongodb://nobody:hunter2@{host}"));
        refused(&wrong, &["MongoDB", "cannot be used", "uthentication"]).await;

        let client = mongo::connect(&backbones.mongodb).await.unwrap();
        for (role, collection) in [("release", "releases"), ("notify", "notifications")] {
            let index = Index::on(collection, "outbox", &[("by", 1)]);
            let database = format!("slipway_{role}");
            Database::open(&client, &database, &[index]).await.unwrap();
            let why = "made by another version";
            let words = ["MongoDB", "cannot be used", &database, why];
            refused(&alone(mongodb(&backbones.mongodb), role), &words).await;
        }

        let topic = TopicSpec {
            name: "slipway.users".into(),
            partitions: 2,
            record_bytes: None,
        };
        let bus = KafkaBus::new(KafkaConfig::new(&backbones.kafka)).unwrap();
        let of_a_group = TopicSpec {
            name: "slipway.releases.activity.dlq".into(),
            partitions: 3,
            record_bytes: None,
        };
        bus.create_topics(&[of_a_group]).await.unwrap();
        let words = [
            "Kafka",
            "slipway.releases.activity.dlq has 3 partitions, not 1",
        ];
        refused(&on(&backbones.kafka), &words).await;
        refused(&alone(on(&backbones.kafka), "notify"), &words).await;
        bus.create_topics(&[topic]).await.unwrap();
        let words = ["Kafka", "slipway.users has 2 partitions, not 6"];
        refused(&on(&backbones.kafka), &words).await;
        refused(&on(&backbones.kafka).arg("topics"), &words).await;
    }

    #[cfg(feature = "kafka-tls")]
    #[tokio::test(flavor = "multi_thread")]
    async fn tls_requires_known_credentials_and_a_trusted_broker() {
        let Some(backbones) = Backbones::start().await.unwrap() else {
            return;
        };
        let (broker, authority) = backbones.secure_kafka().await.unwrap();
        let signed_in = |mechanism: &str, password: &str| {
            on(&broker)
                .env("SLIPWAY_KAFKA_TLS", "true")
                .env("SLIPWAY_KAFKA_CA_FILE", authority.to_str().unwrap())
                .env("SLIPWAY_KAFKA_SASL_MECHANISM", mechanism)
                .env("SLIPWAY_KAFKA_SASL_USERNAME", "slipway")
                .env("SLIPWAY_KAFKA_SASL_PASSWORD", password)
        };
        for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
            works(&signed_in(mechanism, "for-tests")).await;
            let wrong = signed_in(mechanism, "hunter2");
            refused(&wrong, &["Kafka", &broker, "uthentication"]).await;
        }
        // The system does not trust this CA.
        let mut stranger = signed_in("PLAIN", "for-tests");
        stranger
            .env
            .retain(|(name, _)| name != "SLIPWAY_KAFKA_CA_FILE");
        refused(&stranger, &["Kafka", &broker, "certificate"]).await;
    }

    /// Checks that an event is published and consumed: it must appear in the activity feed.
    #[cfg(feature = "kafka-tls")]
    async fn works(options: &Options) {
        let server = Process::start_with(options).await.unwrap();
        ready(&server, whole).await;
        let team = Team::new(&server, 1).await.unwrap();
        let release = team.release("over TLS", &[0]).await.unwrap();
        let subject = json!(id(&release));
        let seen = team.admin.seen(|entry| entry["subject"] == subject);
        seen.await.unwrap();
    }

    #[cfg(feature = "kafka-tls")]
    #[tokio::test(flavor = "multi_thread")]
    async fn a_broker_can_require_a_client_certificate() {
        let Some(backbones) = Backbones::start().await.unwrap() else {
            return;
        };
        let (broker, files) = backbones.mutual_kafka().await.unwrap();
        let file = |name: &str| files.join(name).to_string_lossy().into_owned();
        let stranger = on(&broker)
            .env("SLIPWAY_KAFKA_TLS", "true")
            .env("SLIPWAY_KAFKA_CA_FILE", file("ca.pem"));
        refused(&stranger, &["Kafka", &broker, "ertificate"]).await;
        let known = stranger
            .env("SLIPWAY_KAFKA_CERT_FILE", file("client.crt"))
            .env("SLIPWAY_KAFKA_KEY_FILE", file("client.key"));
        works(&known).await;
    }
}
