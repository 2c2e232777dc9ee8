//! GET /releases and GET /releases/{id}.

use anyhow::Context as _;
use reqwest::Method;
use serde_json::{Value, json};
use slipway_tests::{
    Answer, Client,
    team::{id, shared, task_ids},
};

use crate::api::{begin, completed_release, items, pluck, start};

async fn names(client: &Client, query: &str) -> anyhow::Result<Value> {
    let page = client.get(&format!("/releases{query}")).await?.expect(200);
    Ok(json!(pluck(items(&page)?, "name")))
}

async fn unless(client: &Client, path: &str, tag: &str) -> anyhow::Result<Answer> {
    let request = client.request(Method::GET, path);
    client.send(request.header("if-none-match", tag)).await
}

#[tokio::test]
async fn releases_are_listed_newest_first_with_progress_and_without_tasks() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    completed_release(&team, "first", 2).await?;
    let open = team.release("second", &[0, 0]).await?;
    let reader = &team.developers[0];
    let page = reader.get("/releases").await?.expect(200);
    let releases = items(&page)?;
    assert_eq!(pluck(releases, "name"), ["second", "first"]);
    assert_eq!(pluck(releases, "status"), ["OPEN", "COMPLETED"]);
    assert_eq!(releases[0]["progress"], json!({"total": 2, "completed": 0}));
    assert_eq!(releases[1]["progress"], json!({"total": 2, "completed": 2}));
    assert_eq!(page["nextCursor"], Value::Null);
    // A summary is the release without its tasks.
    let mut summary = open.clone();
    summary
        .as_object_mut()
        .context("an object")?
        .remove("tasks");
    assert_eq!(releases[0], summary);
    Ok(())
}

#[tokio::test]
async fn releases_are_filtered_by_status() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let done = completed_release(&team, "done", 1).await?;
    team.release("open", &[]).await?;
    let reader = &team.developers[0];
    assert_eq!(names(reader, "?status=OPEN").await?, json!(["open"]));
    assert_eq!(names(reader, "?status=COMPLETED").await?, json!(["done"]));
    // A hotfix reopens it: it moves from one list to the other.
    let task = json!({"title": "hotfix", "assignee": "dev-0"});
    let path = format!("/releases/{done}/tasks");
    team.admin.post(&path, &task).await?.expect(201);
    assert_eq!(
        names(reader, "?status=OPEN").await?,
        json!(["open", "done"])
    );
    assert_eq!(names(reader, "?status=COMPLETED").await?, json!([]));
    Ok(())
}

#[tokio::test]
async fn a_release_shows_its_tasks_in_order() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let at = |n: i64| json!({"title": format!("{n}"), "assignee": "dev-0", "orderIndex": n});
    let body = json!({"name": "a", "tasks": [at(30), at(0), at(7)]});
    let release = team.admin.post("/releases", &body).await?.expect(201);
    let path = format!("/releases/{}", id(&release));
    team.admin
        .post(&format!("{path}/tasks"), &at(9))
        .await?
        .expect(201);
    let release = team.developers[0].get(&path).await?.expect(200);
    let tasks = release["tasks"].as_array().context("tasks")?;
    assert_eq!(json!(pluck(tasks, "orderIndex")), json!([0, 7, 9, 30]));
    Ok(())
}

#[tokio::test]
async fn an_unchanged_release_is_not_sent_again() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let release = team.release("a", &[0]).await?;
    let path = format!("/releases/{}", id(&release));
    let reader = &team.developers[0];
    let first = reader.get(&path).await?;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.len() > 2, "{tag}");
    for known in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"x\", {tag}"),
        "*".to_owned(),
    ] {
        let answer = unless(reader, &path, &known).await?;
        assert_eq!((answer.status, answer.text.as_str()), (304, ""), "{known}");
        assert_eq!(answer.header("etag"), tag);
    }
    for other in ["\"x\"", "garbage", "", &tag[1..tag.len() - 1]] {
        let seen = unless(reader, &path, other).await?.expect(200);
        assert_eq!(shared(seen), release);
    }
    Ok(())
}

#[tokio::test]
async fn the_tag_changes_with_what_the_caller_could_start() -> anyhow::Result<()> {
    let (_server, team) = start(2).await?;
    let release = team.release("a", &[0]).await?;
    let other = team.release("b", &[0]).await?;
    let path = format!("/releases/{}", id(&release));
    let (owner, another) = (&team.developers[0], &team.developers[1]);
    let tag = async |by: &Client| anyhow::Ok(by.get(&path).await?.header("etag").to_owned());
    let (free, others) = (tag(owner).await?, tag(another).await?);
    assert_ne!(free, others);
    begin(owner, &task_ids(&other)[0]).await?.expect(200);
    // The release has the same revision, but its owner must not go by what they knew.
    let seen = unless(owner, &path, &free).await?.expect(200);
    assert_eq!(seen["revision"], release["revision"]);
    assert_eq!(seen["tasks"][0]["blockedBy"]["code"], "DEVELOPER_BUSY");
    assert_eq!(unless(another, &path, &others).await?.status, 304);
    // Each of the tags guards a change, which depends on the revision only.
    for tag in [free, others] {
        let change = team.admin.request(Method::PATCH, &path);
        let change = change
            .header("if-match", &tag)
            .json(&json!({"version": tag}));
        let changed = team.admin.send(change).await?;
        match tag.contains('.') {
            true => drop(changed.expect(200)),
            false => drop(changed.refused(412, "RELEASE_CHANGED")),
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_change_changes_the_tag_and_the_revision() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let release = team.release("a", &[0]).await?;
    let path = format!("/releases/{}", id(&release));
    let tasks = format!("{path}/tasks");
    let (task, admin) = (&task_ids(&release)[0], &team.admin);
    let another = json!({"title": "another", "assignee": "dev-0"});
    let mut known = admin.get(&path).await?;
    for step in 0..3 {
        match step {
            0 => begin(&team.developers[0], task).await?.expect(200),
            1 => admin.post(&tasks, &another).await?.expect(201),
            _ => {
                let path = format!("/tasks/{task}/complete");
                team.developers[0].patch(&path).await?.expect(200)
            }
        };
        let now = unless(admin, &path, known.header("etag")).await?;
        assert_eq!(now.status, 200, "{step}");
        let revision = known.body["revision"].as_u64().context("a revision")?;
        assert_eq!(now.body["revision"], revision + 1);
        known = now;
    }
    // A refused change changes nothing.
    let answer = admin.patch(&format!("{path}/complete")).await?;
    answer.refused(409, "RELEASE_INCOMPLETE");
    assert_eq!(
        unless(admin, &path, known.header("etag")).await?.status,
        304
    );
    Ok(())
}

#[tokio::test]
async fn an_unknown_release_is_not_found_whatever_tag_is_known() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    let unknown = format!("/releases/{}", crate::api::UNKNOWN);
    let answer = unless(&team.admin, &unknown, "*").await?;
    answer.refused(404, "RELEASE_NOT_FOUND");
    Ok(())
}
