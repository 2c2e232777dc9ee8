//! Tests of `GET /activity`.

use serde_json::json;

use crate::support::{Gateway, RELEASE};

#[tokio::test(start_paused = true)]
async fn entries_are_listed_newest_first() {
    let gateway = Gateway::new();
    gateway.log.grow(3);
    let answer = gateway.get("/activity").await;
    assert_eq!(answer.status, 200);
    let page = answer.json();
    assert_eq!(page["nextCursor"], json!(null));
    assert_eq!(page["items"][0]["sequence"], 3);
    assert_eq!(page["items"][2]["actor"]["username"], "bob");
    assert_eq!(gateway.log.asked().page_size, 50);
    assert!(!gateway.log.asked().ascending);
}

#[tokio::test(start_paused = true)]
async fn every_parameter_reaches_the_log() {
    let gateway = Gateway::new();
    let query = "after=2&before=9&order=asc&type=task.*&type=release.created&mine=true&limit=7";
    let path = format!("/activity?{query}&releaseId={RELEASE}&cursor=abc");
    assert_eq!(gateway.get(&path).await.status, 200);
    let asked = gateway.log.asked();
    assert_eq!((asked.after, asked.before, asked.ascending), (2, 9, true));
    assert_eq!((asked.page_size, asked.page_token.as_str()), (7, "abc"));
    let filter = asked.filter.unwrap();
    assert_eq!(filter.types, ["task.*", "release.created"]);
    assert_eq!((filter.release_id.as_str(), filter.mine), (RELEASE, true));
}

#[tokio::test(start_paused = true)]
async fn malformed_parameters_are_named() {
    let gateway = Gateway::new();
    for (query, field) in [
        ("after=-1", "after"),
        ("before=0", "before"),
        ("order=up", "order"),
        ("type=", "type"),
        ("type=task.strated", "type"),
        ("type=task.*,tasks.*", "type"),
        ("releaseId=7", "releaseId"),
        ("mine=yes", "mine"),
        ("limit=201", "limit"),
        ("limit=1&limit=1", "limit"),
    ] {
        gateway
            .get(&format!("/activity?{query}"))
            .await
            .invalid(field);
    }
}
