//! A stream of the log: first the entries the reader missed, then new ones as they are appended.
//!
//! Both come from the store in the same way, as pages of entries after the last one sent. So no
//! entry is lost between the two phases. A slow reader delays nobody and holds only one page in
//! memory: the next page is read when the reader asks for it.

use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use prost::Message as _;
use slipway_proto::notify::v1::{self, ActivityGap, ActivityServiceWatchResponse};
use slipway_rpc::error::Fault;
use slipway_runtime::telemetry::metrics::Counted;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::translate;
use crate::{
    activity::{Entry, store::ActivityStore},
    metrics as m,
};

/// Maximum number of entries in one message.
const PAGE: u32 = 50;

/// Maximum size, in bytes, of the entries in one message; the last entry may exceed it. A reader
/// that stops reading holds no more than one message.
const MAX_MESSAGE: usize = 32 * 1024;

/// One reader's position in the log.
pub(super) struct Watcher {
    store: ActivityStore,
    newest: watch::Receiver<u64>,
    drain: CancellationToken,
    /// The last number sent, or known to be missing.
    last: u64,
    _counted: Counted,
}

impl Watcher {
    pub(super) fn new(
        store: ActivityStore,
        newest: watch::Receiver<u64>,
        drain: CancellationToken,
        after: u64,
    ) -> Self {
        Self {
            store,
            newest,
            drain,
            last: after,
            _counted: Counted::new(metrics::gauge!(m::WATCHERS)),
        }
    }

    /// The stream ends with OK when the process drains.
    pub(super) fn into_stream(
        self,
    ) -> BoxStream<'static, Result<ActivityServiceWatchResponse, Status>> {
        stream::try_unfold(self, |mut watcher| async move {
            let drain = watcher.drain.clone();
            let message = tokio::select! {
                biased;
                () = drain.cancelled() => return Ok(None),
                message = watcher.message() => message?,
            };
            Ok(message.map(|message| (message, watcher)))
        })
        .boxed()
    }

    /// Waits for the next message. `None` when the process appends no more entries.
    async fn message(&mut self) -> Result<Option<ActivityServiceWatchResponse>, Fault> {
        loop {
            // Must come before the read, so that an append from here on wakes the wait below.
            self.newest.mark_unchanged();
            let entries = self.store.following(self.last, PAGE).await?;
            if let Some(gap) = self.gap(&entries).await? {
                let gap = Some(gap);
                let entries = Vec::new();
                return Ok(Some(ActivityServiceWatchResponse { gap, entries }));
            }
            let mut bytes = 0;
            let fits = |entry: &v1::ActivityEntry| {
                let before = bytes;
                bytes += entry.encoded_len();
                before < MAX_MESSAGE
            };
            let entries = entries.into_iter().map(translate::entry);
            let entries: Vec<_> = entries.take_while(fits).collect();
            if let Some(last) = entries.last() {
                self.last = last.sequence;
                return Ok(Some(ActivityServiceWatchResponse { gap: None, entries }));
            }
            if self.newest.changed().await.is_err() {
                return Ok(None);
            }
        }
    }

    /// The missing numbers before these entries, or after the end of the log: they were pruned or
    /// never assigned. Moves the position past them.
    async fn gap(&mut self, entries: &[Entry]) -> Result<Option<ActivityGap>, Fault> {
        let last = self.last;
        if let Some(first) = entries.first() {
            if first.sequence == last + 1 {
                return Ok(None);
            }
            self.last = first.sequence - 1;
            return Ok(Some(ActivityGap {
                from: last + 1,
                to: self.last,
            }));
        }
        let newest = self.store.newest().await?;
        if newest >= last {
            return Ok(None);
        }
        self.last = newest;
        Ok(Some(ActivityGap {
            from: newest + 1,
            to: last,
        }))
    }
}
