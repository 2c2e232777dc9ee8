//! A fake activity service: a log in memory that can be unavailable, delete its oldest entries,
//! hold back its watchers, and grow while a page is read.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use futures::{Stream, stream};
use prost_types::Timestamp;
use slipway_proto::{
    common::v1::UserRef,
    notify::v1::{activity_service_server::ActivityService, *},
};
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{ADA, RELEASE};

/// The number of entries that are added while one page is read: before and after it is taken.
type Growth = (usize, usize);

#[derive(Default)]
struct State {
    entries: Vec<ActivityEntry>,
    /// The number of oldest entries that are deleted.
    forgotten: usize,
    unavailable: bool,
    growth: VecDeque<Growth>,
    asked: Vec<ActivityServiceListRequest>,
}

pub(crate) struct Log {
    state: Arc<Mutex<State>>,
    /// The number up to which watchers get entries, and how often all of them were disconnected.
    watched: watch::Sender<(u64, u32)>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            state: Arc::default(),
            watched: watch::channel((u64::MAX, 0)).0,
        }
    }
}

/// An entry of the log; every third is about a release and concerns Ada.
fn entry(sequence: u64) -> ActivityEntry {
    let of_release = sequence.is_multiple_of(3);
    let kind = if of_release {
        "release.created"
    } else {
        "task.started"
    };
    let other = UserRef {
        id: Uuid::from_u128(sequence.into()).to_string(),
        username: "bob".into(),
    };
    ActivityEntry {
        sequence,
        id: Uuid::from_u128(sequence.into()).to_string(),
        r#type: kind.into(),
        time: Some(Timestamp::default()),
        actor: (!of_release).then_some(other),
        subject: RELEASE.into(),
        release_id: if of_release {
            RELEASE.into()
        } else {
            String::new()
        },
        summary: format!("Entry\n{sequence}"),
        data_json: format!("{{\n\"number\": {sequence}}}"),
        concerns: of_release.then(|| ADA.into()).into_iter().collect(),
    }
}

impl State {
    fn newest(&self) -> u64 {
        self.entries.len() as u64
    }

    fn oldest(&self) -> u64 {
        if self.entries.is_empty() {
            0
        } else {
            self.forgotten as u64 + 1
        }
    }

    fn grow(&mut self, count: usize) {
        for _ in 0..count {
            self.entries.push(entry(self.newest() + 1));
        }
    }

    fn page(&self, request: &ActivityServiceListRequest) -> ActivityServiceListResponse {
        let filter = request.filter.clone().unwrap_or_default();
        let token: u64 = request.page_token.parse().unwrap_or_default();
        let after = request.after.max(token).max(self.forgotten as u64);
        let wanted = |entry: &&ActivityEntry| {
            let of_type = |pattern: &String| match pattern.strip_suffix('*') {
                Some(family) => entry.r#type.starts_with(family),
                None => *pattern == entry.r#type,
            };
            (filter.types.is_empty() || filter.types.iter().any(of_type))
                && (filter.release_id.is_empty() || filter.release_id == entry.release_id)
                && (!filter.mine || entry.concerns.contains(&ADA.to_owned()))
        };
        let size = usize::try_from(request.page_size).unwrap();
        let mut found = self
            .entries
            .iter()
            .skip(usize::try_from(after).unwrap_or(usize::MAX));
        let mut entries: Vec<_> = found.by_ref().filter(wanted).take(size).cloned().collect();
        let next_page_token = match entries.last() {
            Some(last) if entries.len() == size => last.sequence.to_string(),
            _ => String::new(),
        };
        if !request.ascending {
            entries.reverse();
        }
        ActivityServiceListResponse {
            entries,
            next_page_token,
            oldest: self.oldest(),
            newest: self.newest(),
        }
    }
}

impl Log {
    /// Adds entries, and notifies watchers.
    pub(crate) fn grow(&self, count: usize) {
        self.state.lock().unwrap().grow(count);
        self.watched.send_modify(|_| {});
    }

    /// Adds entries whose data have this many bytes.
    pub(crate) fn grow_large(&self, count: usize, bytes: usize) {
        let mut state = self.state.lock().unwrap();
        let begin = state.entries.len();
        state.grow(count);
        for entry in &mut state.entries[begin..] {
            entry.data_json = format!("{{\"text\": \"{}\"}}", "x".repeat(bytes));
        }
        drop(state);
        self.watched.send_modify(|_| {});
    }

