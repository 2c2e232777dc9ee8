//! What of the library's settings differs from its defaults, and why.

use std::time::Duration;

use rdkafka::{ClientConfig, config::RDKafkaLogLevel};

use super::KafkaConfig;

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
    client
}

/// What publishes.
pub(super) fn producer(config: &KafkaConfig) -> ClientConfig {
    let mut producer = client(config);
    producer
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", "lz4")
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
