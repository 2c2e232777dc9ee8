//! Tests of permissions and refusals.

use futures::future::join_all;
use slipway_bus::Actor;
use slipway_proto::{
    events::{CommentDeletedEvent, CommentEditedEvent},
    forum::v1::{
        Comment, DeleteCommentRequest, EditCommentRequest, ListCommentsRequest, ListRepliesRequest,
    },
};
use slipway_rpc::{
    error::{Fault, Kind},
    grpc::Outbound,
    page::encode_cursor,
};

use crate::harness::{Forum, TASK, UNKNOWN};

pub(crate) async fn edit(
    forum: &Forum,
    by: &Outbound,
    of: &Comment,
    revision: u64,
) -> Result<Comment, Fault> {
    edit_to(forum, by, of, revision, "Edited").await
}

async fn edit_to(
    forum: &Forum,
    by: &Outbound,
    of: &Comment,
    revision: u64,
    content: &str,
) -> Result<Comment, Fault> {
    let request = by.request(EditCommentRequest {
        id: of.id.clone(),
        content: content.into(),
        revision,
    });
    let edited = forum.client.clone().edit_comment(request).await;
    Ok(edited?.into_inner().comment.unwrap())
}

pub(crate) async fn delete(forum: &Forum, by: &Outbound, of: &Comment) -> Result<(), Fault> {
    let request = by.request(DeleteCommentRequest {
        id: of.id.clone(),
        revision: 0,
    });
    forum.client.clone().delete_comment(request).await?;
    Ok(())
}

fn code<T>(result: Result<T, Fault>) -> String {
    result.map_or_else(|fault| fault.code, |_| "OK".into())
}

#[tokio::test]
async fn only_the_author_edits_a_comment_and_only_at_the_named_revision() {
    let forum = Forum::new().await;
    let comment = forum.post(&forum.ada, "First").await.unwrap();
    forum.reply(&forum.bob, &comment, "Hm").await.unwrap();
    for by in [&forum.bob, &forum.admin] {
        assert_eq!(code(edit(&forum, by, &comment, 0).await), "NOT_AUTHOR");
    }
    let edited = edit(&forum, &forum.ada, &comment, 1).await.unwrap();
    assert_eq!((edited.content.as_str(), edited.revision), ("Edited", 2));
    assert!(edited.edited_at.is_some());
    assert_eq!((edited.reply_count, edited.descendant_count), (1, Some(1)));
    let outdated = edit(&forum, &forum.ada, &comment, 1).await.unwrap_err();
    assert_eq!(outdated.kind, Kind::Contended);
    assert_eq!(
        (outdated.code.as_str(), &outdated.facts["revision"]),
        ("COMMENT_CHANGED", &2.into())
    );
    assert_eq!(forum.get(&comment.id).await.unwrap(), edited);
}

