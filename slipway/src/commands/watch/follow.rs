//! Following the stream: reading it, and finding back to it.

use std::time::Duration;

use futures::StreamExt as _;
use reqwest::StatusCode;
use sse_stream::{Sse, SseStream};

use super::{
    backoff::Backoff,
    entry::{Entry, Gap},
    output::Output,
};
use crate::commands::client::{Client, ClientError, innermost};

/// A reader of the wall that knows where it is.
pub(super) struct Follower<'a> {
    client: &'a Client,
    filter: Vec<(&'a str, &'a str)>,
    /// The number of the last event seen, or of the one to begin after.
    last: Option<String>,
    backoff: Backoff,
    output: Output,
    /// Whether the connection was lost and is not back yet.
    lost: bool,
}

impl<'a> Follower<'a> {
    pub(super) fn new(
        client: &'a Client,
        filter: Vec<(&'a str, &'a str)>,
        after: Option<u64>,
        output: Output,
    ) -> Self {
        Self {
            client,
            filter,
            last: after.map(|after| after.to_string()),
            backoff: Backoff::new(),
            output,
            lost: false,
        }
    }

    /// Follows until the server refuses or nobody reads the output.
    pub(super) async fn follow(&mut self) -> anyhow::Result<()> {
        loop {
            let reason = self.read_once().await?;
            let delay = self.backoff.delay(rand::random());
            if !self.lost {
                self.lost = true;
                self.output.remark(&format!("{reason}; connecting again"));
            }
            tokio::time::sleep(delay).await;
        }
    }

    /// Reads one connection to its end; returns why it ended.
    async fn read_once(&mut self) -> anyhow::Result<String> {
        let opened = self
            .client
            .stream("/activity/stream", &self.filter, self.last.as_deref())
            .await;
        let response = match opened {
            Ok(response) => response,
            Err(error) if is_final(&error) => return Err(error.into()),
            Err(error) => return Ok(error.to_string()),
        };
        if self.lost {
            self.lost = false;
            self.output.remark("connected again");
        }
        self.backoff.reset();
        let mut events = SseStream::from_bytes_stream(response.bytes_stream());
        while let Some(event) = events.next().await {
            match event {
                Ok(event) if event.event.as_deref() == Some("goodbye") => {
                    return Ok("the server is going down".into());
                }
                Ok(event) => self.take(event)?,
                Err(error) => return Ok(format!("the connection is lost: {}", innermost(&error))),
            }
        }
        Ok("the server has closed the connection".into())
    }

    fn take(&mut self, event: Sse) -> anyhow::Result<()> {
        if let Some(milliseconds) = event.retry {
            self.backoff.begin_with(Duration::from_millis(milliseconds));
        }
        match (event.event.as_deref(), &event.data) {
            (Some("gap"), Some(data)) => {
                let gap: Gap = serde_json::from_str(data)?;
                self.output.remark(&gap.sentence());
            }
            (_, Some(data)) => {
                let entry: Entry = serde_json::from_str(data)?;
                self.output.entry(&entry, data)?;
            }
            (_, None) => {}
        }
        // A block without data has a place as well: the one where the stream begins.
        if event.id.is_some() {
            self.last = event.id;
        }
        Ok(())
    }
}

/// Whether trying again cannot help: the token is not good (any more), or the question is
/// wrong. Everything else passes.
fn is_final(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } => false,
        ClientError::Malformed { .. } => true,
        ClientError::Refused(refusal) => {
            refusal.status.is_client_error()
                && refusal.status != StatusCode::TOO_MANY_REQUESTS
                && refusal.status != StatusCode::REQUEST_TIMEOUT
        }
    }
}
