//! Corrections: tasks and releases are changed and deleted, and started tasks are handed back.

use anyhow::Context as _;
use reqwest::Method;
use serde_json::{Value, json};
use slipway_tests::{
    Answer, Client,
    team::{id, shared, task_ids},
    until,
};

use super::{begin, call, finish, invalid, items, pluck, start};

/// PATCH with a body, and with `If-Match` if a tag is given.
async fn change(by: &Client, path: &str, body: Value, tag: Option<&str>) -> anyhow::Result<Answer> {
    let mut request = by.request(Method::PATCH, path).json(&body);
    if let Some(tag) = tag {
        request = request.header("if-match", tag);
    }
    by.send(request).await
}

async fn delete(by: &Client, path: &str, tag: Option<&str>) -> anyhow::Result<Answer> {
    let mut request = by.request(Method::DELETE, path);
    if let Some(tag) = tag {
        request = request.header("if-match", tag);
    }
    by.send(request).await
}

async fn pause(by: &Client, task: &str, reason: &str) -> anyhow::Result<Answer> {
    let path = format!("/tasks/{task}/pause");
    change(by, &path, json!({"reason": reason}), None).await
}

/// The types of a release's entries in the activity feed, oldest first, once there is an entry
/// with this sentence.
async fn told(by: &Client, release: &str, sentence: &str) -> anyhow::Result<Vec<String>> {
    by.seen(|entry| entry["summary"] == sentence).await?;
    let path = format!("/activity?order=asc&limit=200&releaseId={release}");
    let entries = by.all(&path).await?;
    let types = entries.iter().filter_map(|entry| entry["type"].as_str());
    Ok(types.map(str::to_owned).collect())
}

#[tokio::test]
async fn an_admin_corrects_a_task_and_its_owner_only_the_reminder() -> anyhow::Result<()> {
    let (_server, team) = start(2).await?;
    let release = team.release("a", &[0, 0]).await?;
    let path = format!("/tasks/{}", task_ids(&release)[0]);
    let read = team.developers[0].get(&path).await?;
    let tag = read.header("etag").to_owned();
    assert_eq!(tag, format!("\"{}\"", read.body["revision"]));
    let body = json!({
        "title": "Build the images", "description": "all", "assignee": "DEV-1",
        "dueAt": "2030-01-01T12:00:00Z", "priority": "HIGH", "tags": ["UI", "build"],
        "remindBeforeMinutes": 30,
    });
    let changed = change(&team.admin, &path, body, Some(&tag)).await?;
    let new_tag = changed.header("etag").to_owned();
    let task = changed.expect(200);
    assert_eq!(task["title"], "Build the images");
    assert_eq!(task["assignee"]["username"], "dev-1");
    assert_eq!(task["tags"], json!(["build", "ui"]));
    assert_eq!(
        (&task["priority"], &task["remindBeforeMinutes"]),
        (&json!("HIGH"), &json!(30))
    );
    let seen = team.admin.get(&path).await?.expect(200);
    assert_eq!(shared(seen), task);

    let late = change(&team.admin, &path, json!({"title": "x"}), Some(&tag)).await?;
    let problem = late.refused(412, "TASK_CHANGED");
    assert_eq!(problem["revision"], task["revision"]);
    let same = json!({"title": "Build the images", "tags": ["ui", "BUILD"]});
    let same = change(&team.admin, &path, same, Some(&new_tag)).await?;
    assert_eq!(same.expect(200), task, "nothing was changed");
    let cleared = json!({"dueAt": null, "remindBeforeMinutes": null});
    let cleared = change(&team.admin, &path, cleared, None).await?.expect(200);
    assert_eq!(
        (&cleared["dueAt"], &cleared["remindBeforeMinutes"]),
        (&Value::Null, &Value::Null)
    );

    let [before, owner] = team.developers.as_slice() else {
        anyhow::bail!("two developers")
    };
    let reminder = || json!({"remindBeforeMinutes": 5});
    let refused = change(before, &path, reminder(), None).await?;
    refused.refused(403, "NOT_ASSIGNEE");
    let reminded = change(owner, &path, reminder(), None).await?.expect(200);
    assert_eq!(reminded["remindBeforeMinutes"], 5);
    let refused = change(owner, &path, json!({"title": "Mine"}), None).await?;
    refused.refused(403, "ADMIN_REQUIRED");
    delete(owner, &path, None)
        .await?
        .refused(403, "ADMIN_REQUIRED");

    let sentence = "dev-1 changed the reminder of “Build the images” in a";
    let types = told(&team.admin, id(&release), sentence).await?;
    let expected = [
        "task.updated",
        "task.assigned",
        "task.ready",
        "task.updated",
        "task.updated",
    ];
    assert_eq!(types[types.len() - 5..], expected);
    Ok(())
}

