//! Posts and changes comments, and settles replies that a process did not finish.
//!
//! A reply is written in the steps of [`placed`](crate::comment::placed). If a process ends
//! between two steps, the note on the reply remains, and any replica settles it after half a
//! minute. If the reply is not stored, the replica first stores a fence: a document with the
//! reply's id, so that the reply cannot be stored later. Nothing else refers to a fence.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use slipway_bus::Event;
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

/// Parents whose notes one run settles, and fences that it removes.
const SETTLED_AT_ONCE: u32 = 100;

/// How long a fence stays after its reply was begun. It must outlast every attempt to store that
/// reply. A request and the database give up within seconds; but a process may have been suspended
/// between two steps, so the time is a day and not a minute.
const FENCED: SignedDuration = SignedDuration::from_hours(24);

/// Replies to different comments that a process posts in parallel at most.
const TURNS: usize = 256;

/// Locks that make replies to one comment wait for each other within a process. In parallel, most
/// of them would conflict on the parent again and again. Replies of other processes can still
/// conflict. Each lock holds the parent as it was stored last.
#[derive(Clone)]
pub(super) struct Turns(Arc<[Mutex<Option<PlacedComment>>]>);

impl Default for Turns {
    fn default() -> Self {
        Self((0..TURNS).map(|_| Mutex::default()).collect())
    }
}

impl Turns {
    /// Waits for the turn to reply to a comment. Some comments share a lock.
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

    /// Stores a reply to `parent`, after the existing replies, and counts it in the parent. A
    /// deleted parent gets no new replies.
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
                // The parent counts the reply, but the reply is not stored.
                (1, Some(refusal)) => {
                    self.settle_or_leave(to, id, false).await;
                    return Err(refusal.into());
                }
                // The reply is stored, and another request has changed the parent since.
                (_, Some(_)) => {
                    self.settle_or_leave(to, id, true).await;
                    return Ok(());
                }
            }
            let Some(current) = self.comment(to).await? else {
                return Err(deleted);
            };
            parent = current;
        }
        Err(slipway_store::StoreError::contended::<Stored>(&to).into())
    }

    /// Writes the steps of a reply. Returns how many were written, why the next one was refused,
    /// and the parent after the last step.
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

    /// Replaces `before` by `after`, an edit or a deletion of it, with its event. Returns `false`,
    /// and stores nothing, if the comment was changed meanwhile, or got a reply.
    ///
    /// # Errors
    /// If the database is unavailable. The change may have been stored.
    pub async fn change(
        &self,
        before: &Comment,
        after: &Comment,
        event: &Event,
    ) -> Result<bool, StoreError> {
        let stored: Option<Stored> = self.documents.get(before.id).await?;
        let changed = stored.as_ref().and_then(Stored::comment);
        let changed = changed.and_then(|comment| comment.changed(before, after));
        let Some((stored, changed)) = stored.zip(changed.map(Stored::from)) else {
            return Ok(false);
        };
        let write = Write::replace(&stored, &changed).with_events([event]);
        match self.documents.write(write).await? {
            Ok(()) => Ok(true),
            Err(Refusal::Revision) => Ok(false),
            Err(refusal) => Err(slipway_store::StoreError::from(refusal).into()),
        }
    }

    /// Settles replies that were begun before `before` and not finished, because their process
    /// ended between two writes; and removes fences that are no longer needed. Returns the number
    /// of replies.
    ///
    /// # Errors
    /// If the database is unavailable.
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

    /// Whether a reply is stored. If not, a fence is stored so that it cannot be stored later.
    async fn is_posted(&self, begun: &Begun) -> Result<bool, slipway_store::StoreError> {
        let fence = Stored::Fence {
            reply: begun.reply,
            begun_at: begun.at,
        };
        match self.documents.write(Write::insert(&fence)).await? {
            Ok(()) => Ok(false),
            // The id is taken by the reply, or by an earlier fence.
            Err(Refusal::Taken(None)) => Ok(self.found(begun.reply).await?),
            Err(refusal) => Err(refusal.into()),
        }
    }

    async fn found(&self, id: CommentId) -> Result<bool, slipway_store::StoreError> {
        let found: Option<Stored> = self.documents.get(id).await?;
        Ok(found.is_some_and(|found| found.comment().is_some()))
    }

    /// Removes the note on a reply and corrects the count in the same write. Only the first of
    /// several calls has an effect.
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

    /// The same. If it fails, the background job settles the reply later.
    async fn settle_or_leave(&self, parent: CommentId, reply: CommentId, is_posted: bool) {
        if let Err(error) = self.settle_reply(parent, reply, is_posted).await {
            tracing::info!(%error, %reply, "reply count not updated yet; the background job will do it");
        }
    }

    async fn remove_fences(&self, before: Timestamp) -> Result<(), slipway_store::StoreError> {
        let query = older(before - FENCED);
        let fences: Vec<Stored> = self.documents.list(&FENCES, &query).await?;
        // A refused deletion means that another replica has removed the fence.
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

/// The entries before `before` in a list by time.
fn older(before: Timestamp) -> Query {
    Query::first(SETTLED_AT_ONCE, "").below(by_time(before, ""))
}

impl From<Refusal> for PostError {
    fn from(refusal: Refusal) -> Self {
        slipway_store::StoreError::from(refusal).into()
    }
}
