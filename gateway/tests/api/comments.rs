//! Tests of `/tasks/{id}/comments` and `/comments…`.

use http::{Method, Request, request::Builder};
use serde_json::{Value, json};
use slipway_rpc::error::{Fault, Kind};

use crate::support::{ADA, Answer, COMMENT, Gateway, REPLY, TASK};

fn expected() -> Value {
    json!({
        "id": COMMENT,
        "taskId": TASK,
        "parentId": null,
        "rootId": COMMENT,
        "depth": 0,
        "author": {"id": ADA, "username": "ada"},
        "content": "How is it *going*?",
        "deleted": false,
        "replyCount": 1,
        "descendantCount": 1,
        "createdAt": "2026-03-01T10:00:00Z",
        "editedAt": null,
        "revision": 3,
    })
}

fn expected_reply() -> Value {
    json!({
        "id": REPLY,
        "taskId": TASK,
        "parentId": COMMENT,
        "rootId": COMMENT,
        "depth": 1,
        "author": null,
        "content": null,
        "deleted": true,
        "replyCount": 1,
        "descendantCount": null,
        "createdAt": "2026-03-01T10:00:00Z",
        "editedAt": null,
        "revision": 3,
    })
}

/// PATCH of the comment.
async fn edit(gateway: &Gateway, with: impl FnOnce(Builder) -> Builder) -> Answer {
    let request = gateway.request(Method::PATCH, &format!("/comments/{COMMENT}"));
    let request = with(request.header("content-type", "application/json"));
    let request: Request<_> = request.body(r#"{"content": "x"}"#.into()).unwrap();
    gateway.send(request).await
}

#[tokio::test(start_paused = true)]
async fn all_operations_return_a_comment_in_the_same_form() {
    let gateway = Gateway::new();
    let body = r#"{"content": "How is it *going*?"}"#;
    for path in [
        format!("/tasks/{TASK}/comments"),
        format!("/comments/{COMMENT}/reply"),
    ] {
        let answer = gateway.post(&path, body).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (201, expected()));
        assert_eq!(answer.header("location"), format!("/comments/{COMMENT}"));
        assert_eq!(answer.header("etag"), "\"3\"");
        assert!(gateway.core.asked().contains("How is it *going*?"));
    }
    let answer = gateway.get(&format!("/comments/{COMMENT}")).await;
    assert_eq!(answer.json(), expected());
    assert_eq!(answer.header("etag"), "\"3\"");
}

#[tokio::test(start_paused = true)]
async fn the_author_cannot_be_set_in_the_body() {
    let gateway = Gateway::new();
    let body = r#"{"content": "x", "author": "grace"}"#;
    let answer = gateway.post(&format!("/tasks/{TASK}/comments"), body).await;
    answer.invalid("author");
}

#[tokio::test(start_paused = true)]
async fn a_discussion_is_flat_or_a_tree() {
    let gateway = Gateway::new();
    let path = format!("/tasks/{TASK}/comments");
    let page = gateway.get(&format!("{path}?limit=7")).await.json();
    assert_eq!(page["items"], json!([expected(), expected_reply()]));
    assert_eq!(page["nextCursor"], "next");
    assert!(gateway.core.asked().contains("page_size: 7"));
    assert!(gateway.core.asked().contains("max_levels: 0"));

    let page = gateway.get(&format!("{path}?view=tree")).await.json();
    let mut reply = expected_reply();
    reply["replies"] = json!([]);
    reply["moreReplies"] = json!({"count": 1, "cursor": "further down"});
    let mut comment = expected();
    comment["replies"] = json!([reply]);
    comment["moreReplies"] = Value::Null;
    assert_eq!(page["items"], json!([comment]));
    assert!(gateway.core.asked().contains("max_levels: 50"));
    gateway
        .get(&format!("{path}?view=star"))
        .await
        .invalid("view");
}

#[tokio::test(start_paused = true)]
async fn the_replies_to_one_comment_are_a_list() {
    let gateway = Gateway::new();
    let page = gateway
        .get(&format!("/comments/{COMMENT}/replies"))
        .await
        .json();
    assert_eq!(
        page,
        json!({"items": [expected_reply()], "nextCursor": null})
    );
}

#[tokio::test(start_paused = true)]
async fn an_edit_names_its_revision_by_if_match() {
    let gateway = Gateway::new();
    for (tag, asked) in [("\"3\"", "revision: 3"), ("*", "revision: 0")] {
        let answer = edit(&gateway, |request| request.header("if-match", tag)).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, expected()));
        assert!(
            gateway.core.asked().contains(asked),
            "{}",
            gateway.core.asked()
        );
    }
    edit(&gateway, |request| request).await;
    assert!(gateway.core.asked().contains("revision: 0"));
    // A tag that is not ours becomes a revision that never exists, not "any revision".
    for none in ["\"0\"", "\"x\"", "W/\"3\""] {
        edit(&gateway, |request| request.header("if-match", none)).await;
        let asked = gateway.core.asked();
        assert!(asked.contains("revision: 9223372036854775807"), "{asked}");
    }
    for bad in ["3", "", "\"1\" \"2\""] {
        edit(&gateway, |request| request.header("if-match", bad))
            .await
            .invalid("If-Match");
    }
}

#[tokio::test(start_paused = true)]
async fn an_edit_of_another_revision_fails_its_condition() {
    let gateway = Gateway::new();
    let changed = Fault::new(Kind::Contended, "COMMENT_CHANGED", "It was edited.");
    gateway.core.fails(changed.fact("revision", 4));
    let answer = edit(&gateway, |request| request.header("if-match", "\"3\"")).await;
    assert_eq!(answer.problem(412, "COMMENT_CHANGED")["revision"], 4);
    gateway.core.fails(Fault::new(
        Kind::Forbidden,
        "NOT_AUTHOR",
        "It is not yours.",
    ));
    edit(&gateway, |request| request)
        .await
        .problem(403, "NOT_AUTHOR");
}

#[tokio::test(start_paused = true)]
async fn deleting_a_comment_returns_no_body() {
    let gateway = Gateway::new();
    let request = gateway.request(Method::DELETE, &format!("/comments/{COMMENT}"));
    let answer = gateway.send(request.body("".into()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    assert!(gateway.core.asked().starts_with("DeleteCommentRequest"));
}