#[tokio::test]
async fn invalid_changes_are_refused_by_field() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let release = team.release("a", &[0]).await?;
    let path = format!("/tasks/{}", task_ids(&release)[0]);
    for (body, field) in [
        (json!({"title": " "}), "title"),
        (json!({"title": null}), "title"),
        (json!({"description": "a\u{7}"}), "description"),
        (json!({"assignee": "nobody"}), "assignee"),
        (json!({"assignee": "admin"}), "assignee"),
        (json!({"orderIndex": -1}), "orderIndex"),
        (json!({"dueAt": "1999-01-01T00:00:00Z"}), "dueAt"),
        (json!({"priority": "SOON"}), "priority"),
        (json!({"tags": ["a", ""]}), "tags"),
        (json!({"remindBeforeMinutes": -1}), "remindBeforeMinutes"),
        (json!({"remindBeforeMinutes": 43201}), "remindBeforeMinutes"),
        (json!({"status": "COMPLETED"}), "status"),
    ] {
        invalid(change(&team.admin, &path, body, None).await?, field);
    }
    let path = format!("/releases/{}", id(&release));
    for field in ["name", "version", "description"] {
        let body = json!({field: "a\u{7}"});
        invalid(change(&team.admin, &path, body, None).await?, field);
    }
    invalid(
        pause(&team.developers[0], &task_ids(&release)[0], " ").await?,
        "reason",
    );
    Ok(())
}

#[tokio::test]
async fn a_task_is_moved_reassigned_and_deleted_while_it_is_todo() -> anyhow::Result<()> {
    let (_server, team) = start(2).await?;
    let release = team.release("a", &[0, 1, 1]).await?;
    let tasks = task_ids(&release);
    let path = |n: usize| format!("/tasks/{}", tasks[n]);
    let admin = &team.admin;
    let moved = change(admin, &path(2), json!({"orderIndex": 0}), None).await?;
    assert_eq!(moved.expect(200)["orderIndex"], 0);
    let taken = change(admin, &path(2), json!({"orderIndex": 1}), None).await?;
    taken.refused(409, "ORDER_INDEX_TAKEN");
    change(admin, &path(2), json!({"orderIndex": 9}), None)
        .await?
        .expect(200);
    begin(&team.developers[0], &tasks[0]).await?.expect(200);
    let passed = change(admin, &path(2), json!({"orderIndex": 0}), None).await?;
    passed.refused(409, "ORDER_INDEX_PASSED");
    for body in [json!({"assignee": "dev-1"}), json!({"orderIndex": 5})] {
        let started = change(admin, &path(0), body, None).await?;
        started.refused(409, "TASK_STARTED");
    }
    delete(admin, &path(0), None)
        .await?
        .refused(409, "TASK_STARTED");
    let renamed = change(admin, &path(0), json!({"title": "renamed"}), None).await?;
    assert_eq!(renamed.expect(200)["title"], "renamed");

    let comments = format!("{}/comments", path(1));
    let body = json!({"content": "Is this needed?"});
    let comment = admin.post(&comments, &body).await?.expect(201);
    let gone = delete(admin, &path(1), Some("\"999\"")).await?;
    gone.refused(412, "TASK_CHANGED");
    delete(admin, &path(1), None).await?.expect(204);
    admin.get(&path(1)).await?.refused(404, "TASK_NOT_FOUND");
    delete(admin, &path(1), None)
        .await?
        .refused(404, "TASK_NOT_FOUND");
    begin(&team.developers[1], &tasks[1])
        .await?
        .refused(404, "TASK_NOT_FOUND");
    assert_eq!(comment["taskId"], tasks[1]);

    finish(&team.developers[0], &tasks[0]).await?.expect(200);
    delete(admin, &path(2), None).await?.expect(204);
    let path = format!("/releases/{}", id(&release));
    let left = admin.get(&path).await?.expect(200);
    assert_eq!(left["progress"], json!({"total": 1, "completed": 1}));
    let sentence = "The only task of a is completed";
    let types = told(admin, id(&release), sentence).await?;
    assert_eq!(types[types.len() - 2..], ["task.deleted", "release.ready"]);
    admin.patch(&format!("{path}/complete")).await?.expect(200);
    delete(admin, &path, None)
        .await?
        .refused(409, "RELEASE_STARTED");
    Ok(())
}

