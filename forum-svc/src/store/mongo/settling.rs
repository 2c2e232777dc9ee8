//! Replies whose process ended between two writes, and what becomes of them.

use jiff::SignedDuration;
use slipway_mongo::{testing::Scratch, to_bson};

use super::*;
use crate::store::contract;

const LONG_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// The store, and a comment that two replies were begun to: one was inserted, the other
/// was not, and neither was finished.
struct Scene {
    store: MongoStore,
    stores: Stores,
    root: Placed,
    inserted: Comment,
    /// With its number.
    missing: (Comment, Ordinal),
    _scratch: Scratch,
}

impl Scene {
    async fn set() -> Option<Self> {
        let scratch = Scratch::database().await?;
        let (client, name) = (scratch.client(), scratch.name());
        let stores = Stores::mongo(client, name).await.unwrap();
        let store = MongoStore {
            comments: client.database(name).collection(COMMENTS),
        };
        let root = contract::root(&stores).await;
        let (inserted, missing) = (
            contract::answer(&root.comment),
            contract::answer(&root.comment),
        );
        let number = store
            .note(root.comment.id, &inserted)
            .await
            .unwrap()
            .unwrap();
        let commit = contract::commit(&inserted);
        let document = CommentDocument::reply(&inserted, &root, number, &commit);
        store.insert(&document, &commit).await.unwrap();
        let number = store
            .note(root.comment.id, &missing)
            .await
            .unwrap()
            .unwrap();
        Some(Self {
            store,
            stores,
            root,
            inserted,
            missing: (missing, number),
            _scratch: scratch,
        })
    }

    async fn replies(&self) -> (u64, Vec<CommentId>) {
        let id = self.root.comment.id;
        let root = self.stores.comments.comment(id).await.unwrap().unwrap();
        let replies = self.stores.comments.replies(id, None, 10).await.unwrap();
        let ids = replies.items.iter().map(|reply| reply.id).collect();
        (root.comment.reply_count, ids)
    }
}

#[tokio::test]
async fn what_was_posted_stays_and_what_was_not_is_counted_no_more() {
    let Some(scene) = Scene::set().await else {
        return;
    };
    let posted = scene.inserted.created_at;
    let settle = |before| scene.stores.comments.settle(before);
    // They may still be on their way.
    assert_eq!(settle(posted).await.unwrap(), 0);
    assert_eq!(scene.replies().await, (2, vec![scene.inserted.id]));
    assert_eq!(settle(posted + LONG_AFTER).await.unwrap(), 2);
    assert_eq!(scene.replies().await, (1, vec![scene.inserted.id]));
    assert_eq!(settle(posted + LONG_AFTER).await.unwrap(), 0);
}

#[tokio::test]
async fn a_reply_that_was_given_up_does_not_come_late() {
    let Some(scene) = Scene::set().await else {
        return;
    };
    let (late, number) = &scene.missing;
    let settle = scene.stores.comments.settle(late.created_at + LONG_AFTER);
    assert_eq!(settle.await.unwrap(), 2);
    let commit = contract::commit(late);
    let document = CommentDocument::reply(late, &scene.root, *number, &commit);
    let refused = scene.store.insert(&document, &commit).await;
    assert!(matches!(refused, Err(PostError::Store(_))));
    assert_eq!(scene.replies().await, (1, vec![scene.inserted.id]));
    let found = scene.stores.comments.comment(late.id).await;
    assert_eq!(found.unwrap(), None, "a fence is no comment");
    // The next reply gets a number of its own.
    let next = contract::reply_to(&scene.stores, scene.root.comment.id).await;
    assert_eq!(
        scene.replies().await,
        (2, vec![scene.inserted.id, next.comment.id])
    );
}

#[tokio::test]
async fn replicas_that_settle_at_once_count_once() {
    let Some(scene) = Scene::set().await else {
        return;
    };
    let before = scene.inserted.created_at + LONG_AFTER;
    let settle = || scene.stores.comments.settle(before);
    let (a, b, c) = tokio::join!(settle(), settle(), settle());
    assert!([a, b, c].iter().all(Result::is_ok));
    assert_eq!(scene.replies().await, (1, vec![scene.inserted.id]));
}

#[tokio::test]
async fn a_settlement_that_was_interrupted_is_finished() {
    let Some(scene) = Scene::set().await else {
        return;
    };
    // A fence was put up, and then the process ended.
    let missing = &scene.missing.0;
    let fence = documents::fence(&missing.id.to_string(), to_bson(missing.created_at));
    let documents = scene.store.comments.clone_with_type();
    documents.insert_one(fence).await.unwrap();
    let before = scene.inserted.created_at + LONG_AFTER;
    assert_eq!(scene.stores.comments.settle(before).await.unwrap(), 2);
    assert_eq!(scene.replies().await, (1, vec![scene.inserted.id]));
}

#[tokio::test]
async fn a_fence_is_removed_when_nothing_can_come_any_more_and_nothing_else_is() {
    let Some(scene) = Scene::set().await else {
        return;
    };
    let (begun, next_day) = (
        scene.missing.0.created_at,
        SignedDuration::from_hours(24) + LONG_AFTER,
    );
    let settle = |before| scene.stores.comments.settle(before);
    let fences = || {
        let wanted = doc! { "_id": scene.missing.0.id.to_string() };
        scene.store.comments.count_documents(wanted).into_future()
    };
    settle(begun + LONG_AFTER).await.unwrap();
    // It stays as long as the reply might come.
    settle(begun + next_day - 2 * LONG_AFTER).await.unwrap();
    assert_eq!(fences().await.unwrap(), 1);
    settle(begun + next_day).await.unwrap();
    assert_eq!(fences().await.unwrap(), 0);
    assert_eq!(scene.replies().await, (1, vec![scene.inserted.id]));
    let root = scene.stores.comments.comment(scene.root.comment.id).await;
    assert_eq!(root.unwrap().unwrap().comment.reply_count, 1);
}
