//! Recurring tasks through the real program: the next occurrence follows once, also over a crash.

use std::{fs, sync::Arc};

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use slipway_tests::{
    Answer, Client, Options, Process, Team,
    team::{self, id, task_ids},
    until,
};

const WEEKLY: &str = "FREQ=WEEKLY;BYDAY=MO";

/// A task of dev-0 that recurs every Monday at 09:00 in Berlin.
fn weekly() -> Value {
    json!({
        "title": "Rotate the keys", "description": "all of them", "assignee": "dev-0",
        "dueAt": "2030-03-25T08:00:00Z", "priority": "HIGH", "tags": ["ops"],
        "remindBeforeMinutes": 60,
        "recurrence": {"rule": WEEKLY, "timeZone": "Europe/Berlin"},
    })
}

/// The same task with another recurrence.
fn recurring(recurrence: &Value) -> Value {
    let mut task = weekly();
    task["recurrence"] = recurrence.clone();
    task
}

/// Plans a release with these tasks.
async fn plan(admin: &Client, name: &str, tasks: Vec<Value>) -> Value {
    let plan = json!({"name": name, "tasks": tasks});
    admin.post("/releases", &plan).await.unwrap().expect(201)
}

/// Starts and completes a task.
async fn work_off(developer: &Client, task: &str) {
    for step in ["start", "complete"] {
        let path = format!("/tasks/{task}/{step}");
        let _ = developer.patch(&path).await.unwrap().expect(200);
    }
}

async fn change(by: &Client, task: &str, body: &Value, tag: Option<&str>) -> Answer {
    let mut request = by.request(Method::PATCH, &format!("/tasks/{task}"));
    if let Some(tag) = tag {
        request = request.header("if-match", tag);
    }
    by.send(request.json(body)).await.unwrap()
}

/// The tasks of a release, once there are this many.
async fn tasks(by: &Client, release: &str, count: usize) -> Vec<Value> {
    let path = format!("/releases/{release}");
    let found = until(async || {
        let release = by.get(&path).await?.expect(200);
        let tasks = release["tasks"].as_array().context("tasks")?.clone();
        ensure!(tasks.len() == count, "{count} tasks: {release:#}");
        Ok(tasks)
    });
    found.await.unwrap()
}

