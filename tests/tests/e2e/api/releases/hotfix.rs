//! POST /releases/{id}/tasks, on a release that was completed: the hotfix.

use anyhow::Context as _;
use serde_json::{Value, json};
use slipway_tests::{StreamEvent, team::id};

use crate::api::{begin, completed_release, finish, invalid, items, pluck, start};

fn hotfix(assignee: &str) -> Value {
    json!({"title": "fix the leak", "assignee": assignee})
}

#[tokio::test]
async fn a_hotfix_reopens_the_release_until_it_is_done() -> anyhow::Result<()> {
    let (_server, team) = start(2).await?;
    let release = completed_release(&team, "a", 2).await?;
    let path = format!("/releases/{release}");
    let tasks = format!("{path}/tasks");
    for round in 1..=2 {
        let fix = team.admin.post(&tasks, &hotfix("dev-1")).await?.expect(201);
        assert_eq!(fix["hotfix"], true);
        assert_eq!(fix["orderIndex"], 2 + round);
        let reopened = team.admin.get(&path).await?.expect(200);
        for (member, value) in [
            ("status", json!("OPEN")),
            ("isCompleted", json!(false)),
            ("completedAt", Value::Null),
            ("reopenedCount", json!(round)),
            (
                "progress",
                json!({"total": 2 + round, "completed": 1 + round}),
            ),
        ] {
            assert_eq!(reopened[member], value, "{member}");
        }
        let answer = team.admin.patch(&format!("{path}/complete")).await?;
        answer.refused(409, "RELEASE_INCOMPLETE");
        begin(&team.developers[1], id(&fix)).await?.expect(200);
        finish(&team.developers[1], id(&fix)).await?.expect(200);
        let done = team
            .admin
            .patch(&format!("{path}/complete"))
            .await?
            .expect(200);
        assert_eq!(done["isCompleted"], true);
        assert_eq!(done["reopenedCount"], round);
    }
    Ok(())
}

#[tokio::test]
async fn a_task_added_to_a_reopened_release_is_a_hotfix_by_default() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let release = completed_release(&team, "a", 1).await?;
    let path = format!("/releases/{release}/tasks");
    for (said, is) in [
        (Value::Null, true),
        (Value::Null, true),
        (json!(false), false),
        (json!(true), true),
    ] {
        let mut body = hotfix("dev-0");
        body["hotfix"] = said.clone();
        let added = team.admin.post(&path, &body).await?.expect(201);
        assert_eq!(added["hotfix"], is, "{said}");
    }
    let release = team
        .admin
        .get(&format!("/releases/{release}"))
        .await?
        .expect(200);
    assert_eq!(release["reopenedCount"], 1);
    let tasks = release["tasks"].as_array().context("tasks")?;
    assert_eq!(
        json!(pluck(tasks, "hotfix")),
        json!([false, true, true, false, true])
    );
    Ok(())
}

#[tokio::test]
async fn a_wrong_hotfix_flag_is_refused() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let said = |hotfix: bool| json!({"title": "t", "assignee": "dev-0", "hotfix": hotfix});
    let planned = json!({"name": "a", "tasks": [said(true)]});
    let refused = team.admin.post("/releases", &planned).await?;
    refused.refused(409, "INVALID_HOTFIX");
    let planned = json!({"name": "a", "tasks": [said(false)]});
    let open = team.admin.post("/releases", &planned).await?.expect(201);
    let path = format!("/releases/{}/tasks", id(&open));
    let refused = team.admin.post(&path, &said(true)).await?;
    let problem = refused.refused(409, "INVALID_HOTFIX");
    assert_eq!(
        problem["detail"],
        "The release has never been completed: a task of it cannot be a hotfix."
    );
    team.admin.post(&path, &said(false)).await?.expect(201);
    let done = completed_release(&team, "b", 1).await?;
    let release = format!("/releases/{done}");
    let path = format!("{release}/tasks");
    let refused = team.admin.post(&path, &said(false)).await?;
    refused.refused(409, "INVALID_HOTFIX");
    let release = team.admin.get(&release).await?.expect(200);
    assert_eq!(release["isCompleted"], true, "nothing was reopened");
    let words = json!({"title": "t", "assignee": "dev-0", "hotfix": "yes"});
    invalid(team.admin.post(&path, &words).await?, "hotfix");
    Ok(())
}

#[tokio::test]
async fn a_hotfix_is_in_the_feed_in_order() -> anyhow::Result<()> {
    let (_server, team) = start(2).await?;
    let release = completed_release(&team, "Kubernetes", 1).await?;
    let query = format!("?releaseId={release}");
    // When the completion has arrived, everything before it has.
    team.admin
        .seen(|entry| entry["type"] == "release.completed")
        .await?;
    let mut stream = team.developers[1].stream(&query, None).await?;
    let path = format!("/releases/{release}/tasks");
    let fix = team.admin.post(&path, &hotfix("dev-1")).await?.expect(201);
    let mut told = Vec::new();
    for _ in 0..4 {
        let StreamEvent::Entry { kind, data, .. } = stream.next().await? else {
            anyhow::bail!("only entries");
        };
        told.push((kind, data));
    }
    let kinds: Vec<_> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "release.reopened",
            "task.created",
            "task.hotfix_added",
            "task.ready"
        ]
    );
    let me = team.developers[1].get("/auth/me").await?.expect(200);
    let notice = &told[2].1;
    for (member, value) in [
        ("developerId", &me["id"]),
        ("releaseId", &json!(release)),
        ("taskTitle", &json!("fix the leak")),
        ("taskId", &fix["id"]),
    ] {
        assert_eq!(&notice["data"][member], value, "{member}");
    }
    assert_eq!(notice["actor"]["username"], "admin");
    assert_eq!(notice["subject"], fix["id"]);
    let mine = team.developers[1]
        .get("/activity?mine=true&type=task.*")
        .await?;
    let page = mine.expect(200);
    assert_eq!(
        pluck(items(&page)?, "type"),
        ["task.ready", "task.hotfix_added", "task.created"],
        "the notice stands for the assignment"
    );
    Ok(())
}

#[tokio::test]
async fn a_hotfix_keeps_the_order_and_the_bounds_of_every_task() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let release = completed_release(&team, "a", 2).await?;
    let path = format!("/releases/{release}/tasks");
    for (index, code) in [(0, "ORDER_INDEX_PASSED"), (2, "ORDER_INDEX_TAKEN")] {
        let mut body = hotfix("dev-0");
        body["orderIndex"] = json!(index);
        team.admin.post(&path, &body).await?.refused(409, code);
    }
    let answer = team.admin.post(&path, &hotfix("nobody")).await?;
    answer.refused(400, "INVALID_ARGUMENT");
    // The refused request has reopened nothing.
    let release = team
        .admin
        .get(&format!("/releases/{release}"))
        .await?
        .expect(200);
    assert_eq!(release["isCompleted"], true);
    assert_eq!(release["reopenedCount"], 0);
    Ok(())
}
