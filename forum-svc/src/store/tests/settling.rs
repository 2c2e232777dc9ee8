//! Tests of settling replies whose process ended between two writes.

use jiff::SignedDuration;
use slipway_store::Refusal;

use super::*;
use crate::comment::placed::Posting;

const LONG_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// A comment with two unfinished replies: one is posted, the other is not.
struct Scene {
    stores: Stores,
    root: CommentId,
    posted: Comment,
    missing: PlacedComment,
}

/// Writes the first `steps` of a reply to `parent`, like a process that ends then.
async fn begin_reply(stores: &Stores, parent: &PlacedComment, steps: usize) -> Posting {
    let posting = parent.post(answer(&parent.comment)).unwrap();
    let commit = commit(&posting.reply.comment);
    let stored = [parent, &posting.noted, &posting.reply, &posting.done];
    let [parent, noted, reply, done] = stored.map(|placed| Stored::from(placed.clone()));
    let mut writes = vec![
        Write::replace(&parent, &noted),
        Write::insert(&reply).with_events([&commit.event]),
        Write::replace(&noted, &done),
    ];
    writes.truncate(steps);
    let written = stores.comments.documents.write_in_order(writes).await;
    assert_eq!(written.unwrap(), (steps, None));
    posting
}

/// Stores the reply late, like a process that was suspended before this step.
async fn insert_late(stores: &Stores, reply: &PlacedComment) -> Result<(), Refusal> {
    let reply = Stored::from(reply.clone());
    let inserted = stores.comments.documents.write(Write::insert(&reply)).await;
    inserted.unwrap()
}

impl Scene {
    async fn set(stores: Stores) -> Self {
        let root = root(&stores).await;
        let first = begin_reply(&stores, &root, 2).await;
        let second = begin_reply(&stores, &first.noted, 1).await;
        Self {
            stores,
            root: root.comment.id,
            posted: first.reply.comment,
            missing: second.reply,
        }
    }

    async fn settle(&self, after: SignedDuration) -> u64 {
        let before = self.missing.comment.created_at + after;
        self.stores.comments.settle(before).await.unwrap()
    }

    /// The stored reply count, and the replies.
    async fn replies(&self) -> (u64, Vec<CommentId>) {
        let root = load(&self.stores, self.root).await;
        let replies = self.stores.comments.replies(self.root, None, 10).await;
        let ids = replies
            .unwrap()
            .items
            .iter()
            .map(|reply| reply.id)
            .collect();
        (root.comment.reply_count, ids)
    }
}

pub(super) async fn a_recently_begun_reply_is_not_settled(open: impl Fn() -> Stores) {
    let scene = Scene::set(open()).await;
    let settled = scene.stores.comments.settle(scene.posted.created_at).await;
    assert_eq!(settled.unwrap(), 0);
    assert_eq!(scene.replies().await, (2, vec![scene.posted.id]));
    // The reply can still be stored.
    insert_late(&scene.stores, &scene.missing).await.unwrap();
    assert_eq!(scene.settle(LONG_AFTER).await, 2);
    let both = vec![scene.posted.id, scene.missing.comment.id];
    assert_eq!(scene.replies().await, (2, both));
}

pub(super) async fn a_posted_reply_stays_and_an_unposted_one_is_subtracted(
    open: impl Fn() -> Stores,
) {
    let scene = Scene::set(open()).await;
    assert_eq!(scene.settle(LONG_AFTER).await, 2);
    assert_eq!(scene.replies().await, (1, vec![scene.posted.id]));
    assert_eq!(scene.settle(LONG_AFTER).await, 0);
    // The outbox has the events of the root and of the posted reply only.
    let task = scene.posted.task.0;
    let pending = scene.stores.outbox.pending(&[task], 10).await.unwrap();
    assert_eq!(pending.len(), 2);
}

