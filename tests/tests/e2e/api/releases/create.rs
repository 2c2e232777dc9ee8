//! POST /releases.

use anyhow::Context as _;
use serde_json::{Value, json};
use slipway_tests::team::{id, shared};

use crate::api::{invalid, items, pluck, start};

fn tasks(count: usize) -> Vec<Value> {
    let task = |n| json!({"title": format!("task {n}"), "assignee": "dev-0"});
    (0..count).map(task).collect()
}

#[tokio::test]
async fn a_release_is_planned_with_its_tasks_and_can_be_found_at_its_location() -> anyhow::Result<()>
{
    let (_server, team) = start(1).await?;
    let body = json!({
        "name": "Kubernetes 1.31",
        "description": "Elli\nthe cat",
        "version": "v1.31.0",
        "tasks": [
            {"title": "Build", "assignee": "DEV-0", "description": "images", "dueAt": "2026-03-01T10:00:00Z"},
            {"title": "Ship", "assignee": "dev-0", "orderIndex": 10},
            {"title": "Tell", "assignee": "dev-0"},
        ],
    });
    let answer = team.admin.post("/releases", &body).await?;
    let location = answer.header("location").to_owned();
    let release = answer.expect(201);
    assert_eq!(location, format!("/releases/{}", id(&release)));
    let seen = team.admin.get(&location).await?.expect(200);
    assert_eq!(shared(seen), release);

    let admin = team.admin.get("/auth/me").await?.expect(200);
    for (member, value) in [
        ("name", json!("Kubernetes 1.31")),
        ("description", json!("Elli\nthe cat")),
        ("version", json!("v1.31.0")),
        ("status", json!("OPEN")),
        ("isCompleted", json!(false)),
        ("progress", json!({"total": 3, "completed": 0})),
        ("createdBy", json!({"id": admin["id"], "username": "admin"})),
        ("completedAt", Value::Null),
        ("reopenedCount", json!(0)),
        ("revision", json!(1)),
    ] {
        assert_eq!(release[member], value, "{member}");
    }
    let planned = release["tasks"].as_array().context("tasks")?;
    assert_eq!(pluck(planned, "title"), ["Build", "Ship", "Tell"]);
    assert_eq!(json!(pluck(planned, "orderIndex")), json!([1, 10, 11]));
    let first = &planned[0];
    let me = team.developers[0].get("/auth/me").await?.expect(200);
    for (member, value) in [
        ("releaseId", release["id"].clone()),
        ("releaseName", json!("Kubernetes 1.31")),
        ("description", json!("images")),
        ("assignee", json!({"id": me["id"], "username": "dev-0"})),
        ("status", json!("TODO")),
        ("hotfix", json!(false)),
        ("createdAt", release["createdAt"].clone()),
        ("startedAt", Value::Null),
        ("completedAt", Value::Null),
        ("dueAt", json!("2026-03-01T10:00:00Z")),
    ] {
        assert_eq!(first[member], value, "{member}");
    }
    Ok(())
}

#[tokio::test]
async fn two_requests_for_the_same_plan_once_create_one_release() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let grace = json!({
        "username": "grace", "email": "grace@example.com", "password": "engine no. 1",
        "role": "ADMIN",
    });
    let grace = team.admin.post("/auth/register", &grace).await?.expect(201);
    let grace = team
        .admin
        .with_token(grace["token"].as_str().context("a token")?);
    let plan = json!({"name": "Spring", "version": "2.0", "tasks": tasks(2), "once": true});
    let (first, second) = tokio::join!(
        team.admin.post("/releases", &plan),
        grace.post("/releases", &plan)
    );
    let first = first?.expect(201);
    assert_eq!(first, second?.expect(201));
    // Differences in spelling do not matter.
    let mut spelled = plan.clone();
    spelled["name"] = json!(" Spring\u{a0}");
    spelled["tasks"][0]["assignee"] = json!("DEV-0");
    let spelled = grace.post("/releases", &spelled).await?.expect(201);
    assert_eq!(spelled, first);

    let mut other = plan.clone();
    other["tasks"] = json!(tasks(3));
    grace
        .post("/releases", &other)
        .await?
        .refused(409, "RELEASE_EXISTS");
    other["version"] = json!("2.1");
    grace.post("/releases", &other).await?.expect(201);
    for not_once in [json!(false), Value::Null] {
        let mut again = plan.clone();
        again["once"] = not_once;
        grace.post("/releases", &again).await?.expect(201);
    }
    let page = team.admin.get("/releases").await?.expect(200);
    assert_eq!(items(&page)?.len(), 4);
    Ok(())
}

