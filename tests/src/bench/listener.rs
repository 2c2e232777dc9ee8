//! Records when an event reached its topic and its entry reached the activity feed, with a Kafka
//! consumer and a client of the stream.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, ensure};
use slipway_tests::{
    Client, Mesh,
    topics::{ACTIVITY, Told, Topics},
};
use tokio::sync::mpsc;

/// Time limit for an event to arrive.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Consumers of the topics and of the activity feed.
pub(super) struct Listener {
    topics: mpsc::UnboundedReceiver<(Told, SystemTime)>,
    feed: mpsc::UnboundedReceiver<(String, SystemTime)>,
    /// Ids of earlier events: an event with one of these ids was published again.
    known: HashSet<String>,
}

/// An event with the time it was consumed, and the time its entry arrived.
pub(super) type Received = Vec<(Told, SystemTime, SystemTime)>;

impl Listener {
    /// Starts after everything so far is in the activity feed.
    pub(super) async fn open(mesh: &Mesh, admin: &Client) -> anyhow::Result<Self> {
        let brokers = Topics::of(&mesh.backbones()?.kafka);
        brokers.consumed_by(ACTIVITY).await?;
        let topics = brokers.follow().await?;
        let mut stream = admin.stream("", None).await?;
        let (sender, feed) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            // Until the stream or the measurement ends.
            while let Ok((_, entry)) = stream.entry().await {
                let id = entry["id"].as_str().unwrap_or_default().to_owned();
                if sender.send((id, SystemTime::now())).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            topics,
            feed,
            known: HashSet::new(),
        })
    }

    /// The next `count` events, once each has arrived in both places.
    pub(super) async fn received(&mut self, count: usize) -> anyhow::Result<Received> {
        let both = async {
            let (mut published, mut entries) = (Vec::new(), HashMap::new());
            while published.len() < count {
                let (event, at) = self.topics.recv().await.context("the topics ended")?;
                // Delivery events are not in the activity feed.
                let is_shown = ACTIVITY.topics.contains(&event.topic.as_str());
                if is_shown && self.known.insert(event.id.clone()) {
                    published.push((event, at));
                }
            }
            while entries.len() < count {
                let (id, at) = self.feed.recv().await.context("the stream ended")?;
                ensure!(
                    entries.insert(id, at).is_none(),
                    "an event is in the activity feed twice"
                );
            }
            published
                .into_iter()
                .map(|(event, at)| {
                    let stored = entries
                        .get(&event.id)
                        .context("an event is not in the activity feed")?;
                    Ok((event, at, *stored))
                })
                .collect()
        };
        tokio::time::timeout(TIMEOUT, both)
            .await
            .context("events are missing")?
    }
}