pub(super) async fn a_reply_that_was_given_up_cannot_be_stored_later(open: impl Fn() -> Stores) {
    let scene = Scene::set(open()).await;
    assert_eq!(scene.settle(LONG_AFTER).await, 2);
    let late = insert_late(&scene.stores, &scene.missing).await;
    assert_eq!(late, Err(Refusal::Taken(None)));
    assert_eq!(scene.replies().await, (1, vec![scene.posted.id]));
    let found = scene
        .stores
        .comments
        .comment(scene.missing.comment.id)
        .await;
    assert_eq!(found.unwrap(), None, "a fence is no comment");
    // The same reply to the current parent: the fence refuses it, and it is not counted.
    let root = load(&scene.stores, scene.root).await;
    let again = post(&scene.stores, root, scene.missing.comment.clone()).await;
    assert!(matches!(again, Err(PostError::Store(_))), "{again:?}");
    assert_eq!(scene.replies().await, (1, vec![scene.posted.id]));
    // The next reply gets a number of its own.
    let next = reply_to(&scene.stores, scene.root).await;
    assert!(next.number > scene.missing.number);
    let both = vec![scene.posted.id, next.comment.id];
    assert_eq!(scene.replies().await, (2, both));
}

pub(super) async fn replicas_that_settle_concurrently_count_once(open: impl Fn() -> Stores) {
    let scene = Scene::set(open()).await;
    let replicas = [open(), open(), open()];
    let before = scene.posted.created_at + LONG_AFTER;
    let settled = join_all(replicas.iter().map(|stores| stores.comments.settle(before))).await;
    assert!(settled.iter().all(Result::is_ok), "{settled:?}");
    assert_eq!(scene.replies().await, (1, vec![scene.posted.id]));
}

pub(super) async fn an_interrupted_settlement_is_finished(open: impl Fn() -> Stores) {
    let scene = Scene::set(open()).await;
    // A process stored the fence and then ended.
    let fence = Stored::Fence {
        reply: scene.missing.comment.id,
        begun_at: scene.missing.comment.created_at,
    };
    let documents = &scene.stores.comments.documents;
    documents
        .write(Write::insert(&fence))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(scene.settle(LONG_AFTER).await, 2);
    assert_eq!(scene.replies().await, (1, vec![scene.posted.id]));
}

pub(super) async fn a_reply_that_is_settled_before_its_last_step_is_counted_once(
    open: impl Fn() -> Stores,
) {
    let (stores, other) = (open(), open());
    let root = root(&stores).await;
    let posting = begin_reply(&stores, &root, 2).await;
    let before = posting.reply.comment.created_at + LONG_AFTER;
    assert_eq!(other.comments.settle(before).await.unwrap(), 1);
    // The suspended process tries to remove its note, which is removed already.
    let [noted, done] = [posting.noted, posting.done].map(Stored::from);
    let late = stores
        .comments
        .documents
        .write(Write::replace(&noted, &done));
    assert_eq!(late.await.unwrap(), Err(Refusal::Revision));
    let root = load(&stores, root.comment.id).await;
    assert_eq!((root.comment.reply_count, root.begun.len()), (1, 0));
}

pub(super) async fn a_comment_with_notes_is_edited_and_replied_to(open: impl Fn() -> Stores) {
    let scene = Scene::set(open()).await;
    let before = load(&scene.stores, scene.root).await.comment;
    let after = before
        .edit(ada().id, None, content("edited"), now())
        .unwrap()
        .unwrap();
    assert!(change(&scene.stores, &before, &after).await);
    let next = reply_to(&scene.stores, scene.root).await;
    let both = vec![scene.posted.id, next.comment.id];
    assert_eq!(scene.replies().await, (3, both.clone()));
    assert_eq!(scene.settle(LONG_AFTER).await, 2);
    assert_eq!(scene.replies().await, (2, both));
    let body = load(&scene.stores, scene.root).await.comment.body;
    assert_eq!(body, after.body);
}

pub(super) async fn only_an_old_fence_is_removed(open: impl Fn() -> Stores) {
    let scene = Scene::set(open()).await;
    let next_day = SignedDuration::from_hours(24) + LONG_AFTER;
    let is_fenced = async || {
        let id = scene.missing.comment.id;
        let found: Option<Stored> = scene.stores.comments.documents.get(id).await.unwrap();
        found.is_some()
    };
    scene.settle(LONG_AFTER).await;
    // The fence stays as long as the reply might still be stored.
    scene.settle(next_day - LONG_AFTER - LONG_AFTER).await;
    assert!(is_fenced().await);
    scene.settle(next_day).await;
    assert!(!is_fenced().await);
    assert_eq!(scene.replies().await, (1, vec![scene.posted.id]));
}