#[tokio::test]
async fn omitted_fields_are_empty_or_null_and_never_absent() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    let bare = json!({"name": "a"});
    let explicit = json!({"name": "a", "description": null, "version": null, "tasks": null});
    for body in [bare, explicit] {
        let release = team.admin.post("/releases", &body).await?.expect(201);
        assert_eq!(release["description"], "");
        assert_eq!(release["version"], "");
        assert_eq!(release["tasks"], json!([]));
        assert!(
            release
                .as_object()
                .context("an object")?
                .contains_key("completedAt")
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_developer_cannot_plan_a_release() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let body = json!({"name": "a", "tasks": tasks(1)});
    let answer = team.developers[0].post("/releases", &body).await?;
    answer.refused(403, "ADMIN_REQUIRED");
    let page = team.admin.get("/releases").await?.expect(200);
    assert!(items(&page)?.is_empty());
    Ok(())
}

#[tokio::test]
async fn texts_are_bounded_in_characters() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    for (field, most) in [("name", 200), ("description", 8_000), ("version", 100)] {
        for character in ["x", "\u{e4}", "\u{1f6a2}"] {
            let mut body = json!({"name": "a"});
            body[field] = json!(character.repeat(most));
            let release = team.admin.post("/releases", &body).await?.expect(201);
            assert_eq!(release[field], body[field]);
            body[field] = json!(character.repeat(most + 1));
            invalid(team.admin.post("/releases", &body).await?, field);
        }
    }
    for (field, most) in [("title", 200), ("description", 8_000)] {
        for (count, status) in [(most, 201), (most + 1, 400)] {
            let mut task = tasks(1).remove(0);
            task[field] = json!("\u{4e16}".repeat(count));
            let body = json!({"name": "a", "tasks": [task]});
            let answer = team.admin.post("/releases", &body).await?;
            assert_eq!(answer.status, status, "{field} {count}");
            if status == 400 {
                invalid(answer, &format!("tasks[0].{field}"));
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn control_characters_are_refused_and_line_breaks_only_in_descriptions() -> anyhow::Result<()>
{
    let (_server, team) = start(0).await?;
    for text in ["a\0", "\u{1b}[31m", "a\u{7f}", "a\u{85}b"] {
        for field in ["name", "description", "version"] {
            let mut body = json!({"name": "a"});
            body[field] = json!(text);
            invalid(team.admin.post("/releases", &body).await?, field);
        }
    }
    for text in [
        "a\nb",
        "a\rb",
        "a\tb",
        "a\u{2028}b",
        "gpj\u{202e}exe",
        "a\u{2066}b",
    ] {
        for (field, status) in [("name", 400), ("version", 400), ("description", 201)] {
            let mut body = json!({"name": "a"});
            body[field] = json!(text);
            let answer = team.admin.post("/releases", &body).await?;
            assert_eq!(answer.status, status, "{field}: {text:?}");
        }
    }
    for blank in [
        "",
        " ",
        "\u{2003}\u{a0}",
        "\u{200b}",
        "\u{feff}",
        "\u{3164}\u{ad}\u{2800}",
    ] {
        let answer = team
            .admin
            .post("/releases", &json!({"name": blank}))
            .await?;
        invalid(answer, "name");
        let named = json!({"name": "Spring", "version": blank});
        let release = team.admin.post("/releases", &named).await?.expect(201);
        assert_eq!(release["version"], "", "it is none");
    }
    Ok(())
}

#[tokio::test]
async fn a_release_is_planned_with_500_tasks_at_most() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let body = json!({"name": "a", "tasks": tasks(501)});
    invalid(team.admin.post("/releases", &body).await?, "tasks");
    let body = json!({"name": "a", "tasks": tasks(500)});
    let release = team.admin.post("/releases", &body).await?.expect(201);
    assert_eq!(release["progress"], json!({"total": 500, "completed": 0}));
    let path = format!("/releases/{}/tasks", id(&release));
    let answer = team.admin.post(&path, &tasks(1)[0]).await?;
    answer.refused(409, "RELEASE_FULL");
    Ok(())
}

#[tokio::test]
async fn a_release_is_created_with_all_of_its_tasks_or_not_at_all() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let good = tasks(1).remove(0);
    for (bad, field) in [
        (json!({"title": "", "assignee": "dev-0"}), "tasks[1].title"),
        (
            json!({"title": "t", "assignee": "nobody"}),
            "tasks[1].assignee",
        ),
        (json!({"title": "t"}), "tasks[1].assignee"),
        (
            json!({"title": "t", "assignee": "dev-0", "orderIndex": -1}),
            "tasks[1].orderIndex",
        ),
        (
            json!({"title": "t", "assignee": "dev-0", "orderIndex": 1e3}),
            "tasks[1].orderIndex",
        ),
        (
            json!({"title": "t", "assigneeId": "0190c2b8-7a5e-7c3f-8f00-000000000001"}),
            "tasks[1].assigneeId",
        ),
    ] {
        let body = json!({"name": "a", "tasks": [good, bad]});
        invalid(team.admin.post("/releases", &body).await?, field);
    }
    let page = team.admin.get("/releases").await?.expect(200);
    assert!(items(&page)?.is_empty());
    let page = team.developers[0].get("/tasks/my").await?.expect(200);
    assert!(items(&page)?.is_empty());
    Ok(())
}

#[tokio::test]
async fn two_tasks_cannot_have_the_same_position() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let at = |index: i64| json!({"title": "t", "assignee": "dev-0", "orderIndex": index});
    let body = json!({"name": "a", "tasks": [at(3), at(5), at(3)]});
    let message = invalid(
        team.admin.post("/releases", &body).await?,
        "tasks[2].orderIndex",
    );
    assert_eq!(message, "is already used by tasks[0]");
    let body = json!({"name": "a", "tasks": [tasks(1)[0], at(1)]});
    let answer = team.admin.post("/releases", &body).await?;
    answer.refused(409, "ORDER_INDEX_TAKEN");
    Ok(())
}

#[tokio::test]
async fn every_invalid_field_is_reported() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    let task = json!({"title": "", "assignee": "nobody", "orderIndex": -1});
    let body = json!({"name": "", "version": "\n", "tasks": [task]});
    let problem = team.admin.post("/releases", &body).await?;
    let problem = problem.refused(400, "INVALID_ARGUMENT");
    let errors = problem["errors"].as_array().context("errors")?;
    let expected = [
        "name",
        "version",
        "tasks[0].title",
        "tasks[0].assignee",
        "tasks[0].orderIndex",
    ];
    assert_eq!(pluck(errors, "field"), expected);
    Ok(())
}

#[tokio::test]
async fn two_releases_may_have_the_same_name() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    let first = team.release("a", &[]).await?;
    let second = team.release("a", &[]).await?;
    assert_ne!(id(&first), id(&second));
    Ok(())
}
