//! Runs the commands of the forum: ask release-svc about the task and the mentions, decide, store.

use std::sync::Arc;

use jiff::Timestamp;
use prost::Message;
use slipway_bus::{Actor, Event, event::Origin};
use slipway_mentions::mentioned;
use slipway_proto::events::{
    CommentDeletedEvent, CommentEditedEvent, CommentPostedEvent, CommentRepliedEvent,
    CommentedTask, Payload, UserRef,
};
use slipway_rpc::{
    access::Principal,
    error::{Fault, Kind},
    grpc::Outbound,
};
use slipway_runtime::{
    clock::SharedClock,
    contention::{MAX_ATTEMPTS, back_off},
};
use slipway_store::{
    outbox::Wake,
    receipts::{self, Repeatable},
};

use crate::{
    SERVICE,
    comment::{Body, Comment, CommentId, Content, PlacedComment, Refusal, Revision, TaskId},
    metrics as m,
    reading::Threads as _,
    release::Release,
    store::{CommentStore, Commit, PostError, Stores},
};

/// The forum.
pub(crate) struct Forum {
    pub(crate) stores: Stores,
    pub(crate) release: Release,
    pub(crate) clock: SharedClock,
    pub(crate) wake: Wake,
}

/// The caller of a command, and how a repeated request is recognised.
pub(crate) struct CommandContext {
    /// The caller: the author of a new comment.
    pub(crate) principal: Arc<Principal>,
    /// For calls to release-svc on behalf of the caller.
    pub(crate) asker: Outbound,
    /// Set if the request has an idempotency key.
    pub(crate) repeatable: Option<Repeatable>,
}

impl CommandContext {
    fn user(&self) -> UserRef {
        UserRef {
            id: self.principal.user_id,
            username: self.principal.username.clone(),
        }
    }

    fn actor(&self) -> Actor {
        Actor::User {
            id: self.principal.user_id,
            username: self.principal.username.clone(),
        }
    }
}

impl Forum {
    /// The comment store, for reading.
    pub(crate) fn comments(&self) -> &CommentStore {
        &self.stores.comments
    }

    /// Begins a thread on a task and answers with `respond`.
    pub(crate) async fn post<R: Message>(
        &self,
        task: TaskId,
        content: Content,
        by: &CommandContext,
        respond: fn(&Comment) -> R,
    ) -> Result<R, Fault> {
        let task_now = self.release.task(task, &by.asker).await?;
        let mentions = self.mentions(&content, by).await?;
        let comment = Comment::begin(task, by.user(), content.clone(), self.clock.now());
        let event = CommentPostedEvent {
            task: CommentedTask::clone(&task_now),
            comment_id: comment.id.0,
            author: by.user(),
            excerpt: content.excerpt(),
            mentions,
        };
        let response = respond(&comment);
        let commit = commit(&event, &comment, by, &response);
        self.stores.comments.begin(comment, commit).await?;
        self.posted(CommentPostedEvent::TYPE, task);
        Ok(response)
    }

    /// Replies to a comment and answers with `respond`.
    pub(crate) async fn reply<R: Message>(
        &self,
        to: CommentId,
        content: Content,
        by: &CommandContext,
        respond: fn(&Comment) -> R,
    ) -> Result<R, Fault> {
        let parent = self.comment(to).await?;
        let reply = parent
            .comment
            .reply(by.user(), content.clone(), self.clock.now())
            .map_err(refuse)?;
        let task = self.release.task(reply.task, &by.asker).await?;
        let event = CommentRepliedEvent {
            task: CommentedTask::clone(&task),
            comment_id: reply.id.0,
            parent_id: to.0,
            parent_author: parent.comment.author.clone(),
            author: by.user(),
            excerpt: content.excerpt(),
            mentions: self.mentions(&content, by).await?,
        };
        let response = respond(&reply);
        let commit = commit(&event, &reply, by, &response);
        self.stores.comments.reply(parent, reply, commit).await?;
        self.posted(CommentRepliedEvent::TYPE, TaskId(task.id));
        Ok(response)
    }

    /// Edits the caller's own comment; the same content changes nothing. If `on` is given, only at that revision.
    pub(crate) async fn edit(
        &self,
        id: CommentId,
        on: Option<Revision>,
        content: Content,
        by: &CommandContext,
    ) -> Result<PlacedComment, Fault> {
        let (now, editor) = (self.clock.now(), by.principal.user_id);
        let edit = |before: &Comment| before.edit(editor, on, content.clone(), now);
        self.change(id, by, now, edit).await
    }

    /// Deletes the caller's own comment, or any comment if the caller is an admin. If `on` is
    /// given, only at that revision.
    pub(crate) async fn delete(
        &self,
        id: CommentId,
        on: Option<Revision>,
        by: &CommandContext,
    ) -> Result<(), Fault> {
        let (now, caller) = (self.clock.now(), &by.principal);
        let delete = |before: &Comment| before.delete(caller.user_id, caller.role, on, now);
        self.change(id, by, now, delete).await?;
        Ok(())
    }

