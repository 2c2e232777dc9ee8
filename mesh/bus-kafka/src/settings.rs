//! What of the library's settings differs from its defaults, and why.

use std::{path::Path, time::Duration};

use rdkafka::{ClientConfig, config::RDKafkaLogLevel};

use super::KafkaConfig;
use slipway_bus::security::{Security, SignIn, Tls};

/// Any client of the cluster.
pub(super) fn client(config: &KafkaConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", &config.brokers)
        .set("client.id", "slipway")
        // A broker that is back is noticed within a second or so.
        .set("reconnect.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", "1000")
        // A connection that hangs is given up before people notice.
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
        // `probe` looks where systems keep them: an OpenSSL that was built along does not
        // know where that is.
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

/// Far more than any topic takes unless its operator wants it to: what a topic takes is the
/// broker's to say, which counts compressed bytes. The library's own limit is below the
/// brokers', so that a record could be read and not be put aside.
const LARGEST_RECORD: &str = "67108864";

/// What publishes.
pub(super) fn producer(config: &KafkaConfig) -> ClientConfig {
    let mut producer = client(config);
    producer
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", "lz4")
        .set("message.max.bytes", LARGEST_RECORD)
        // Keys land in the partitions where Java clients expect them.
        .set("partitioner", "murmur2_random")
        // Events are published as they happen, and a batch arrives all at once anyway.
        .set("linger.ms", "1")
        // For ever: a message that expired alone would leave a gap in front of those
        // behind it. The publisher has a deadline for the whole batch instead.
        .set("message.timeout.ms", "0");
    producer
}

/// A member of a group.
pub(super) fn consumer(config: &KafkaConfig, group: &str) -> ClientConfig {
    let session = config.session_timeout;
    let mut consumer = client(config);
    consumer
        .set("group.id", group)
        // Offsets are committed after the effect is stored, and only then.
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        // Members keep what stays theirs while the others move.
        .set("partition.assignment.strategy", "cooperative-sticky")
        // The partitions of a killed replica move on within this time.
        .set("session.timeout.ms", millis(session))
        .set("heartbeat.interval.ms", millis(session / 5))
        .set("allow.auto.create.topics", "false")
        // Read ahead a little: what is kept here is memory, in every role.
        .set("queued.min.messages", "1000")
        .set("queued.max.messages.kbytes", "8192")
        .set("fetch.queue.backoff.ms", "50");
    consumer
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}
