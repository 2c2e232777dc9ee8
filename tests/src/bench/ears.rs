//! When an event was on its topic, and its entry on the wall: an own client of Kafka and a
//! client of the stream, who note when they have what.

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

/// What has not arrived after this time never will.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What listens to the topics and to the wall.
pub(super) struct Ears {
    topics: mpsc::UnboundedReceiver<(Told, SystemTime)>,
    wall: mpsc::UnboundedReceiver<(String, SystemTime)>,
    /// Events that were here before: a later one of that id has been published again.
    known: HashSet<String>,
}

/// An event, and when its entry was here.
pub(super) type Heard = Vec<(Told, SystemTime, SystemTime)>;

impl Ears {
    /// Listens to what comes, when everything that was is on the wall.
    pub(super) async fn open(mesh: &Mesh, admin: &Client) -> anyhow::Result<Self> {
        let brokers = Topics::of(&mesh.backbones()?.kafka);
        brokers.consumed_by(ACTIVITY).await?;
        let topics = brokers.follow().await?;
        let mut stream = admin.stream("", None).await?;
        let (sender, wall) = mpsc::unbounded_channel();
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
            wall,
            known: HashSet::new(),
        })
    }

    /// The next so many events, at both.
    pub(super) async fn heard(&mut self, count: usize) -> anyhow::Result<Heard> {
        let both = async {
            let (mut told, mut entries) = (Vec::new(), HashMap::new());
            while told.len() < count {
                let (event, at) = self.topics.recv().await.context("the topics ended")?;
                // What became of mails is on no wall.
                let is_shown = ACTIVITY.topics.contains(&event.topic.as_str());
                if is_shown && self.known.insert(event.id.clone()) {
                    told.push((event, at));
                }
            }
            while entries.len() < count {
                let (id, at) = self.wall.recv().await.context("the stream ended")?;
                ensure!(
                    entries.insert(id, at).is_none(),
                    "an event is on the wall twice"
                );
            }
            told.into_iter()
                .map(|(event, at)| {
                    let stored = entries
                        .get(&event.id)
                        .context("an event is not on the wall")?;
                    Ok((event, at, *stored))
                })
                .collect()
        };
        tokio::time::timeout(TIMEOUT, both)
            .await
            .context("events are missing")?
    }
}
