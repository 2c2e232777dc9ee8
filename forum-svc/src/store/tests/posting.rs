//! Tests of posting, editing and deleting, also concurrently.

use slipway_rpc::access::Role;
use slipway_store::{
    Refusal,
    StoreError::Refused,
    receipts::{Receipt, ReceiptKey},
};

use super::*;
use crate::{comment::Body, store::StoreError};

const RACERS: usize = 50;

pub(super) async fn a_comment_is_read_as_it_was_stored(open: impl Fn() -> Stores) {
    let (stores, other) = (open(), open());
    for text in [
        "x",
        " \r\n\t\u{202e} ä 👩‍🚀 \\ \" ' $set . ",
        &"ж".repeat(10_000),
    ] {
        let mut root = draft(TaskId::generate());
        root.body = Body::Content(content(text));
        let commit = commit(&root);
        stores.comments.begin(root.clone(), commit).await.unwrap();
        assert_eq!(load(&other, root.id).await.comment, root);

        let parent = load(&stores, root.id).await;
        let mut reply = answer(&parent.comment);
        reply.body = root.body;
        post(&stores, parent, reply.clone()).await.unwrap();
        assert_eq!(load(&other, reply.id).await.comment, reply);
        assert_eq!(load(&other, root.id).await.comment.reply_count, 1);
    }
    let unknown = stores.comments.comment(CommentId::generate()).await;
    assert_eq!(unknown.unwrap(), None);
}

pub(super) async fn a_comment_is_stored_with_its_event(open: impl Fn() -> Stores) {
    let stores = open();
    let root = root(&stores).await;
    reply_to(&stores, root.comment.id).await;
    let task = root.comment.task.0;
    let pending = stores.outbox.pending(&[task], 10).await.unwrap();
    assert_eq!(pending.len(), 2);
    let ids: Vec<_> = pending
        .iter()
        .map(|event| event.record.header("ce_id"))
        .collect();
    assert!(
        ids.is_sorted(),
        "the event of a comment comes before those of its replies: {ids:?}"
    );
    let soon = now() + jiff::SignedDuration::from_secs(1);
    let overdue = stores.outbox.overdue(soon, &[], 10).await.unwrap();
    assert_eq!(overdue, [task]);
    let others = stores.outbox.overdue(soon, &overdue, 10).await.unwrap();
    assert!(others.is_empty(), "{others:?}");
    stores.outbox.remove(&pending).await.unwrap();
    assert_eq!(stores.outbox.count().await.unwrap(), 0);
    // A deleted parent gets no reply, and no event of the reply is stored.
    delete(&stores, root.comment.id).await;
    assert_eq!(stores.outbox.count().await.unwrap(), 1, "of the deletion");
    let reply = answer(&root.comment);
    let refused = post(&stores, root, reply).await;
    assert!(matches!(refused, Err(PostError::ParentDeleted(_))));
    assert_eq!(stores.outbox.count().await.unwrap(), 1);
}