#[tokio::test]
async fn a_release_is_corrected_and_deleted_while_nothing_is_started() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let release = team.release("Sprnig", &[0, 0]).await?;
    let (path, admin, developer) = (
        format!("/releases/{}", id(&release)),
        &team.admin,
        &team.developers[0],
    );
    let tag = admin.get(&path).await?.header("etag").to_owned();
    let body = json!({"name": "Spring", "version": "2.0"});
    let changed = change(admin, &path, body.clone(), Some(&tag)).await?;
    let new_tag = changed.header("etag").to_owned();
    let changed = changed.expect(200);
    assert_eq!(
        (&changed["name"], &changed["version"]),
        (&json!("Spring"), &json!("2.0"))
    );
    assert_eq!(changed["tasks"][0]["releaseName"], "Spring");
    let late = change(admin, &path, json!({"name": "x"}), Some(&tag)).await?;
    late.refused(412, "RELEASE_CHANGED");
    let refused = change(developer, &path, body, None).await?;
    refused.refused(403, "ADMIN_REQUIRED");
    delete(developer, &path, None)
        .await?
        .refused(403, "ADMIN_REQUIRED");
    delete(admin, &path, Some(&tag))
        .await?
        .refused(412, "RELEASE_CHANGED");

    let task = &task_ids(&release)[0];
    begin(developer, task).await?.expect(200);
    let refused = delete(admin, &path, None).await?;
    let problem = refused.refused(409, "RELEASE_STARTED");
    assert_eq!(problem["startedTask"]["id"], *task);
    pause(developer, task, "It is the wrong release.")
        .await?
        .expect(200);
    delete(admin, &path, Some(&new_tag))
        .await?
        .refused(412, "RELEASE_CHANGED");
    delete(admin, &path, None).await?.expect(204);
    admin.get(&path).await?.refused(404, "RELEASE_NOT_FOUND");
    call(admin, Method::GET, &format!("/tasks/{task}"))
        .await?
        .refused(404, "TASK_NOT_FOUND");
    for list in ["/releases", "/tasks", "/tasks/my"] {
        let page = developer.get(list).await?.expect(200);
        assert!(items(&page)?.is_empty(), "{list}: {page:#}");
    }
    let sentence = "admin deleted “task 1” of dev-0 from Spring";
    let types = told(admin, id(&release), sentence).await?;
    let last = ["release.deleted", "task.deleted", "task.deleted"];
    assert_eq!(types[types.len() - 3..], last);
    Ok(())
}

