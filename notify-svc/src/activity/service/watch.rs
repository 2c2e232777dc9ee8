//! A stream of the log: what was missed, then what happens.
//!
//! Both come from the store in the same way: pages of what follows the last entry that
//! was sent. So there is no seam between them, and a reader that is slow holds nothing up
//! and nothing in memory but its own page: the next one is read when it asks for it.

use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use prost::Message as _;
use slipway_proto::notify::v1::{self, ActivityGap, ActivityServiceWatchResponse};
use slipway_rpc::error::Fault;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::translate;
use crate::{
    activity::{Entry, store::ActivityStore},
    metrics as m,
};

/// Entries in one message at most.
const PAGE: u32 = 50;

/// Bytes of entries in one message, and one entry more: a reader that does not read holds no
/// more than one message.
const MAX_MESSAGE: usize = 32 * 1024;

/// One reader's place in the log.
pub(super) struct Watcher {
    store: ActivityStore,
    newest: watch::Receiver<u64>,
    drain: CancellationToken,
    /// The last number sent, or known not to be there.
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
            _counted: Counted::new(),
        }
    }

    /// Ends, with OK, when the process drains.
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

    /// The next message; waits until there is one. None when nobody appends any more.
    async fn message(&mut self) -> Result<Option<ActivityServiceWatchResponse>, Fault> {
        loop {
            // Before reading: what is appended from here on wakes the wait below.
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

    /// The numbers that the reader expects before these entries, or at all, and that are not
    /// there: pruned, or never given out. The reader then is behind them.
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

/// Counts a stream in the metrics for as long as it is open.
struct Counted;

impl Counted {
    fn new() -> Self {
        metrics::gauge!(m::WATCHERS).increment(1);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!(m::WATCHERS).decrement(1);
    }
}