    /// Changes a comment at `now` by `decide`, which runs again if another request has changed the
    /// comment meanwhile. `decide` returns `None` if there is nothing to do.
    async fn change(
        &self,
        id: CommentId,
        by: &CommandContext,
        now: Timestamp,
        decide: impl Fn(&Comment) -> Result<Option<Comment>, Refusal> + Send + Sync,
    ) -> Result<PlacedComment, Fault> {
        for attempt in 1..=MAX_ATTEMPTS {
            let before = self.comment(id).await?;
            let task = self.release.task(before.comment.task, &by.asker).await?;
            let Some(after) = decide(&before.comment).map_err(refuse)? else {
                return Ok(before);
            };
            let event = changed(&before.comment, &after, &task, by, now);
            let stored = self.comments().change(&before.comment, &after, &event);
            if stored.await? {
                let change = if after.is_deleted() {
                    "deleted"
                } else {
                    "edited"
                };
                metrics::counter!(m::CHANGES, "change" => change).increment(1);
                self.wake.wake(after.task.0);
                return Ok(PlacedComment {
                    comment: after,
                    ..before
                });
            }
            back_off(attempt).await;
        }
        Err(Fault::contended("comment"))
    }

    /// One comment.
    pub(crate) async fn comment(&self, id: CommentId) -> Result<PlacedComment, Fault> {
        let found = self.stores.comments.comment(id).await?;
        found.ok_or_else(|| refuse(Refusal::NotFound(id)))
    }

    /// Fails if the task does not exist, for example because it was deleted: then its discussion
    /// cannot be read any more. If release-svc is unavailable, every task counts as existing.
    pub(crate) async fn has_task(&self, task: TaskId, asker: &Outbound) -> Result<(), Fault> {
        match self.release.task(task, asker).await {
            Err(fault) if fault.kind != Kind::Unavailable => Err(fault),
            _ => Ok(()),
        }
    }

    /// The users that a content mentions, without its author.
    async fn mentions(
        &self,
        content: &Content,
        by: &CommandContext,
    ) -> Result<Vec<UserRef>, Fault> {
        let names = mentioned(content.as_str());
        let mut users = self.release.users(names, &by.asker).await?;
        users.retain(|user| user.id != by.principal.user_id);
        Ok(users)
    }

    /// Runs a command, or returns the stored response if the request ran before.
    pub(crate) async fn once<R: Message + Default>(
        &self,
        by: &CommandContext,
        command: impl Future<Output = Result<R, Fault>>,
    ) -> Result<R, Fault> {
        let repeatable = by.repeatable.as_ref();
        receipts::once(repeatable, &*self.stores.receipts, &*self.clock, command).await
    }

    fn posted(&self, event_type: &'static str, task: TaskId) {
        metrics::counter!(m::POSTED, "event" => event_type).increment(1);
        self.wake.wake(task.0);
    }
}

/// Counts a refusal and turns it into the error for the client.
pub(crate) fn refuse(refusal: Refusal) -> Fault {
    metrics::counter!(m::REFUSALS, "code" => refusal.code()).increment(1);
    refusal.into()
}

impl From<PostError> for Fault {
    fn from(error: PostError) -> Self {
        match error {
            PostError::ParentDeleted(parent) => refuse(Refusal::Deleted(parent)),
            PostError::Store(error) => error.into(),
        }
    }
}

fn commit<P: Payload, R: Message>(
    event: &P,
    comment: &Comment,
    by: &CommandContext,
    response: &R,
) -> Commit {
    Commit {
        event: event_of(event, comment, by, comment.created_at),
        receipt: by
            .repeatable
            .as_ref()
            .map(|repeatable| repeatable.receipt(response.encode_to_vec(), comment.created_at)),
    }
}

fn event_of<P: Payload>(
    payload: &P,
    comment: &Comment,
    by: &CommandContext,
    time: Timestamp,
) -> Event {
    let origin = Origin {
        service: SERVICE,
        key: comment.task.0,
        subject: comment.id.0,
        actor: &by.actor(),
        time,
    };
    Event::new(payload, &origin)
}

/// The event of an edit or a deletion.
fn changed(
    before: &Comment,
    after: &Comment,
    task: &CommentedTask,
    by: &CommandContext,
    now: Timestamp,
) -> Event {
    let (task, comment_id, author) = (task.clone(), after.id.0, after.author.clone());
    let excerpt = |comment: &Comment| match &comment.body {
        Body::Content(content) => content.excerpt(),
        Body::Deleted { .. } => String::new(),
    };
    if after.is_deleted() {
        let payload = CommentDeletedEvent {
            task,
            comment_id,
            author,
        };
        return event_of(&payload, after, by, now);
    }
    let payload = CommentEditedEvent {
        task,
        comment_id,
        author,
        previous_excerpt: excerpt(before),
        excerpt: excerpt(after),
    };
    event_of(&payload, after, by, now)
}