#[tokio::test]
async fn a_started_task_is_handed_back_with_a_reason() -> anyhow::Result<()> {
    let (_server, team) = start(3).await?;
    let release = team.release("a", &[0, 1]).await?;
    let other = team.release("b", &[0]).await?;
    let (tasks, other) = (task_ids(&release), task_ids(&other).remove(0));
    let [owner, next, stranger] = team.developers.as_slice() else {
        anyhow::bail!("three developers")
    };
    pause(owner, &tasks[0], "early")
        .await?
        .refused(409, "INVALID_TRANSITION");
    begin(owner, &tasks[0]).await?.expect(200);
    pause(stranger, &tasks[0], "no")
        .await?
        .refused(403, "NOT_ASSIGNEE");
    let paused = pause(owner, &tasks[0], "Something urgent came up.").await?;
    let paused = paused.expect(200);
    assert_eq!(
        (&paused["status"], &paused["startedAt"]),
        (&json!("TODO"), &Value::Null)
    );
    let worked = paused["workedMs"].as_i64();
    assert!(worked.is_some_and(|ms| ms >= 0), "{paused:#}");
    begin(next, &tasks[1])
        .await?
        .refused(409, "TASK_OUT_OF_ORDER");
    begin(owner, &other).await?.expect(200);
    begin(owner, &tasks[0])
        .await?
        .refused(409, "DEVELOPER_BUSY");

    // An admin hands the other one back, and gives the first to somebody else.
    pause(&team.admin, &other, "dev-0 is ill.")
        .await?
        .expect(200);
    let path = format!("/tasks/{}", tasks[0]);
    let given = change(&team.admin, &path, json!({"assignee": "dev-2"}), None).await?;
    given.expect(200);
    begin(stranger, &tasks[0]).await?.expect(200);
    let done = finish(stranger, &tasks[0]).await?.expect(200);
    assert!(done["workedMs"].as_i64() >= worked);
    begin(next, &tasks[1]).await?.expect(200);
    let sentence = "dev-0 handed back “task 0” in a: Something urgent came up.";
    let types = told(&team.admin, id(&release), sentence).await?;
    assert!(types.iter().any(|name| name == "task.paused"), "{types:?}");

    // The planner is told by mail, and the owner of what an admin has paused.
    let about = "/notifications?type=task.paused";
    for (reader, subject) in [
        (&team.admin, "Handed back: task 0 (a)"),
        (owner, "Handed back: task 0 (b)"),
    ] {
        let found = until(async || {
            let page = reader.get(about).await?.expect(200);
            let first = items(&page)?.first().cloned();
            first.context("the notification")
        });
        assert_eq!(found.await?["subject"], subject);
    }
    Ok(())
}

#[tokio::test]
async fn lists_of_tasks_are_filtered() -> anyhow::Result<()> {
    let (_server, team) = start(2).await?;
    let body = json!({"name": "a", "tasks": [
        {"title": "Write notes", "assignee": "dev-0", "priority": "HIGH", "tags": ["Docs"],
         "dueAt": "2030-01-01T00:00:00Z", "remindBeforeMinutes": 0},
        {"title": "Build", "assignee": "dev-1", "description": "See the NOTES."},
        {"title": "Test", "assignee": "dev-0", "dueAt": "2030-01-02T00:00:00Z"},
    ]});
    team.admin.post("/releases", &body).await?.expect(201);
    let me = team.developers[0].get("/auth/me").await?.expect(200);
    for (query, expected) in [
        ("", &["Write notes", "Build", "Test"][..]),
        ("assignee=dev-0", &["Write notes", "Test"]),
        (&format!("assignee={}", id(&me)), &["Write notes", "Test"]),
        ("priority=HIGH", &["Write notes"]),
        ("priority=NORMAL", &["Build", "Test"]),
        ("tag=docs", &["Write notes"]),
        ("tag=DOCS&status=COMPLETED", &[]),
        ("q=notes", &["Write notes", "Build"]),
        ("dueBefore=2030-01-02T00:00:00Z", &["Write notes"]),
        ("dueFrom=2030-01-01T00:00:00Z&q=t", &["Write notes", "Test"]),
    ] {
        let found = team.admin.all(&format!("/tasks?limit=2&{query}")).await?;
        assert_eq!(pluck(&found, "title"), expected, "{query}");
    }
    let mine = team.developers[0].all("/tasks/my?q=notes&tag=docs").await?;
    assert_eq!(pluck(&mine, "title"), ["Write notes"]);
    invalid(team.admin.get("/tasks?assignee=nobody").await?, "assignee");
    let long = "x".repeat(201);
    invalid(team.admin.get(&format!("/tasks?q={long}")).await?, "q");
    invalid(team.admin.get(&format!("/tasks?tag={long}")).await?, "tag");
    let reversed = "dueFrom=2030-01-02T00:00:00Z&dueBefore=2030-01-01T00:00:00Z";
    for list in ["/tasks", "/tasks/my"] {
        invalid(
            team.admin.get(&format!("{list}?{reversed}")).await?,
            "dueFrom",
        );
    }
    Ok(())
}