    /// Adds entries while pages are read: one item for each page.
    pub(crate) fn grow_while_listed(&self, growth: impl IntoIterator<Item = Growth>) {
        self.state.lock().unwrap().growth.extend(growth);
    }

    /// Deletes the oldest entries.
    pub(crate) fn forget(&self, count: usize) {
        self.state.lock().unwrap().forgotten = count;
    }

    /// Becomes what it was when it had this many entries, as from a backup.
    pub(crate) fn restore(&self, count: usize) {
        self.state.lock().unwrap().entries.truncate(count);
        self.watched.send_modify(|_| {});
    }

    /// Sends watchers no entries beyond this number, until it is called again.
    pub(crate) fn hold_at(&self, sequence: u64) {
        self.watched.send_modify(|watched| watched.0 = sequence);
    }

    /// Refuses calls if `unavailable`, and ends the streams of watchers.
    pub(crate) fn set_unavailable(&self, unavailable: bool) {
        self.state.lock().unwrap().unavailable = unavailable;
        self.watched.send_modify(|watched| watched.1 += 1);
    }

    /// The last list request of a client.
    pub(crate) fn asked(&self) -> ActivityServiceListRequest {
        self.state.lock().unwrap().asked.last().unwrap().clone()
    }

    pub(crate) fn newest(&self) -> u64 {
        self.state.lock().unwrap().newest()
    }

    fn refuse_if_unavailable(&self) -> Result<(), Status> {
        if self.state.lock().unwrap().unavailable {
            return Err(Status::unavailable("unavailable"));
        }
        Ok(())
    }
}

#[async_trait]
impl ActivityService for Log {
    async fn list(
        &self,
        request: Request<ActivityServiceListRequest>,
    ) -> Result<Response<ActivityServiceListResponse>, Status> {
        self.refuse_if_unavailable()?;
        let request = request.into_inner();
        let page = {
            let mut state = self.state.lock().unwrap();
            // A page size of 1 is the gateway's own request for the newest number.
            let of_client = request.page_size != 1;
            let mut growth = None;
            if of_client {
                state.asked.push(request.clone());
                growth = state.growth.pop_front();
            }
            let (before, after) = growth.unwrap_or_default();
            state.grow(before);
            let page = state.page(&request);
            state.grow(after);
            page
        };
        self.watched.send_modify(|_| {});
        // Lets the hub broadcast new entries before the page arrives.
        tokio::task::yield_now().await;
        Ok(Response::new(page))
    }

    type WatchStream =
        Pin<Box<dyn Stream<Item = Result<ActivityServiceWatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<ActivityServiceWatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.refuse_if_unavailable()?;
        let state = Arc::clone(&self.state);
        let watched = self.watched.subscribe();
        let evicted = watched.borrow().1;
        let start = (request.into_inner().after, watched);
        let entries = stream::unfold(start, move |(seen, mut watched)| {
            let state = Arc::clone(&state);
            async move {
                loop {
                    let (limit, evictions) = *watched.borrow_and_update();
                    if evictions != evicted {
                        return None;
                    }
                    let answer = next(&state.lock().unwrap(), seen, limit);
                    if let Some((answer, seen)) = answer {
                        return Some((Ok(answer), (seen, watched)));
                    }
                    watched.changed().await.ok()?;
                }
            }
        });
        Ok(Response::new(Box::pin(entries)))
    }
}

/// The next message for a watcher that has seen everything up to `seen`.
fn next(state: &State, seen: u64, limit: u64) -> Option<(ActivityServiceWatchResponse, u64)> {
    let gap = |from, to| ActivityServiceWatchResponse {
        gap: Some(ActivityGap { from, to }),
        entries: Vec::new(),
    };
    if seen > state.newest() {
        return Some((gap(state.newest() + 1, seen), state.newest()));
    }
    if seen + 1 < state.oldest() {
        return Some((gap(seen + 1, state.oldest() - 1), state.oldest() - 1));
    }
    let entries: Vec<_> = state
        .entries
        .iter()
        .skip(usize::try_from(seen).unwrap())
        .take_while(|entry| entry.sequence <= limit)
        .cloned()
        .collect();
    let seen = entries.last()?.sequence;
    Some((ActivityServiceWatchResponse { gap: None, entries }, seen))
}
