//! Opens the databases of the embedded mode in the data directory: one per service, and the bus.

use std::sync::Arc;

use anyhow::Context as _;
use slipway_bus::{Bus as _, EmbeddedBus, SharedBus, TopicSpec};
use slipway_proto::events::TOPICS;
use slipway_runtime::{clock::SharedClock, life::Background};

use super::data_dir::DataDir;

/// The stores of release-svc.
pub(super) fn release_stores(data: &DataDir) -> anyhow::Result<release_svc::Stores> {
    let path = data.database("release");
    release_svc::Stores::sqlite(&path).with_context(|| format!("{}", path.display()))
}

/// The stores of forum-svc.
pub(super) fn forum_stores(data: &DataDir) -> anyhow::Result<forum_svc::Stores> {
    let path = data.database("forum");
    forum_svc::Stores::sqlite(&path).with_context(|| format!("{}", path.display()))
}

/// The stores of chat-svc.
pub(super) fn chat_stores(data: &DataDir) -> anyhow::Result<chat_svc::Stores> {
    let path = data.database("chat");
    chat_svc::Stores::sqlite(&path).with_context(|| format!("{}", path.display()))
}

/// The stores of notify-svc.
pub(super) fn notify_stores(data: &DataDir) -> anyhow::Result<notify_svc::Stores> {
    let path = data.database("notify");
    notify_svc::Stores::sqlite(&path).with_context(|| format!("{}", path.display()))
}

/// The bus, with its topics.
pub(super) async fn bus(
    data: &DataDir,
    clock: SharedClock,
    background: &Background,
) -> anyhow::Result<SharedBus> {
    let path = data.database("bus");
    let bus = EmbeddedBus::open(&path, clock).with_context(|| format!("{}", path.display()))?;
    let topics: Vec<_> = TOPICS.iter().map(TopicSpec::from).collect();
    let created = bus.create_topics(&topics).await;
    created.with_context(|| format!("{}", path.display()))?;
    bus.prune_in(background);
    bus.measure_in(background);
    Ok(Arc::new(bus))
}
