//! POST /releases/{id}/tasks, on an open release.

use anyhow::Context as _;
use serde_json::{Value, json};
use slipway_tests::{
    Answer, Team,
    team::{id, shared, task_ids},
};

use crate::api::{UNKNOWN, begin, finish, invalid, items, pluck, start};

/// The largest integer that every JSON parser reads exactly.
const MAX_INDEX: i64 = (1 << 53) - 1;

async fn add(team: &Team, release: &Value, changes: Value) -> anyhow::Result<Answer> {
    let mut task = json!({"title": "another", "assignee": "dev-0"});
    for (name, value) in changes.as_object().context("an object")? {
        task[name] = value.clone();
    }
    let path = format!("/releases/{}/tasks", id(release));
    team.admin.post(&path, &task).await
}

#[tokio::test]
async fn a_task_is_appended_and_can_be_found_at_its_location() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let release = team.release("a", &[0, 0]).await?;
    let answer = add(&team, &release, json!({"description": "more"})).await?;
    let location = answer.header("location").to_owned();
    let task = answer.expect(201);
    assert_eq!(location, format!("/tasks/{}", id(&task)));
    let seen = team.developers[0].get(&location).await?.expect(200);
    assert_eq!(shared(seen), task);
    for (member, value) in [
        ("releaseId", &release["id"]),
        ("releaseName", &json!("a")),
        ("description", &json!("more")),
        ("orderIndex", &json!(3)),
        ("status", &json!("TODO")),
        ("hotfix", &json!(false)),
    ] {
        assert_eq!(&task[member], value, "{member}");
    }
    let path = format!("/releases/{}", id(&release));
    let release = team.admin.get(&path).await?.expect(200);
    assert_eq!(shared(release["tasks"][2].clone()), task);
    assert_eq!(release["progress"]["total"], 3);
    Ok(())
}

#[tokio::test]
async fn a_developer_cannot_add_a_task() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let release = team.release("a", &[]).await?;
    let body = json!({"title": "t", "assignee": "dev-0"});
    for id in [id(&release), UNKNOWN] {
        let path = format!("/releases/{id}/tasks");
        let answer = team.developers[0].post(&path, &body).await?;
        answer.refused(403, "ADMIN_REQUIRED");
    }
    Ok(())
}

#[tokio::test]
async fn an_unknown_release_takes_no_task() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let answer = add(&team, &json!({"id": UNKNOWN}), json!({})).await?;
    answer.refused(404, "RELEASE_NOT_FOUND");
    Ok(())
}

#[tokio::test]
async fn a_position_is_any_unused_number_and_gaps_are_allowed() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let release = team.release("a", &[]).await?;
    for index in [100, 0, 50, MAX_INDEX] {
        let answer = add(&team, &release, json!({"orderIndex": index})).await?;
        assert_eq!(answer.expect(201)["orderIndex"], index);
    }
    for index in [100, 0, MAX_INDEX] {
        let answer = add(&team, &release, json!({"orderIndex": index})).await?;
        answer.refused(409, "ORDER_INDEX_TAKEN");
    }
    // There is no position after the last one.
    let answer = add(&team, &release, json!({})).await?;
    let full = answer.refused(409, "RELEASE_FULL");
    let cause = "No task can come after the last one, which has the highest order index.";
    let detail = full["detail"].as_str().unwrap_or_default();
    assert!(detail.starts_with(cause), "{detail}");
    Ok(())
}

#[tokio::test]
async fn a_position_is_an_integer_from_0_that_json_keeps_exact() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let release = team.release("a", &[]).await?;
    for bad in [
        json!(-1),
        json!(MAX_INDEX + 1),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1.5),
        json!(1e300),
        json!("1"),
        json!([1]),
        json!(true),
    ] {
        let answer = add(&team, &release, json!({"orderIndex": bad})).await?;
        invalid(answer, "orderIndex");
    }
    let answer = add(&team, &release, json!({"orderIndex": null})).await?;
    assert_eq!(answer.expect(201)["orderIndex"], 1, "null: appended");
    Ok(())
}

#[tokio::test]
async fn no_task_can_be_added_before_a_started_one() -> anyhow::Result<()> {
    let (_server, team) = start(2).await?;
    let at = |n: i64| json!({"title": "t", "assignee": "dev-0", "orderIndex": n});
    let body = json!({"name": "a", "tasks": [at(10), at(20), at(30)]});
    let release = team.admin.post("/releases", &body).await?.expect(201);
    let tasks = task_ids(&release);
    begin(&team.developers[0], &tasks[0]).await?.expect(200);
    finish(&team.developers[0], &tasks[0]).await?.expect(200);
    begin(&team.developers[0], &tasks[1]).await?.expect(200);
    for index in [0, 9, 15, 19] {
        let answer = add(&team, &release, json!({"orderIndex": index})).await?;
        answer.refused(409, "ORDER_INDEX_PASSED");
    }
    let answer = add(&team, &release, json!({"orderIndex": 20})).await?;
    answer.refused(409, "ORDER_INDEX_TAKEN");
    // Between the task in process and the next one, it becomes the next one.
    let answer = add(
        &team,
        &release,
        json!({"orderIndex": 25, "assignee": "dev-1"}),
    )
    .await?;
    let between = answer.expect(201);
    finish(&team.developers[0], &tasks[1]).await?.expect(200);
    let answer = begin(&team.developers[0], &tasks[2]).await?;
    let problem = answer.refused(409, "TASK_OUT_OF_ORDER");
    assert_eq!(problem["blockedBy"]["id"], between["id"]);
    Ok(())
}

