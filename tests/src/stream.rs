//! A reader of the live wall of activity.

use std::{pin::Pin, time::Duration};

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use serde_json::Value;
use sse_stream::{Sse, SseStream};

/// What does not arrive within this time never will.
const TIMEOUT: Duration = Duration::from_secs(60);

/// An open stream.
pub struct Stream {
    events: Pin<Box<dyn futures::Stream<Item = Result<Sse, sse_stream::Error>> + Send>>,
}

/// What arrives on it.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamEvent {
    /// An entry of the wall.
    Entry {
        /// Its number, from the `id:` line.
        sequence: u64,
        /// Its type, from the `event:` line.
        kind: String,
        /// Its data.
        data: Value,
    },
    /// Numbers that are not there.
    Gap(Value),
    /// The server says goodbye.
    Goodbye(Value),
}

impl Stream {
    pub(crate) fn new(answer: reqwest::Response) -> Self {
        let events = SseStream::from_bytes_stream(answer.bytes_stream());
        Self {
            events: Box::pin(events),
        }
    }

    /// The next thing that arrives; heartbeats and bare ids are passed over.
    ///
    /// # Errors
    /// If nothing arrives, or the stream ends.
    pub async fn next(&mut self) -> anyhow::Result<StreamEvent> {
        loop {
            let event = tokio::time::timeout(TIMEOUT, self.events.next()).await;
            let event = event
                .context("nothing arrives")?
                .context("the stream ended")??;
            let (Some(kind), Some(data)) = (event.event, event.data) else {
                continue;
            };
            let data = serde_json::from_str(&data)?;
            return Ok(match kind.as_str() {
                "gap" => StreamEvent::Gap(data),
                "goodbye" => StreamEvent::Goodbye(data),
                _ => StreamEvent::Entry {
                    sequence: event.id.context("an id")?.parse()?,
                    kind,
                    data,
                },
            });
        }
    }

    /// The next entry.
    ///
    /// # Errors
    /// If something else arrives, or nothing.
    pub async fn entry(&mut self) -> anyhow::Result<(u64, Value)> {
        match self.next().await? {
            StreamEvent::Entry { sequence, data, .. } => Ok((sequence, data)),
            other => bail!("instead of an entry: {other:?}"),
        }
    }

    /// Whether it has come to its end.
    ///
    /// # Errors
    /// If something arrives instead, or nothing.
    pub async fn ended(&mut self) -> anyhow::Result<()> {
        match tokio::time::timeout(TIMEOUT, self.events.next()).await? {
            None => Ok(()),
            Some(other) => bail!("instead of the end: {other:?}"),
        }
    }
}
