//! `topics`: checks that Kafka's topics exist with the required partitions, and creates missing
//! ones.

use serde::Serialize;
use slipway_bus::{BusError, TopicSpec};
use slipway_proto::events::TOPICS;

use crate::{UsageError, config::Layers, output, wiring::bus};

/// One topic in the JSON output.
#[derive(Serialize)]
struct Row<'a> {
    topic: &'a str,
    partitions: u32,
}

/// Creates or checks every topic of domain events, and prints them. Consumer groups create their
/// own topics themselves.
///
/// # Errors
/// If Kafka is not configured, is unavailable, or has a topic with another number of partitions.
pub async fn run(layers: &Layers, json: bool) -> anyhow::Result<()> {
    let settings = layers.settings(None)?;
    let Some(brokers) = &settings.kafka_brokers else {
        let text = "SLIPWAY_KAFKA_BROKERS is not set; the embedded bus creates its topics itself";
        return Err(UsageError(text.into()).into());
    };
    let topics: Vec<_> = TOPICS.iter().map(TopicSpec::from).collect();
    let bus = bus::connect(brokers, &settings.kafka_security())?;
    match bus.create_topics(&topics).await {
        Ok(()) => output::print(&shown(&topics, json)?),
        Err(error @ BusError::Refused(_)) => Err(bus::refused(brokers, &error).into()),
        Err(error) => Err(anyhow::anyhow!("Kafka at {brokers}: {error}")),
    }
}

fn shown(topics: &[TopicSpec], json: bool) -> serde_json::Result<String> {
    if json {
        let rows: Vec<_> = topics
            .iter()
            .map(|topic| Row {
                topic: &topic.name,
                partitions: topic.partitions,
            })
            .collect();
        return Ok(serde_json::to_string_pretty(&rows)? + "\n");
    }
    let lines = topics
        .iter()
        .map(|topic| format!("{:<24}{:>3} partitions\n", topic.name, topic.partitions));
    Ok(lines.collect())
}
