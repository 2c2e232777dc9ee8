//! One client of the activity stream.
//!
//! It subscribes to the hub *before* it fetches the missed entries. So entries that arrive
//! meanwhile wait in the hub's queue, and the session later drops those that it has also fetched.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::{Stream, stream};
use slipway_proto::notify::v1::{ActivityServiceListRequest, ActivityServiceListResponse};
use slipway_rpc::{
    access::{OpenStream, SessionWatch},
    error::Fault,
    grpc::Outbound,
};
use slipway_runtime::telemetry::{TraceContext, metrics::Counted};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, sleep, sleep_until},
};
use uuid::Uuid;

use super::{
    Filter,
    frame::{self, Frame, Goodbye},
    hub::Live,
};
use crate::{
    app::{App, AppState},
    extract::Caller,
    metrics as m,
    sse::KEEP_ALIVE,
};

/// Bytes of missed entries that are buffered for a client; the last entry may exceed them.
const MAX_HELD: usize = 3 * 1024;

/// Bytes passed to the connection at once. The connection buffers sixteen pieces before it waits
/// for the client to read.
const MAX_PIECE: usize = 512;

/// One client of the stream. Keep it small: there may be 20,000 of them.
pub(crate) struct Session {
    app: AppState,
    reader: Uuid,
    filter: Filter,
    live: Receiver<Live>,
    /// The last number that was sent or filtered out.
    position: u64,
    /// The missed entries that are not fetched yet; `None` when the client has caught up.
    missed: Option<Box<Missed>>,
    /// Bytes to be sent first: the opening, and missed entries.
    unsent: Bytes,
    /// When the client's token expires.
    expires: Instant,
    /// Watches the end of the client's session.
    watch: SessionWatch,
    /// Whether the goodbye has been sent.
    over: bool,
    _open: OpenStream,
    _connected: Counted,
}

/// Fetches the pages of entries that a client has missed.
struct Missed {
    request: ActivityServiceListRequest,
    outbound: Outbound,
    /// The trace of the client's request: pages are fetched after its handler has returned.
    trace: TraceContext,
}

impl Session {
    /// Opens a stream that starts after the number `after`, or with the next new entry.
    pub(crate) async fn open(
        app: AppState,
        caller: Caller,
        after: Option<u64>,
        filter: Filter,
    ) -> Result<Self, Fault> {
        let open = app.streams.open(Some(&caller.principal))?;
        let (live, head) = app.hub.subscribe()?;
        let watch = app.verifier.ended().watch(caller.principal.session_id);
        let left = caller.principal.expires_at.duration_since(app.clock.now());
        let mut session = Self {
            reader: caller.principal.user_id,
            live,
            position: after.unwrap_or(head),
            missed: None,
            unsent: frame::opening(app.stream.retry, after.unwrap_or(head)),
            expires: Instant::now() + Duration::try_from(left).unwrap_or_default(),
            watch,
            over: false,
            filter,
            app,
            _open: open,
            _connected: Counted::new(metrics::gauge!(m::STREAM_CLIENTS)),
        };
        if let Some(after) = after {
            session.resume(after, head, caller.outbound).await?;
        }
        Ok(session)
    }

    /// Fetches the first page of missed entries, so that an unavailable log is answered with an
    /// error and not with a stream. Sends a gap for entries that no longer exist.
    async fn resume(&mut self, after: u64, head: u64, outbound: Outbound) -> Result<(), Fault> {
        let missed = Missed {
            request: ActivityServiceListRequest {
                filter: Some(self.filter.to_proto()),
                after,
                ascending: true,
                page_size: self.app.stream.catch_up_page.into(),
                ..ActivityServiceListRequest::default()
            },
            outbound,
            trace: TraceContext::current(),
        };
        let page = missed.fetch(&self.app).await?;
        let mut opening = BytesMut::from(&self.unsent[..]);
        let newest = page.newest.max(head);
        if after > newest {
            self.position = newest;
            opening.extend_from_slice(&frame::gap(newest + 1, after, newest));
        } else {
            if page.oldest > after + 1 {
                self.position = page.oldest - 1;
                opening.extend_from_slice(&frame::gap(after + 1, page.oldest - 1, self.position));
            }
            self.missed = Some(Box::new(missed));
            opening.extend_from_slice(&self.take(page));
        }
        self.unsent = opening.freeze();
        Ok(())
    }

