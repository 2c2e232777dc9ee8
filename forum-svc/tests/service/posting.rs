//! Tests of posting: the calls to release-svc, and the events.

use slipway_proto::{
    events::{CommentPostedEvent, CommentRepliedEvent},
    forum::v1::{ListRepliesRequest, PostCommentRequest},
};
use slipway_rpc::error::{Fault, Kind};

use crate::harness::{ADA, BOB, Forum, TASK, UNKNOWN};
use crate::rules;

#[tokio::test]
async fn the_user_of_the_token_is_the_author_and_the_caller_of_release_svc() {
    let forum = Forum::new().await;
    let posted = forum.post(&forum.bob, "Hello").await.unwrap();
    let author = posted.author.clone().unwrap();
    assert_eq!(
        (author.id, author.username.as_str()),
        (BOB.to_string(), "Bob")
    );
    assert_eq!(forum.release.callers(), ["Bob"]);
    // The task is cached for a while, for all users.
    forum.reply(&forum.ada, &posted, "Hi").await.unwrap();
    assert!(forum.release.callers().is_empty());
    forum.later();
    forum
        .reply(&forum.ada, &posted, "Still there?")
        .await
        .unwrap();
    assert_eq!(forum.release.callers(), ["ada"]);
}

#[tokio::test]
async fn events_of_posts_have_the_task_the_users_and_an_excerpt() {
    let forum = Forum::new().await;
    let text = "@Bob, @ada and @nobody-there:\n`@eve` see *this*";
    let posted = forum.post(&forum.ada, text).await.unwrap();
    let reply = forum
        .reply(&forum.bob, &posted, "Yes, @ada.")
        .await
        .unwrap();
    let events = forum.events(2).await;
    let event: CommentPostedEvent = events[0].payload().unwrap();
    assert_eq!(events[0].key, TASK);
    assert_eq!(events[0].subject, posted.id);
    assert_eq!(event.task.title, "Write the notes");
    assert_eq!(event.task.release_name, "Autumn");
    assert_eq!(event.task.assignee.id, ADA);
    assert_eq!(event.author.username, "ada");
    assert_eq!(
        event.excerpt,
        "@Bob, @ada and @nobody-there: `@eve` see *this*"
    );
    let mentioned: Vec<_> = event.mentions.iter().map(|user| user.id).collect();
    assert_eq!(mentioned, [BOB], "users only, and not the author");

    let event: CommentRepliedEvent = events[1].payload().unwrap();
    assert_eq!(event.comment_id.to_string(), reply.id);
    assert_eq!(event.parent_id.to_string(), posted.id);
    assert_eq!((event.parent_author.id, event.author.id), (ADA, BOB));
    assert_eq!(event.mentions[0].id, ADA);
}

#[tokio::test]
async fn without_release_svc_comments_can_be_read_but_not_posted() {
    let forum = Forum::new().await;
    let posted = forum.post(&forum.ada, "Before").await.unwrap();
    forum.later();
    forum.release.set_unavailable(true);
    let mut by = forum.ada.clone();
    by.idempotency_key = Some("again".into());
    for fault in [
        forum.post(&by, "Meanwhile").await.unwrap_err(),
        forum.reply(&by, &posted, "Meanwhile").await.unwrap_err(),
    ] {
        assert_eq!(
            (fault.kind, fault.code.as_str()),
            (Kind::Unavailable, "UNAVAILABLE")
        );
        assert!(fault.retry_after.is_some());
    }
    // Nothing is half-written: not a comment, not a count, not a receipt.
    let before = forum.list(TASK).await.unwrap();
    assert_eq!(before.len(), 1);
    assert_eq!(
        (before[0].reply_count, before[0].descendant_count),
        (0, Some(0))
    );
    assert_eq!(forum.get(&posted.id).await.unwrap(), before[0]);
    assert_eq!(forum.list(UNKNOWN).await.unwrap(), []);

    forum.release.set_unavailable(false);
    let late = forum.post(&by, "Meanwhile").await.unwrap();
    assert_eq!(forum.list(TASK).await.unwrap()[1].id, late.id);
    assert_eq!(forum.events(2).await.len(), 2);
}

