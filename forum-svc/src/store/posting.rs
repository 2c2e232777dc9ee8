//! Posting and changing comments, and settling replies whose process ended half-way.
//!
//! The steps of a reply are those of [`placed`](crate::comment::placed). Where a process
//! ended in between, the note on the reply is still there half a minute later, and any
//! replica settles it. If the reply is not there, a fence is put in its place first: a
//! document with its id, which keeps it from coming late and which nothing else leads to.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use slipway_runtime::contention::{MAX_ATTEMPTS, back_off};
use slipway_store::{Query, Refusal, Write, by_time};
use tokio::sync::{Mutex, MutexGuard};

use super::{
    CommentStore, Commit, PostError, StoreError,
    document::{BEGUN, FENCES, Stored},
};
use crate::{
    comment::{
        Comment, CommentId, PlacedComment,
        placed::{Begun, Posting},
    },
    reading::Threads as _,
};

/// Parents whose notes are settled in one go, and fences that are removed.
const SETTLED_AT_ONCE: u32 = 100;

/// A fence stays until this long after its reply was begun. It has to outlast whatever may
/// still insert that reply. A request gives up within seconds, and so does the server on
/// what it was sent; that a process may have been halted between two steps is why it is a
/// day and not a minute.
const FENCED: SignedDuration = SignedDuration::from_hours(24);

/// How many replies, to different comments, a process posts at once at most.
const TURNS: usize = 256;

/// Replies to one comment take turns in a process: if all were posted at once, most would
/// find the comment changed by another, again and again. Other processes are a few more to
/// compete with. Each turn hands on the parent that it has stored last.
#[derive(Clone)]
pub(super) struct Turns(Arc<[Mutex<Option<PlacedComment>>]>);

impl Default for Turns {
    fn default() -> Self {
        Self((0..TURNS).map(|_| Mutex::default()).collect())
    }
}

impl Turns {
    /// Waits for the turn to reply to a comment. Some comments share their turns.
    async fn of(&self, parent: CommentId) -> MutexGuard<'_, Option<PlacedComment>> {
        // The last bytes of an id are random.
        let [.., high, low] = *parent.0.as_bytes();
        let place = usize::from(u16::from_be_bytes([high, low]));
        self.0[place % TURNS].lock().await
    }
}