/// The entry about the end of the series of this task, once it is in the activity feed.
async fn end(by: &Client, task: &str) -> Value {
    let is_end = |entry: &Value| {
        entry["type"] == "task.recurrence_ended" && entry["subject"].as_str() == Some(task)
    };
    by.seen(is_end).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_occurrence_follows_at_the_local_time_with_everything_kept() {
    let server = Process::start().await.unwrap();
    let team = Team::new(&server, 2).await.unwrap();
    let other = json!({"title": "other", "assignee": "dev-1"});
    let release = plan(&team.admin, "Spring", vec![weekly(), other]).await;
    let first = task_ids(&release)[0].clone();
    let shown = json!({
        "rule": WEEKLY, "timeZone": "Europe/Berlin", "releaseId": null,
        "startsAt": "2030-03-25T08:00:00Z",
    });
    assert_eq!(release["tasks"][0]["recurrence"], shown);
    assert_eq!(release["tasks"][1]["recurrence"], Value::Null);
    work_off(&team.developers[0], &first).await;

    let tasks = tasks(&team.admin, id(&release), 3).await;
    let next = &tasks[2];
    assert_eq!(
        next["dueAt"], "2030-04-01T07:00:00Z",
        "the clocks have changed"
    );
    assert_eq!(next["status"], "TODO");
    for kept in [
        "title",
        "description",
        "assignee",
        "priority",
        "tags",
        "remindBeforeMinutes",
        "recurrence",
    ] {
        assert_eq!(next[kept], tasks[0][kept], "{kept}");
    }
    let assigned = |entry: &Value| {
        entry["type"] == "task.assigned" && entry["subject"].as_str() == Some(id(next))
    };
    let entry = team.admin.seen(assigned).await.unwrap();
    assert!(entry["actor"].is_null(), "the system: {entry}");
    let feed = team.admin.feed().await.unwrap();
    let added = feed.iter().filter(|entry| {
        entry["type"] == "task.created" && entry["subject"].as_str() == Some(id(next))
    });
    assert_eq!(added.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_occurrence_follows_once_over_kills_right_after_completions() {
    let mut server = Process::start().await.unwrap();
    let team = Team::new(&server, 1).await.unwrap();
    let target = plan(&team.admin, "Next", vec![]).await;
    let elsewhere = json!({"rule": WEEKLY, "releaseId": id(&target)});
    let mut releases = Vec::new();
    for (name, task) in [
        ("a", weekly()),
        ("b", recurring(&elsewhere)),
        ("c", weekly()),
        ("d", recurring(&elsewhere)),
    ] {
        let release = plan(&team.admin, name, vec![task]).await;
        releases.push((id(&release).to_owned(), task_ids(&release)[0].clone()));
    }
    for (_, task) in &releases {
        let developer = server
            .client()
            .login("dev-0", team::PASSWORD)
            .await
            .unwrap();
        work_off(&developer, task).await;
        let data = server.kill().await.unwrap();
        server = Process::start_on(Arc::clone(&data), &Options::default())
            .await
            .unwrap();
    }
    let admin = server.admin().await.unwrap();
    tasks(&admin, id(&target), 2).await;
    for (n, (release, _)) in releases.iter().enumerate() {
        tasks(&admin, release, [2, 1][n % 2]).await;
    }
    // When this one has been followed, so have all that were completed before, however often.
    let last = plan(&admin, "e", vec![weekly()]).await;
    let developer = server
        .client()
        .login("dev-0", team::PASSWORD)
        .await
        .unwrap();
    work_off(&developer, &task_ids(&last)[0]).await;
    tasks(&admin, id(&last), 2).await;
    tasks(&admin, id(&target), 2).await;
    for (n, (release, _)) in releases.iter().enumerate() {
        tasks(&admin, release, [2, 1][n % 2]).await;
    }
    let feed = admin.feed().await.unwrap();
    let by_system = feed
        .iter()
        .filter(|entry| entry["type"] == "task.created" && entry["actor"].is_null());
    assert_eq!(by_system.count(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_task_of_a_release_is_followed_in_the_named_release_or_the_series_ends() {
    let server = Process::start().await.unwrap();
    let team = Team::new(&server, 1).await.unwrap();
    let (admin, developer) = (&team.admin, &team.developers[0]);
    let target = plan(&team.admin, "Next", vec![]).await;
    let named = json!({"rule": WEEKLY, "releaseId": id(&target)});
    let release = plan(&team.admin, "Spring", vec![recurring(&named)]).await;
    work_off(developer, &task_ids(&release)[0]).await;
    let moved = tasks(admin, id(&target), 1).await;
    assert_eq!(
        moved[0]["recurrence"]["releaseId"],
        Value::Null,
        "it is there"
    );
    let complete = format!("/releases/{}/complete", id(&release));
    let completed = admin.patch(&complete).await.unwrap().expect(200);
    assert_eq!(completed["tasks"].as_array().unwrap().len(), 1);

    // The named release is completed: it is not reopened.
    let remove = json!({"recurrence": null});
    let _ = change(admin, id(&moved[0]), &remove, None)
        .await
        .expect(200);
    work_off(developer, id(&moved[0])).await;
    let path = format!("/releases/{}", id(&target));
    let _ = admin
        .patch(&format!("{path}/complete"))
        .await
        .unwrap()
        .expect(200);
    let release = plan(&team.admin, "Summer", vec![recurring(&named)]).await;
    let task = task_ids(&release)[0].clone();
    work_off(developer, &task).await;
    let entry = end(admin, &task).await;
    assert_eq!(entry["data"]["reason"], "RELEASE_COMPLETED");
    assert!(entry["actor"].is_null(), "the system: {entry}");
    assert_eq!(
        admin.get(&path).await.unwrap().expect(200)["status"],
        "COMPLETED"
    );
    let mails = until(async || {
        let files = fs::read_dir(server.data.path().join("data/mail"))?;
        let mails = files.map(|file| Ok(fs::read_to_string(file?.path())?));
        let mails: Vec<String> = mails.collect::<anyhow::Result<_>>()?;
        for to in ["To: admin@", "To: dev-0@example.com"] {
            let is_notice =
                |mail: &&String| mail.contains(to) && mail.contains("was the last of its series");
            ensure!(mails.iter().filter(is_notice).count() == 1, "a mail {to}");
        }
        Ok(())
    });
    mails.await.unwrap();

    let deleted = plan(&team.admin, "Gone", vec![]).await;
    let named = json!({"rule": WEEKLY, "releaseId": id(&deleted)});
    let release = plan(&team.admin, "Autumn", vec![recurring(&named)]).await;
    let delete = admin.request(Method::DELETE, &format!("/releases/{}", id(&deleted)));
    let _ = admin.send(delete).await.unwrap().expect(204);
    work_off(developer, &task_ids(&release)[0]).await;
    let entry = end(admin, &task_ids(&release)[0]).await;
    assert_eq!(entry["data"]["reason"], "RELEASE_DELETED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_ends_with_its_rule() {
    let server = Process::start().await.unwrap();
    let team = Team::new(&server, 1).await.unwrap();
    let twice = json!({"rule": "FREQ=MONTHLY;COUNT=2"});
    let release = plan(&team.admin, "Spring", vec![recurring(&twice)]).await;
    work_off(&team.developers[0], &task_ids(&release)[0]).await;
    let both = tasks(&team.admin, id(&release), 2).await;
    work_off(&team.developers[0], id(&both[1])).await;
    let entry = end(&team.admin, id(&both[1])).await;
    assert_eq!(entry["data"]["reason"], "RULE_EXHAUSTED");
    let ready = |entry: &Value| entry["type"] == "release.ready";
    team.admin.seen(ready).await.unwrap();
    let feed = team.admin.feed().await.unwrap();
    let ready = feed.iter().filter(|entry| ready(entry)).count();
    assert_eq!(ready, 1, "not while an occurrence was expected");
    tasks(&team.admin, id(&release), 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_sets_changes_and_removes_a_recurrence() {
    let server = Process::start().await.unwrap();
    let team = Team::new(&server, 1).await.unwrap();
    let admin = &team.admin;
    let release = plan(&team.admin, "Spring", vec![]).await;
    let path = format!("/releases/{}/tasks", id(&release));
    let plain = json!({"title": "a", "assignee": "dev-0", "dueAt": "2030-01-31T09:00:00Z"});
    let task = admin.post(&path, &plain).await.unwrap().expect(201);
    let rule = |rule: &str| json!({"recurrence": {"rule": rule}});
    let set = change(admin, id(&task), &rule("freq=monthly"), None).await;
    let tag = set.header("etag").to_owned();
    let expected = json!({
        "rule": "FREQ=MONTHLY", "timeZone": "UTC", "releaseId": null,
        "startsAt": "2030-01-31T09:00:00Z",
    });
    assert_eq!(set.expect(200)["recurrence"], expected);
    let moved = json!({"dueAt": "2030-02-02T09:00:00Z"});
    let moved = change(admin, id(&task), &moved, Some(&tag))
        .await
        .expect(200);
    assert_eq!(
        moved["recurrence"], expected,
        "only this occurrence is moved"
    );
    let late = change(admin, id(&task), &rule("FREQ=DAILY"), Some(&tag)).await;
    late.refused(412, "TASK_CHANGED");
    let anew = change(admin, id(&task), &rule("FREQ=DAILY"), None)
        .await
        .expect(200);
    assert_eq!(anew["recurrence"]["startsAt"], "2030-02-02T09:00:00Z");
    let owner = change(&team.developers[0], id(&task), &rule("FREQ=DAILY"), None).await;
    owner.refused(403, "ADMIN_REQUIRED");
    let not_due = change(admin, id(&task), &json!({"dueAt": null}), None).await;
    not_due.refused(409, "INVALID_RECURRENCE");
    let own = json!({"recurrence": {"rule": "FREQ=DAILY", "releaseId": id(&release)}});
    let own = change(admin, id(&task), &own, None).await;
    own.refused(409, "INVALID_RECURRENCE");
    let removed = json!({"recurrence": null, "dueAt": null});
    let removed = change(admin, id(&task), &removed, None).await.expect(200);
    assert_eq!(removed["recurrence"], Value::Null);
    let again = change(admin, id(&task), &rule("FREQ=DAILY"), None).await;
    again.refused(409, "INVALID_RECURRENCE");

    let updated = |entry: &Value| {
        entry["summary"] == "admin changed the due time and the recurrence of “a” in Spring"
    };
    admin.seen(updated).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_recurrence_is_refused_by_field() {
    let server = Process::start().await.unwrap();
    let team = Team::new(&server, 1).await.unwrap();
    let release = plan(&team.admin, "Spring", vec![]).await;
    let path = format!("/releases/{}/tasks", id(&release));
    for (recurrence, field) in [
        (json!({"rule": "every Monday"}), "recurrence.rule"),
        (json!({"rule": "FREQ=HOURLY"}), "recurrence.rule"),
        (
            json!({"rule": "FREQ=DAILY;UNTIL=20300101"}),
            "recurrence.rule",
        ),
        (
            json!({"rule": WEEKLY, "timeZone": "Mars"}),
            "recurrence.timeZone",
        ),
        (
            json!({"rule": WEEKLY, "releaseId": "01890a5d-ac96-774b-bcce-b302099a8057"}),
            "recurrence.releaseId",
        ),
        (json!({"timeZone": "UTC"}), "recurrence.rule"),
        (json!({"rule": WEEKLY, "until": "2031"}), "recurrence.until"),
        (json!({"rule": 7}), "recurrence.rule"),
    ] {
        let answer = team
            .admin
            .post(&path, &recurring(&recurrence))
            .await
            .unwrap();
        let problem = answer.expect(400);
        assert_eq!(problem["errors"][0]["field"], field, "{problem:#}");
    }
    let mut not_due = weekly();
    not_due["dueAt"] = Value::Null;
    let answer = team.admin.post(&path, &not_due).await.unwrap();
    let problem = answer.expect(400);
    assert_eq!(problem["errors"][0]["field"], "dueAt", "{problem:#}");
    let in_plan = json!({"name": "x", "tasks": [recurring(&json!({"rule": "FREQ=DAILY;X=1"}))]});
    let answer = team.admin.post("/releases", &in_plan).await.unwrap();
    let problem = answer.expect(400);
    assert_eq!(
        problem["errors"][0]["field"], "tasks[0].recurrence.rule",
        "{problem:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_occurrence_for_a_full_release_is_a_dead_letter_until_there_is_room() {
    let server = Process::start().await.unwrap();
    let team = Team::new(&server, 1).await.unwrap();
    let mut all = vec![weekly()];
    all.extend((1..500).map(|n| json!({"title": format!("t{n}"), "assignee": "dev-0"})));
    let release = plan(&team.admin, "Full", all).await;
    let tasks = task_ids(&release);
    work_off(&team.developers[0], &tasks[0]).await;
    let letter = until(async || {
        let path = "/admin/dead-letters?group=recurrence";
        let page = team.admin.get(path).await?.expect(200);
        let letter = page["items"].get(0).context("no dead letter yet")?;
        anyhow::Ok(letter.clone())
    });
    let letter = letter.await.unwrap();
    let reason = letter["reason"].as_str().unwrap();
    assert!(reason.contains("500 tasks"), "{letter:#}");
    let delete = team
        .admin
        .request(Method::DELETE, &format!("/tasks/{}", tasks[1]));
    let _ = team.admin.send(delete).await.unwrap().expect(204);
    let replay = format!("/admin/dead-letters/{}/replay", id(&letter));
    let replayed = team.admin.post(&replay, &json!({})).await.unwrap();
    assert!((200..300).contains(&replayed.status), "{:#}", replayed.body);
    let is_added = |entry: &Value| entry["type"] == "task.created" && entry["actor"].is_null();
    let entry = team.admin.seen(is_added).await.unwrap();
    assert_eq!(entry["data"]["task"]["dueAt"], "2030-04-01T07:00:00Z");
}