#[tokio::test]
async fn a_cached_task_is_not_looked_up_but_a_mention_is() {
    let forum = Forum::new().await;
    forum.post(&forum.ada, "Before").await.unwrap();
    forum.release.set_unavailable(true);
    forum
        .post(&forum.ada, "Without anybody's name")
        .await
        .unwrap();
    let fault = forum
        .post(&forum.ada, "With a name, @Bob")
        .await
        .unwrap_err();
    assert_eq!(fault.kind, Kind::Unavailable);
    assert_eq!(forum.list(TASK).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_task_that_does_not_exist_has_no_discussion() {
    let forum = Forum::new().await;
    for _ in 0..2 {
        let request = forum.ada.request(PostCommentRequest {
            task_id: UNKNOWN.into(),
            content: "x".into(),
        });
        let refused = forum
            .client
            .clone()
            .post_comment(request)
            .await
            .unwrap_err();
        assert_eq!(Fault::from(refused).code, "TASK_NOT_FOUND");
    }
    assert_eq!(
        forum.release.callers().len(),
        2,
        "an unknown task is not cached"
    );
    assert_eq!(
        forum.list(UNKNOWN).await.unwrap_err().code,
        "TASK_NOT_FOUND"
    );
    assert_eq!(forum.list(TASK).await.unwrap(), []);
}

#[tokio::test]
async fn the_discussion_of_a_deleted_task_is_gone() {
    let forum = Forum::new().await;
    let posted = forum.post(&forum.ada, "Before").await.unwrap();
    forum.reply(&forum.bob, &posted, "Hi").await.unwrap();
    forum.release.delete_task();
    forum.later();
    let code = |fault: Fault| fault.code;
    assert_eq!(code(forum.list(TASK).await.unwrap_err()), "TASK_NOT_FOUND");
    let found = forum.get(&posted.id).await.unwrap_err();
    assert_eq!(code(found), "TASK_NOT_FOUND");
    let replies = forum.ada.request(ListRepliesRequest {
        comment_id: posted.id.clone(),
        ..ListRepliesRequest::default()
    });
    let replies = forum.client.clone().list_replies(replies).await;
    assert_eq!(code(replies.unwrap_err().into()), "TASK_NOT_FOUND");
    let reply = forum.reply(&forum.ada, &posted, "Still there?").await;
    assert_eq!(code(reply.unwrap_err()), "TASK_NOT_FOUND");
    let edited = rules::edit(&forum, &forum.ada, &posted, 0).await;
    assert_eq!(code(edited.unwrap_err()), "TASK_NOT_FOUND");
    let deleted = rules::delete(&forum, &forum.ada, &posted).await;
    assert_eq!(code(deleted.unwrap_err()), "TASK_NOT_FOUND");
}

#[tokio::test]
async fn a_repeated_request_posts_once() {
    let forum = Forum::new().await;
    let mut by = forum.ada.clone();
    by.idempotency_key = Some("once".into());
    let first = forum.post(&by, "Once").await.unwrap();
    assert_eq!(forum.post(&by, "Once").await.unwrap(), first);
    let reused = forum.post(&by, "Another").await.unwrap_err();
    assert_eq!(reused.code, "IDEMPOTENCY_KEY_REUSED");
    // The same key for another method, and of another user.
    let reply = forum.reply(&by, &first, "Once").await.unwrap();
    assert_eq!(forum.reply(&by, &first, "Once").await.unwrap(), reply);
    let mut other = forum.bob.clone();
    other.idempotency_key = by.idempotency_key;
    assert_ne!(forum.post(&other, "Once").await.unwrap().id, first.id);
    let found = forum.list(TASK).await.unwrap();
    let counts: Vec<_> = found.iter().map(|comment| comment.reply_count).collect();
    assert_eq!(counts, [1, 0, 0]);
}
