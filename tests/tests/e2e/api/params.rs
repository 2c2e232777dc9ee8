//! Invalid ids, queries and idempotency keys, wherever they are accepted.

use reqwest::Method;
use serde_json::{Map, json};

use super::{
    UNKNOWN, call, invalid,
    routes::{fill, lists, routes_with_a_body},
    start,
};

#[tokio::test]
async fn a_malformed_id_is_refused_and_an_unknown_one_not_found() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    let simple = UNKNOWN.replace('-', "");
    let braced = format!("%7B{}%7D", &UNKNOWN[1..35]);
    for (method, before, after, code) in [
        (Method::GET, "/releases", "", "RELEASE_NOT_FOUND"),
        (Method::PATCH, "/releases", "/complete", "RELEASE_NOT_FOUND"),
        (Method::GET, "/releases", "/evidence", "RELEASE_NOT_FOUND"),
        (Method::GET, "/tasks", "", "TASK_NOT_FOUND"),
        (Method::PATCH, "/tasks", "/start", "TASK_NOT_FOUND"),
        (Method::PATCH, "/tasks", "/complete", "TASK_NOT_FOUND"),
        (Method::GET, "/tasks", "/comments", "TASK_NOT_FOUND"),
        (Method::GET, "/comments", "", "COMMENT_NOT_FOUND"),
        (Method::GET, "/comments", "/replies", "COMMENT_NOT_FOUND"),
        (Method::DELETE, "/comments", "", "COMMENT_NOT_FOUND"),
    ] {
        for id in ["7", "%00", "%FF", "%F0%9F%9A%80", "-1", &simple, &braced] {
            let path = format!("{before}/{id}{after}");
            invalid(call(&team.admin, method.clone(), &path).await?, "id");
        }
        let path = format!("{before}/{UNKNOWN}{after}");
        let answer = call(&team.admin, method, &path).await?;
        answer.refused(404, code);
    }
    let task = json!({"title": "t", "assignee": "admin"});
    let answer = team.admin.post("/releases/7/tasks", &task).await?;
    invalid(answer, "id");
    Ok(())
}

#[tokio::test]
async fn an_unknown_or_repeated_parameter_is_refused_by_name() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    let lists = lists(&team.admin).await?;
    let lists = lists.iter().map(|list| fill(list, &Map::new()));
    for list in lists.chain(["/activity/stream".to_owned()]) {
        for (query, field) in [("colour=red", "colour"), ("Limit=1", "Limit")] {
            invalid(team.admin.get(&format!("{list}?{query}")).await?, field);
        }
        if !list.ends_with("/stream") {
            let path = format!("{list}?limit=1&limit=2");
            invalid(team.admin.get(&path).await?, "limit");
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_invalid_parameter_value_is_refused_by_name() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    for (path, field) in [
        ("/releases?status=open", "status"),
        ("/releases?status=", "status"),
        ("/releases?status=OPEN&status=OPEN", "status"),
        ("/tasks/my?status=DONE", "status"),
        ("/activity?order=up", "order"),
        ("/activity?after=-1", "after"),
        ("/activity?after=9223372036854775808", "after"),
        ("/activity?before=0", "before"),
        ("/activity?before=1.5", "before"),
        ("/activity?after=6&before=5", "before"),
        ("/activity?releaseId=7", "releaseId"),
        ("/activity?mine=yes", "mine"),
        ("/activity/stream?after=x", "after"),
        ("/activity/stream?releaseId=7", "releaseId"),
        ("/activity/stream?mine=1", "mine"),
        ("/activity/stream?lastEventId=x", "lastEventId"),
        ("/notifications?from=2026-12-01", "from"),
        (
            "/notifications?from=2026-12-02T00:00:00Z&to=2026-12-01T00:00:00Z",
            "from",
        ),
        (
            "/admin/dead-letters?from=2026-12-01T00:00:00Z&to=2026-12-01T00:00:00%2B01:00",
            "from",
        ),
        (
            "/admin/audit?from=2026-12-02T00:00:00Z&to=2026-12-01T00:00:00Z",
            "from",
        ),
        ("/admin/audit?userId=admin", "userId"),
        ("/activity/stream?limit=5", "limit"),
        // Comments are always ordered by age.
        (
            "/tasks/01890a5d-ac96-774b-bcce-b302099a8057/comments?sort=top",
            "sort",
        ),
    ] {
        let message = invalid(team.admin.get(path).await?, field);
        assert!(message.starts_with("must ") || field == "limit" || field == "sort");
    }
    Ok(())
}

#[tokio::test]
async fn a_malformed_type_of_activity_is_refused_by_list_and_stream_alike() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    let many = vec!["task.started"; 21].join(",");
    for bad in [
        "",
        "task",
        "*",
        "task.",
        ".started",
        "task.*.x",
        "task.started.twice",
        "Task.started",
        "task.started,",
        "1.x",
        &many,
    ] {
        for path in ["/activity", "/activity/stream", "/admin/audit"] {
            let answer = team.admin.get(&format!("{path}?type={bad}")).await?;
            invalid(answer, "type");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_malformed_idempotency_key_is_refused_on_every_post() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    let long = "k".repeat(256);
    let routes = routes_with_a_body(&team.admin).await?;
    for route in routes.iter().filter(|route| route.method == Method::POST) {
        for key in ["", "two words", "schl\u{fc}ssel", &long] {
            let request = team.admin.request(Method::POST, &route.path);
            let request = request.json(&route.good).header("idempotency-key", key);
            invalid(team.admin.send(request).await?, "Idempotency-Key");
        }
    }
    Ok(())
}
