//! Runs work on documents at the time at which each is due.
//!
//! A document says itself when it is due, so its next due time is stored, moved and deleted in the
//! same write as the rest of it: nothing can be forgotten, and nothing is left to cancel. The work
//! changes the document at the revision that was read. So when several replicas do it at the same
//! time, one of them succeeds; and after a crash, the document is still due.
//!
//! A document that cannot be decoded, such as one of a newer version, is skipped: it stays due, is
//! counted and logged, and the others do not wait for it.
//!
//! A [`Timer`] sleeps until the next due time. A write in this process that makes a document due
//! earlier wakes it ([`DueWake`]); for those of other processes it looks once a minute.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use rand::seq::SliceRandom as _;
use slipway_runtime::{backoff::Backoff, clock::SharedClock, life::Background};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    Document, Documents, Entries, Index, Query, StoreError, behind_time, by_time, metrics as m,
};

/// How long a timer sleeps at most: another process may have stored an earlier due time, or the
/// clock may have been set.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// How long a timer waits when documents that it has just worked on are still due: another replica
/// is working on them.
const SHORTEST_SLEEP: Duration = Duration::from_millis(100);

/// Documents that are read at once.
const PAGE: u32 = 32;

/// Documents that are worked on at the same time: a database can store them in one commit.
const AT_ONCE: usize = 16;

/// A document on which something has to be done at a certain time.
pub trait Due: Document {
    /// The list of the documents by due time, one of the collection's indexes. The document adds
    /// its entry with [`enter`].
    const DUE: Index;

    /// When something has to be done; `None`: never, as far as is known.
    fn due_at(&self) -> Option<Timestamp>;
}

/// Adds the entry of a document in the list by due time.
pub fn enter<D: Due>(document: &D, entries: &mut Entries) {
    if let Some(position) = position(document) {
        entries.list(&D::DUE, "", position);
    }
}

fn position<D: Due>(document: &D) -> Option<String> {
    document.due_at().map(|at| by_time(at, document.id()))
}

/// Wakes the timer of this process.
#[derive(Clone)]
pub struct DueWake(Arc<Sleep>);

struct Sleep {
    /// Until when the timer sleeps, in milliseconds since 1970.
    until: AtomicI64,
    earlier: Notify,
}

impl Default for DueWake {
    fn default() -> Self {
        Self(Arc::new(Sleep {
            until: AtomicI64::new(i64::MAX),
            earlier: Notify::new(),
        }))
    }
}

impl DueWake {
    /// Tells that a document was stored that is due at this time.
    pub fn stored(&self, due_at: Option<Timestamp>) {
        if let Some(at) = due_at
            && at.as_millisecond() < self.0.until.load(Ordering::SeqCst)
        {
            self.0.earlier.notify_one();
        }
    }
}

/// Works on the documents of one collection when they are due.
#[derive(Clone)]
pub struct Timer {
    /// The name of the work, for metrics and logs.
    pub name: &'static str,
    /// The documents.
    pub documents: Documents,
    /// Wakes the timer.
    pub wake: DueWake,
    /// The clock that determines what is due.
    pub clock: SharedClock,
}

/// Documents of a list that can be decoded.
struct Readable<D> {
    documents: Vec<D>,
    /// Whether no more follow.
    is_last: bool,
}

/// The ids of the due documents that cannot be decoded, as of the last pass.
#[derive(Default)]
pub(crate) struct Skipped(BTreeSet<String>);

impl Skipped {
    /// Counts what could not be read in a pass, and logs each document once.
    fn are(&mut self, unreadable: BTreeMap<String, StoreError>, work: &'static str) {
        let count = unreadable.len() as u64;
        metrics::counter!(m::DUE_FAILED, "work" => work).increment(count);
        for (id, error) in &unreadable {
            if !self.0.contains(id) {
                tracing::error!(work, %error, "due document skipped, because it cannot be read");
            }
        }
        self.0 = unreadable.into_keys().collect();
    }
}

/// Why not everything that was due is done.
type Failure = Box<dyn Error + Send + Sync>;

impl Timer {
    /// Calls `work` on each due document until shutdown. `work` stores the document with a later
    /// due time or none; if another replica was faster, it does nothing. After an error it is
    /// called again later, and the other documents do not wait for that.
    pub fn spawn<D, F, Fut, E>(self, background: &Background, work: F)
    where
        D: Due,
        F: Fn(D) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send,
        E: Into<Failure> + Send,
    {
        background.spawn(self.name, move |stop| {
            let (timer, work) = (self.clone(), work.clone());
            async move { timer.run(&stop, work).await }
        });
    }

