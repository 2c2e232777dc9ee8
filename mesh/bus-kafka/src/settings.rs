//! The library's settings that differ from its defaults, and why.

use std::{path::Path, time::Duration};

use rdkafka::{ClientConfig, config::RDKafkaLogLevel};

use super::KafkaConfig;
use slipway_bus::security::{Security, SignIn, Tls};

/// Settings of every client.
pub(super) fn client(config: &KafkaConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", &config.brokers)
        .set("client.id", "slipway")
        // So that a broker that is back is noticed within about a second.
        .set("reconnect.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", "1000")
        // So that a hanging connection is given up before people notice.
        .set("socket.timeout.ms", "10000")
        .set("socket.keepalive.enable", "true")
        .set("socket.nagle.disable", "true")
        .set_log_level(RDKafkaLogLevel::Info);
    secure(&mut client, &config.security);
    client
}

fn secure(client: &mut ClientConfig, Security { tls, sign_in }: &Security) {
    let protocol = match (tls, sign_in) {
        (None, None) => "plaintext",
        (Some(_), None) => "ssl",
        (None, Some(_)) => "sasl_plaintext",
        (Some(_), Some(_)) => "sasl_ssl",
    };
    client.set("security.protocol", protocol);
    if let Some(Tls {
        authorities,
        identity,
    }) = tls
    {
        // `probe` searches the usual places of systems: an OpenSSL that was compiled with the
        // library does not know them.
        let authorities = authorities.as_deref().map(Path::to_string_lossy);
        client.set("ssl.ca.location", authorities.as_deref().unwrap_or("probe"));
        if let Some(identity) = identity {
            client
                .set(
                    "ssl.certificate.location",
                    identity.certificate.to_string_lossy(),
                )
                .set("ssl.key.location", identity.key.to_string_lossy());
        }
    }
    if let Some(SignIn {
        mechanism,
        username,
        password,
    }) = sign_in
    {
        client
            .set("sasl.mechanism", mechanism.as_str())
            .set("sasl.username", username)
            .set("sasl.password", password);
    }
}

/// Much larger than any topic accepts by default: the broker decides what a topic accepts, and it
/// counts compressed bytes. The library's own default is below that of the brokers, so that a
/// record could be received and then not be published to a dead-letter topic.
const LARGEST_RECORD: &str = "67108864";

/// Settings of a producer.
pub(super) fn producer(config: &KafkaConfig) -> ClientConfig {
    let mut producer = client(config);
    producer
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", "lz4")
        .set("message.max.bytes", LARGEST_RECORD)
        // Keys are mapped to the same partitions as by Java clients.
        .set("partitioner", "murmur2_random")
        // Events are published as they occur, and a batch is queued all at once anyway.
        .set("linger.ms", "1")
        // Never: a message that expired alone would leave a gap before the ones behind it. The
        // publisher has a deadline for the whole batch instead.
        .set("message.timeout.ms", "0");
    producer
}

/// Settings of a member of a group.
pub(super) fn consumer(config: &KafkaConfig, group: &str) -> ClientConfig {
    let session = config.session_timeout;
    let mut consumer = client(config);
    consumer
        .set("group.id", group)
        // Offsets are committed only after the effect is stored.
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        // Members keep the partitions that stay assigned to them during a rebalance.
        .set("partition.assignment.strategy", "cooperative-sticky")
        // The partitions of a killed replica are reassigned after this time.
        .set("session.timeout.ms", millis(session))
        .set("heartbeat.interval.ms", millis(session / 5))
        .set("allow.auto.create.topics", "false")
        // How often the lag is measured.
        .set("statistics.interval.ms", "5000")
        // A broker answers at once when there is a record. Without one it waits for this long, twice
        // the default: each request names all partitions of the member. A partition that is newly
        // assigned waits for the end of a request too.
        .set("fetch.wait.max.ms", "1000")
        // Prefetch only a little: it takes memory, in every role.
        .set("queued.min.messages", "1000")
        .set("queued.max.messages.kbytes", "8192")
        .set("fetch.queue.backoff.ms", "50");
    consumer
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}