#[tokio::test]
async fn edits_and_deletions_are_published() {
    let forum = Forum::new().await;
    let comment = forum.post(&forum.ada, "First").await.unwrap();
    edit(&forum, &forum.ada, &comment, 0).await.unwrap();
    // Nothing changes.
    edit(&forum, &forum.ada, &comment, 0).await.unwrap();
    delete(&forum, &forum.admin, &comment).await.unwrap();
    delete(&forum, &forum.admin, &comment).await.unwrap();
    forum.post(&forum.ada, "Next").await.unwrap();
    let events = forum.events(4).await;
    let types = events.iter().map(|event| event.event_type.as_str());
    assert_eq!(
        types.collect::<Vec<_>>(),
        [
            "comment.posted",
            "comment.edited",
            "comment.deleted",
            "comment.posted"
        ]
    );
    let edited: CommentEditedEvent = events[1].payload().unwrap();
    assert_eq!(
        (edited.previous_excerpt.as_str(), edited.excerpt.as_str()),
        ("First", "Edited")
    );
    let deleted: CommentDeletedEvent = events[2].payload().unwrap();
    assert_eq!(deleted.author.username, "ada");
    assert_eq!(deleted.task.title, "Write the notes");
    assert!(matches!(&events[2].actor, Actor::User { username, .. } if username != "ada"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_edits_at_once_is_answered_with_its_own_content_and_revision() {
    const EDITS: usize = 64;
    let forum = Forum::new().await;
    let comment = forum.post(&forum.ada, "First").await.unwrap();
    let edits = (0..EDITS).map(|n| {
        let (forum, comment) = (&forum, &comment);
        async move {
            let content = format!("Edit {n}");
            let edited = edit_to(forum, &forum.ada, comment, 0, &content).await;
            let edited = edited.unwrap();
            assert_eq!(edited.content, content);
            edited.revision
        }
    });
    let mut revisions = join_all(edits).await;
    revisions.sort_unstable();
    let all: Vec<_> = (2..=EDITS as u64 + 1).collect();
    assert_eq!(revisions, all);
}

#[tokio::test]
async fn the_author_or_an_admin_deletes_a_comment_and_a_tombstone_stays() {
    let forum = Forum::new().await;
    let comment = forum.post(&forum.ada, "Secret").await.unwrap();
    let reply = forum
        .reply(&forum.ada, &comment, "Secret too")
        .await
        .unwrap();
    assert_eq!(
        code(delete(&forum, &forum.bob, &comment).await),
        "NOT_AUTHOR"
    );
    delete(&forum, &forum.ada, &comment).await.unwrap();
    delete(&forum, &forum.admin, &reply).await.unwrap();
    // The author may delete it again; other users still may not.
    delete(&forum, &forum.ada, &comment).await.unwrap();
    assert_eq!(
        code(delete(&forum, &forum.bob, &comment).await),
        "NOT_AUTHOR"
    );
    let found = forum.list(TASK).await.unwrap();
    assert_eq!(found.len(), 2);
    for tombstone in &found {
        assert!(tombstone.deleted && tombstone.author.is_none());
        assert_eq!(tombstone.content, "");
    }
    assert_eq!(
        (found[0].reply_count, found[0].descendant_count),
        (1, Some(1))
    );
    assert_eq!(
        code(edit(&forum, &forum.ada, &comment, 0).await),
        "COMMENT_DELETED"
    );
    assert_eq!(
        code(forum.reply(&forum.bob, &comment, "x").await),
        "COMMENT_DELETED"
    );
    // The reply is deleted too, so it gets no replies either.
    assert_eq!(
        code(forum.reply(&forum.bob, &reply, "x").await),
        "COMMENT_DELETED"
    );
}

#[tokio::test]
async fn an_unknown_comment_is_not_found() {
    let forum = Forum::new().await;
    let unknown = Comment {
        id: UNKNOWN.into(),
        ..Comment::default()
    };
    assert_eq!(code(forum.get(UNKNOWN).await), "COMMENT_NOT_FOUND");
    assert_eq!(
        code(forum.reply(&forum.ada, &unknown, "x").await),
        "COMMENT_NOT_FOUND"
    );
    assert_eq!(
        code(edit(&forum, &forum.ada, &unknown, 0).await),
        "COMMENT_NOT_FOUND"
    );
    assert_eq!(
        code(delete(&forum, &forum.admin, &unknown).await),
        "COMMENT_NOT_FOUND"
    );
    let request = forum.ada.request(ListRepliesRequest {
        comment_id: UNKNOWN.into(),
        ..ListRepliesRequest::default()
    });
    let refused = forum.client.clone().list_replies(request).await;
    assert_eq!(code(refused.map_err(Fault::from)), "COMMENT_NOT_FOUND");
}

#[tokio::test]
async fn a_content_within_its_limits_is_returned_unchanged_and_others_are_refused() {
    let forum = Forum::new().await;
    let longest = "ж".repeat(10_000);
    for good in ["x", "  \r\n# 👩‍🚀\t\u{202e}", &longest] {
        let posted = forum.post(&forum.ada, good).await.unwrap();
        assert_eq!(forum.get(&posted.id).await.unwrap().content, good);
    }
    let root = forum.post(&forum.ada, "root").await.unwrap();
    let too_long = "x".repeat(10_001);
    for bad in ["", " \n\t", "\u{200b}", "a\0b", "a\u{1b}b", &too_long] {
        for refused in [
            forum.post(&forum.ada, bad).await,
            forum.reply(&forum.ada, &root, bad).await,
        ] {
            assert_eq!(refused.unwrap_err().fields[0].field, "content");
        }
    }
    assert_eq!(forum.list(TASK).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_cursor_works_only_for_the_list_that_issued_it() {
    let forum = Forum::new().await;
    for _ in 0..3 {
        forum.post(&forum.ada, "x").await.unwrap();
    }
    let page = |task: &str, token: &str, max_levels| {
        let request = forum.ada.request(ListCommentsRequest {
            task_id: task.into(),
            page_size: 2,
            page_token: token.into(),
            max_levels,
        });
        let mut client = forum.client.clone();
        async move {
            client
                .list_comments(request)
                .await
                .map(tonic::Response::into_inner)
        }
    };
    let first = page(TASK, "", 0).await.unwrap();
    let second = page(TASK, &first.next_page_token, 0).await.unwrap();
    assert_eq!(
        (second.comments.len(), second.next_page_token.as_str()),
        (1, "")
    );
    for (task, token, levels) in [
        (UNKNOWN, first.next_page_token.as_str(), 0),
        (TASK, &first.next_page_token, 50),
        (TASK, "x", 0),
    ] {
        let refused = Fault::from(page(task, token, levels).await.unwrap_err());
        assert_eq!(refused.fields[0].field, "page_token");
    }
}

#[tokio::test]
async fn a_forged_cursor_is_refused() {
    /// The highest possible number of a reply.
    const LAST: u64 = i64::MAX as u64;
    let forum = Forum::new().await;
    let root = forum.post(&forum.ada, "x").await.unwrap();
    let reply = forum.reply(&forum.ada, &root, "y").await.unwrap();
    for (below, after, taken) in [
        (None, Some(&reply.id), true),
        (Some(&root.id), Some(&reply.id), true),
        (Some(&reply.id), Some(&root.id), false),
        (Some(&root.id), Some(&root.id), false),
    ] {
        let cursor = serde_json::json!({"below": below, "after": after});
        for levels in [0, 50] {
            let shown = (levels > 0).then_some(levels);
            let list = format!("comments?{TASK}&{shown:?}");
            let request = forum.ada.request(ListCommentsRequest {
                task_id: TASK.into(),
                page_size: 2,
                page_token: encode_cursor(&list, Some(&cursor)),
                max_levels: levels,
            });
            let answer = forum.client.clone().list_comments(request).await;
            assert_eq!(answer.is_ok(), taken, "{cursor}: {answer:?}");
        }
    }
    for number in [u64::MAX, LAST + 1, LAST] {
        let list = format!("replies?{}", root.id);
        let request = forum.ada.request(ListRepliesRequest {
            comment_id: root.id.clone(),
            page_size: 2,
            page_token: encode_cursor(&list, Some(&number)),
        });
        let answer = forum.client.clone().list_replies(request).await;
        match answer.map_err(Fault::from) {
            Ok(page) => assert_eq!((number, page.get_ref().comments.len()), (LAST, 0)),
            Err(refused) => assert_eq!(refused.fields[0].field, "page_token", "{number}"),
        }
    }
}

#[tokio::test]
async fn a_service_cannot_be_an_author() {
    let forum = Forum::new().await;
    let comment = forum.post(&forum.ada, "x").await.unwrap();
    for refused in [
        forum.post(&forum.process, "x").await,
        forum.reply(&forum.process, &comment, "x").await,
        edit(&forum, &forum.process, &comment, 0).await,
    ] {
        let fault = refused.unwrap_err();
        assert_eq!(
            (fault.kind, fault.code.as_str()),
            (Kind::Forbidden, "FORBIDDEN")
        );
    }
    assert_eq!(forum.list(TASK).await.unwrap(), [comment]);
}

#[tokio::test]
async fn reading_and_posting_need_a_sign_in() {
    let forum = Forum::new().await;
    let comment = forum.post(&forum.ada, "x").await.unwrap();
    assert_eq!(
        code(forum.post(&forum.nobody, "x").await),
        "UNAUTHENTICATED"
    );
    assert_eq!(
        code(forum.reply(&forum.nobody, &comment, "x").await),
        "UNAUTHENTICATED"
    );
    assert_eq!(
        code(edit(&forum, &forum.nobody, &comment, 0).await),
        "UNAUTHENTICATED"
    );
    assert_eq!(
        code(delete(&forum, &forum.nobody, &comment).await),
        "UNAUTHENTICATED"
    );
    let request = forum.nobody.request(ListCommentsRequest::default());
    let refused = forum.client.clone().list_comments(request).await;
    assert_eq!(code(refused.map_err(Fault::from)), "UNAUTHENTICATED");
}