impl CommentStore {
    /// Stores a comment that begins a thread.
    ///
    /// # Errors
    /// [`PostError`].
    pub async fn begin(&self, comment: Comment, commit: Commit) -> Result<(), PostError> {
        let stored = PlacedComment::root(comment).into();
        match self.documents.write(insert(&stored, &commit)).await? {
            Ok(()) => Ok(()),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Stores a reply to `parent`, behind those that are there, and counts it there. From
    /// the moment at which the parent is deleted there are no new replies to it.
    ///
    /// # Errors
    /// [`PostError`].
    pub async fn reply(
        &self,
        parent: PlacedComment,
        reply: Comment,
        commit: Commit,
    ) -> Result<(), PostError> {
        let (to, id) = (parent.comment.id, reply.id);
        let deleted = PostError::ParentDeleted(to);
        let mut turn = self.turns.of(to).await;
        let newer = turn.take().filter(|last| last.is_newer_than(&parent));
        let mut parent = newer.unwrap_or(parent);
        for attempt in 0..MAX_ATTEMPTS {
            let Some(posting) = parent.post(reply.clone()) else {
                return Err(deleted);
            };
            let (stored, done) = self.store(parent, posting, &commit).await?;
            match stored {
                (_, None) => {
                    *turn = done;
                    return Ok(());
                }
                // Another process has changed the parent.
                (0, Some(Refusal::Revision)) => back_off(attempt).await,
                (0, Some(refusal)) => return Err(refusal.into()),
                // The reply is not posted.
                (1, Some(refusal)) => {
                    self.settle_or_leave(to, id, false).await;
                    return Err(refusal.into());
                }
                // It is, and somebody has changed the parent since.
                (_, Some(_)) => {
                    self.settle_or_leave(to, id, true).await;
                    return Ok(());
                }
            }
            let Some(now) = self.comment(to).await? else {
                return Err(deleted);
            };
            parent = now;
        }
        Err(slipway_store::StoreError::contended::<Stored>(&to).into())
    }

    /// Carries out the steps of a reply: how many are done, and why the next one is not; and
    /// the parent as it is after the last one.
    async fn store(
        &self,
        parent: PlacedComment,
        posting: Posting,
        commit: &Commit,
    ) -> Result<((usize, Option<Refusal>), Option<PlacedComment>), slipway_store::StoreError> {
        let [parent, noted, reply, done] =
            [parent, posting.noted, posting.reply, posting.done].map(Stored::from);
        let steps = vec![
            Write::replace(&parent, &noted),
            insert(&reply, commit),
            Write::replace(&noted, &done),
        ];
        let stored = self.documents.write_in_order(steps).await?;
        Ok((stored, done.into_comment()))
    }

    /// Stores `after` in the place of `before`, which it is an edit or a deletion of.
    /// Whether the stored revision was still that of `before`; if not nothing is stored.
    ///
    /// # Errors
    /// If the database is away. Then it is not known whether it is stored.
    pub async fn change(&self, before: &Comment, after: &Comment) -> Result<bool, StoreError> {
        let change = |stored: Option<&Stored>| {
            let changed = stored?.comment()?.changed(before, after)?;
            Some(Stored::from(changed))
        };
        let changed = self.documents.update(before.id, change).await?;
        Ok(changed.is_some())
    }

    /// Settles what replies that were begun before `before` have left behind because
    /// their process ended between two writes, and removes the fences that have outlived
    /// what they keep out. How many replies there were.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn settle(&self, before: Timestamp) -> Result<u64, StoreError> {
        let query = older(before);
        let parents: Vec<Stored> = self.documents.list(&BEGUN, &query).await?;
        self.remove_fences(before).await?;
        let mut settled = 0;
        for parent in parents.iter().filter_map(Stored::comment) {
            for begun in parent.begun.iter().filter(|begun| begun.at < before) {
                let is_posted = self.is_posted(begun).await?;
                let to = parent.comment.id;
                self.settle_reply(to, begun.reply, is_posted).await?;
                settled += 1;
            }
        }
        Ok(settled)
    }

    /// Whether a reply is there. If not, from now on it cannot come any more.
    async fn is_posted(&self, begun: &Begun) -> Result<bool, slipway_store::StoreError> {
        let fence = Stored::Fence {
            reply: begun.reply,
            begun_at: begun.at,
        };
        match self.documents.write(Write::insert(&fence)).await? {
            Ok(()) => Ok(false),
            // It is there, or a fence that was put up before.
            Err(Refusal::Taken(None)) => Ok(self.found(begun.reply).await?),
            Err(refusal) => Err(refusal.into()),
        }
    }

    async fn found(&self, id: CommentId) -> Result<bool, slipway_store::StoreError> {
        let found: Option<Stored> = self.documents.get(id).await?;
        Ok(found.is_some_and(|found| found.comment().is_some()))
    }

    /// The note on a reply goes, and the count changes along with it: once, whoever comes
    /// first.
    async fn settle_reply(
        &self,
        parent: CommentId,
        reply: CommentId,
        is_posted: bool,
    ) -> Result<(), slipway_store::StoreError> {
        let settle = |stored: Option<&Stored>| {
            let settled = stored?.comment()?.settled(reply, is_posted)?;
            Some(Stored::from(settled))
        };
        self.documents.update(parent, settle).await?;
        Ok(())
    }

    /// The same, or it is left to be settled later.
    async fn settle_or_leave(&self, parent: CommentId, reply: CommentId, is_posted: bool) {
        if let Err(error) = self.settle_reply(parent, reply, is_posted).await {
            tracing::info!(%error, %reply, "reply count not updated yet; the background job will do it");
        }
    }

    async fn remove_fences(&self, before: Timestamp) -> Result<(), slipway_store::StoreError> {
        let query = older(before - FENCED);
        let fences: Vec<Stored> = self.documents.list(&FENCES, &query).await?;
        // One that is refused was removed by somebody else.
        let remove = fences.iter().map(Write::delete).collect();
        self.documents.write_many(remove).await?;
        Ok(())
    }
}

fn insert<'a>(comment: &'a Stored, commit: &Commit) -> Write<'a> {
    Write::insert(comment)
        .with_events([&commit.event])
        .with_receipt(commit.receipt.clone())
}

/// Those from before `before` in a list by time.
fn older(before: Timestamp) -> Query {
    Query::first(SETTLED_AT_ONCE, "").below(by_time(before, ""))
}

impl From<Refusal> for PostError {
    fn from(refusal: Refusal) -> Self {
        slipway_store::StoreError::from(refusal).into()
    }
}