#[tokio::test]
async fn the_assignee_is_one_developer_who_exists() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let release = team.release("a", &[]).await?;
    let me = team.developers[0].get("/auth/me").await?.expect(200);
    let admin = team.admin.get("/auth/me").await?.expect(200);
    for (changes, message) in [
        (json!({"assignee": "nobody"}), "is not a user"),
        (json!({"assignee": ""}), "is not a user"),
        (
            json!({"assignee": "dev-0@example.com"}),
            "is not a user: give the username, not the email address",
        ),
        (json!({"assignee": "dev-0\0"}), "is not a user"),
        (
            json!({"assignee": null, "assigneeId": UNKNOWN}),
            "is not a user",
        ),
        (json!({"assignee": "admin"}), "is not a developer"),
        (
            json!({"assignee": null, "assigneeId": admin["id"]}),
            "is not a developer",
        ),
        (
            json!({"assigneeId": me["id"]}),
            "or assigneeId must be given: exactly one of the two",
        ),
        (
            json!({"assignee": null}),
            "or assigneeId must be given: exactly one of the two",
        ),
    ] {
        let field = match changes.get("assignee") {
            Some(Value::Null) if changes["assigneeId"].is_string() => "assigneeId",
            _ => "assignee",
        };
        let answer = add(&team, &release, changes).await?;
        assert_eq!(invalid(answer, field), message);
    }
    for changes in [
        json!({"assignee": "Dev-0"}),
        json!({"assignee": null, "assigneeId": me["id"]}),
    ] {
        let task = add(&team, &release, changes).await?.expect(201);
        assert_eq!(task["assignee"]["username"], "dev-0");
    }
    Ok(())
}

#[tokio::test]
async fn a_due_time_is_rfc_3339_and_comes_back_in_utc() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let release = team.release("a", &[]).await?;
    for (given, kept) in [
        ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00Z"),
        ("2026-03-01T10:00:00.250Z", "2026-03-01T10:00:00.25Z"),
        ("2026-03-01T12:30:00+02:30", "2026-03-01T10:00:00Z"),
        ("2024-02-29T23:59:59Z", "2024-02-29T23:59:59Z"),
        ("2000-01-01T00:00:00Z", "2000-01-01T00:00:00Z"),
        ("2200-12-31T23:59:59.750Z", "2200-12-31T23:59:59.75Z"),
        ("2026-03-01T10:00:00.123456789Z", "2026-03-01T10:00:00.123Z"),
    ] {
        let task = add(&team, &release, json!({"dueAt": given}))
            .await?
            .expect(201);
        assert_eq!(task["dueAt"], kept, "{given}");
        let path = format!("/tasks/{}", id(&task));
        let seen = team.admin.get(&path).await?.expect(200);
        assert_eq!(shared(seen), task);
    }
    let task = add(&team, &release, json!({"dueAt": null}))
        .await?
        .expect(201);
    assert_eq!(task["dueAt"], Value::Null);
    for bad in [
        json!(""),
        json!("now"),
        json!("2026-03-01"),
        json!("2026-03-01T10:00:00"),
        json!("2026-02-29T10:00:00Z"),
        json!("2026-03-01T25:00:00Z"),
        json!("2026-13-01T10:00:00Z"),
        json!("01/03/2026 10:00"),
        json!("99999-03-01T10:00:00Z"),
        json!("-000001-03-01T10:00:00Z"),
        json!("0001-01-01T00:00:00Z"),
        json!("1999-12-31T23:59:59Z"),
        json!("9999-12-30T00:00:00Z"),
        json!(1_780_000_000),
        json!({}),
    ] {
        let answer = add(&team, &release, json!({"dueAt": bad})).await?;
        invalid(answer, "dueAt");
    }
    Ok(())
}

#[tokio::test]
async fn a_title_is_one_line_of_1_to_200_characters() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let release = team.release("a", &[]).await?;
    for good in [
        "t".to_owned(),
        "\u{1f6a2}".repeat(200),
        "<b>&amp;\"'".to_owned(),
    ] {
        let task = add(&team, &release, json!({"title": good}))
            .await?
            .expect(201);
        assert_eq!(task["title"], good);
    }
    for bad in [
        "".to_owned(),
        " \u{2003}".to_owned(),
        "a\nb".into(),
        "a\0".into(),
        "x".repeat(201),
    ] {
        let answer = add(&team, &release, json!({"title": bad})).await?;
        invalid(answer, "title");
    }
    let answer = add(&team, &release, json!({"description": "x".repeat(8_001)})).await?;
    invalid(answer, "description");
    Ok(())
}

#[tokio::test]
async fn a_refused_task_is_not_stored() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let release = team.release("a", &[0]).await?;
    for changes in [
        json!({"orderIndex": 1}),
        json!({"orderIndex": -1}),
        json!({"assignee": "nobody"}),
    ] {
        assert!(add(&team, &release, changes).await?.status >= 400);
    }
    let page = team.developers[0].get("/tasks/my").await?.expect(200);
    assert_eq!(pluck(items(&page)?, "title"), ["task 0"]);
    Ok(())
}