    async fn run<D, F, Fut, E>(&self, stop: &CancellationToken, work: F)
    where
        D: Due,
        F: Fn(D) -> Fut + Sync,
        Fut: Future<Output = Result<(), E>> + Send,
        E: Into<Failure> + Send,
    {
        let (mut backoff, mut is_failing) = (Backoff::default(), false);
        let mut skipped = Skipped::default();
        loop {
            let pass = async {
                self.pass(&work, &mut skipped).await?;
                Ok::<_, Failure>(self.sleep::<D>().await?)
            };
            match stop.run_until_cancelled(pass).await {
                None => return,
                Some(Ok(sleep)) => {
                    if is_failing {
                        tracing::info!(work = self.name, "due work succeeds again");
                    }
                    is_failing = false;
                    backoff.reset();
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = self.wake.0.earlier.notified() => {}
                        () = tokio::time::sleep(sleep) => {}
                    }
                }
                Some(Err(error)) => {
                    if !is_failing {
                        let work = self.name;
                        tracing::warn!(work, %error, "due work failed; trying again until it succeeds");
                    }
                    is_failing = true;
                    if backoff.wait(stop).await.is_break() {
                        return;
                    }
                }
            }
        }
    }

    /// Works on everything that is due; returns one of the errors, if there were any.
    pub(crate) async fn pass<D, F, Fut, E>(
        &self,
        work: &F,
        skipped: &mut Skipped,
    ) -> Result<(), Failure>
    where
        D: Due,
        F: Fn(D) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Into<Failure>,
    {
        let now = self.clock.now();
        let (mut outcome, mut last) = (Ok(()), None);
        let mut unreadable = BTreeMap::new();
        loop {
            let due = |limit| {
                let due = Query::first(limit, "").below(behind_time(now));
                due.behind(last.as_ref())
            };
            let due = self.readable::<D>(PAGE, due, &mut unreadable).await?;
            last = due.documents.last().and_then(position);
            let is_last = due.is_last || last.is_none();
            outcome = self.work_on(due.documents, now, work).await.and(outcome);
            if is_last {
                skipped.are(unreadable, self.name);
                return outcome;
            }
        }
    }

    /// The documents of a query that can be decoded; the others are added to `unreadable`. Their
    /// positions are not known, so if there is no other in `limit` entries, it looks further.
    async fn readable<D: Due>(
        &self,
        mut limit: u32,
        query: impl Fn(u32) -> Query,
        unreadable: &mut BTreeMap<String, StoreError>,
    ) -> Result<Readable<D>, StoreError> {
        loop {
            let found = self.documents.list_each(&D::DUE, &query(limit)).await?;
            let is_last = found.len() < limit as usize;
            let mut documents = Vec::with_capacity(found.len());
            for one in found {
                match one {
                    Ok(document) => documents.push(document),
                    Err(error) => {
                        let id = error.undecodable().unwrap_or_default().to_owned();
                        unreadable.insert(id, error);
                    }
                }
            }
            if is_last || !documents.is_empty() {
                return Ok(Readable { documents, is_last });
            }
            limit = limit.saturating_mul(2);
        }
    }

    async fn work_on<D, F, Fut, E>(
        &self,
        mut due: Vec<D>,
        now: Timestamp,
        work: &F,
    ) -> Result<(), Failure>
    where
        D: Due,
        F: Fn(D) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Into<Failure>,
    {
        // So that replicas that begin at the same time rarely work on the same documents.
        due.shuffle(&mut rand::rng());
        let done = stream::iter(due).map(|document| async move {
            let due_at = document.due_at().unwrap_or(now);
            match work(document).await {
                Ok(()) => {
                    let late = now.duration_since(due_at).as_secs_f64();
                    metrics::histogram!(m::DUE_LATE_SECONDS, "work" => self.name).record(late);
                    Ok(())
                }
                Err(error) => {
                    metrics::counter!(m::DUE_FAILED, "work" => self.name).increment(1);
                    Err(error.into())
                }
            }
        });
        let done = done.buffer_unordered(AT_ONCE);
        done.fold(Ok(()), |all, done| async move { all.and(done) })
            .await
    }

    /// How long to sleep, and remembers until when.
    async fn sleep<D: Due>(&self) -> Result<Duration, StoreError> {
        // Whatever is stored from now on wakes the timer, unless it is due later than what is read.
        self.wake.0.until.store(i64::MAX, Ordering::SeqCst);
        let first = |limit| Query::first(limit, "");
        let next = self.readable::<D>(1, first, &mut BTreeMap::new()).await?;
        let Some(at) = next.documents.first().and_then(Due::due_at) else {
            return Ok(LONGEST_SLEEP);
        };
        self.wake
            .0
            .until
            .store(at.as_millisecond(), Ordering::SeqCst);
        let sleep = Duration::try_from(at.duration_since(self.clock.now())).unwrap_or_default();
        Ok(sleep.clamp(SHORTEST_SLEEP, LONGEST_SLEEP))
    }
}