pub(super) async fn a_receipt_is_stored_with_its_comment_once(open: impl Fn() -> Stores) {
    let (stores, other) = (open(), open());
    let root = root(&stores).await;
    let receipt = |response: &str| Receipt {
        key: ReceiptKey("k".into()),
        fingerprint: b"f".to_vec(),
        response: response.into(),
        at: now(),
    };
    let barrier = Barrier::new(RACERS);
    let posts = (0..RACERS).map(|n| {
        let (stores, root, barrier) = (if n % 2 == 0 { &stores } else { &other }, &root, &barrier);
        let reply = answer(&root.comment);
        let commit = Commit {
            receipt: Some(receipt(&reply.id.to_string())),
            ..commit(&reply)
        };
        async move {
            let id = reply.id;
            barrier.wait().await;
            let posted = stores.comments.reply(root.clone(), reply, commit).await;
            (id, posted)
        }
    });
    let mut winners = Vec::new();
    for (id, posted) in join_all(posts).await {
        match posted {
            Ok(()) => winners.push(id),
            Err(PostError::Store(StoreError::Database(Refused(Refusal::Receipt)))) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let [winner] = winners[..] else {
        panic!("{winners:?}");
    };
    let key = ReceiptKey("k".into());
    let found = stores.receipts.receipt(key, Timestamp::UNIX_EPOCH).await;
    assert_eq!(
        found.unwrap().unwrap().response,
        winner.to_string().as_bytes()
    );
    assert_eq!(load(&other, root.comment.id).await.comment.reply_count, 1);
    assert_eq!(children(&other, root.comment.id).await, [winner]);
}

pub(super) async fn fifty_concurrent_replies_are_all_stored_and_counted(open: impl Fn() -> Stores) {
    let (stores, other) = (open(), open());
    let root = root(&stores).await;
    let barrier = Arc::new(Barrier::new(RACERS));
    let posts = (0..RACERS).map(|n| {
        let stores = if n % 2 == 0 { &stores } else { &other }.clone();
        let (root, barrier) = (root.clone(), Arc::clone(&barrier));
        tokio::spawn(async move {
            let reply = answer(&root.comment);
            let id = reply.id;
            barrier.wait().await;
            post(&stores, root, reply).await.unwrap();
            id
        })
    });
    let mut posted: Vec<_> = join_all(posts)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let mut found = children(&stores, root.comment.id).await;
    posted.sort();
    found.sort();
    assert_eq!(posted, found);
    let count = load(&stores, root.comment.id).await.comment.reply_count;
    assert_eq!(count, RACERS as u64);
}

pub(super) async fn a_concurrent_reply_and_deletion_happen_in_one_of_the_two_orders(
    open: impl Fn() -> Stores,
) {
    let (stores, other) = (open(), open());
    for _ in 0..20 {
        let root = root(&stores).await;
        let reply = answer(&root.comment);
        let id = reply.id;
        let barrier = Barrier::new(2);
        let (posted, ()) = tokio::join!(
            async {
                barrier.wait().await;
                post(&stores, root.clone(), reply).await
            },
            async {
                barrier.wait().await;
                delete(&other, root.comment.id).await;
            },
        );
        let after = load(&stores, root.comment.id).await.comment;
        assert!(after.is_deleted());
        let expected = match posted {
            Ok(()) => vec![id],
            Err(error) => {
                assert!(matches!(error, PostError::ParentDeleted(_)), "{error}");
                vec![]
            }
        };
        assert_eq!(children(&stores, root.comment.id).await, expected);
        assert_eq!(after.reply_count, expected.len() as u64);
    }
}

pub(super) async fn a_deleted_comment_gets_no_replies(open: impl Fn() -> Stores) {
    let stores = open();
    let before = root(&stores).await;
    let earlier = reply_to(&stores, before.comment.id).await;
    delete(&stores, before.comment.id).await;
    let late = answer(&before.comment);
    let refused = post(&stores, before.clone(), late.clone()).await;
    assert!(matches!(refused, Err(PostError::ParentDeleted(_))));
    assert_eq!(stores.comments.comment(late.id).await.unwrap(), None);
    let after = load(&stores, before.comment.id).await.comment;
    assert_eq!(after.reply_count, 1);
    assert!(matches!(after.body, Body::Deleted { .. }));
    assert_eq!(
        children(&stores, before.comment.id).await,
        [earlier.comment.id]
    );
}

pub(super) async fn a_change_on_an_old_revision_is_refused(open: impl Fn() -> Stores) {
    let stores = open();
    let first = root(&stores).await.comment;
    let edit = |of: &Comment, text| {
        of.edit(ada().id, None, content(text), now())
            .unwrap()
            .unwrap()
    };
    let second = edit(&first, "second");
    assert!(change(&stores, &first, &second).await);
    let late = edit(&first, "late");
    assert!(!change(&stores, &first, &late).await);
    // A reply does not change the revision of its parent.
    reply_to(&stores, second.id).await;
    let third = edit(&second, "third");
    assert!(change(&stores, &second, &third).await);
    let stored = load(&stores, third.id).await.comment;
    assert_eq!(
        stored,
        Comment {
            reply_count: 1,
            ..third
        }
    );
}

async fn delete(stores: &Stores, id: CommentId) {
    loop {
        let before = load(stores, id).await.comment;
        let after = before
            .delete(ada().id, Role::Developer, None, now())
            .unwrap();
        if change(stores, &before, &after.unwrap()).await {
            return;
        }
    }
}

/// The direct replies to a comment.
async fn children(stores: &Stores, parent: CommentId) -> Vec<CommentId> {
    let page = stores.comments.replies(parent, None, 200).await.unwrap();
    page.items.iter().map(|reply| reply.id).collect()
}