    /// The body of the answer.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut session| async move {
            let piece = session.next().await?;
            Some((Ok(piece), session))
        })
    }

    /// The next piece; `None` ends the stream, and the client connects again.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(piece) = self.piece() {
            return Some(piece);
        }
        if self.over {
            return None;
        }
        let app = Arc::clone(&self.app);
        let (expires, ended) = (self.expires, self.watch.ended());
        let goodbye = tokio::select! {
            biased;
            () = app.drain.cancelled() => Goodbye::Shutdown,
            () = ended => Goodbye::SessionEnded,
            () = sleep_until(expires) => Goodbye::TokenExpired,
            piece = self.advance() => return piece,
            () = sleep(app.stream.heartbeat) => return Some(KEEP_ALIVE),
        };
        self.over = true;
        Some(goodbye.into())
    }

    /// The next piece of the unsent bytes.
    fn piece(&mut self) -> Option<Bytes> {
        let length = self.unsent.len().min(MAX_PIECE);
        (length > 0).then(|| self.unsent.split_to(length))
    }

    /// Waits for the next piece with entries. Cancel-safe: no received entry is lost.
    async fn advance(&mut self) -> Option<Bytes> {
        while let Some(missed) = &mut self.missed {
            // Boxed, to keep the future of a client that has caught up small.
            let page = Box::pin(missed.fetch(&self.app)).await.ok()?;
            self.unsent = self.take(page);
            if let Some(piece) = self.piece() {
                return Some(piece);
            }
        }
        loop {
            match self.live.recv().await {
                Ok(Live::Entry(frame)) if frame.sequence <= self.position => {}
                Ok(Live::Entry(frame)) => {
                    self.position = frame.sequence;
                    if self.filter.matches(&frame, self.reader) {
                        metrics::counter!(m::STREAM_FRAMES).increment(1);
                        return Some(frame.bytes.clone());
                    }
                }
                Err(RecvError::Lagged(_)) => {
                    metrics::counter!(m::STREAM_LAGGED).increment(1);
                    return None;
                }
                Ok(Live::StartOver) | Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Renders a page of missed entries up to [`MAX_HELD`], which bounds the memory of a client
    /// that does not read; and prepares the request for the next page.
    fn take(&mut self, page: ActivityServiceListResponse) -> Bytes {
        let mut piece = BytesMut::with_capacity(MAX_HELD + MAX_PIECE);
        let mut left = false;
        for entry in page.entries {
            if piece.len() >= MAX_HELD {
                left = true;
                break;
            }
            self.position = entry.sequence;
            match Frame::try_from(entry) {
                Ok(frame) => piece.extend_from_slice(&frame.bytes),
                // Skip it, so that it does not block the entries after it.
                Err(error) => tracing::error!(%error, "activity entry skipped: it cannot be shown"),
            }
        }
        if !left && page.next_page_token.is_empty() {
            self.missed = None;
        } else if let Some(missed) = &mut self.missed {
            // The entries that are left are fetched again: the cursor points after the whole page.
            missed.request.page_token = match left {
                true => String::new(),
                false => page.next_page_token,
            };
            if left {
                missed.request.after = self.position;
            }
        }
        piece.freeze()
    }
}

impl Missed {
    async fn fetch(&self, app: &App) -> Result<ActivityServiceListResponse, Fault> {
        let _turn = app.catching_up.acquire().await;
        let request = self.outbound.request(self.request.clone());
        let answer = self.trace.scope(app.activity().list(request)).await?;
        Ok(answer.into_inner())
    }
}
