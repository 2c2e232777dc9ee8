//! What happens at a time: stale tasks are reported, and owners are reminded.

use std::{fs, sync::Arc};

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use slipway_tests::{
    Options, Process, Team,
    team::{self, task_ids},
    until,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_task_is_reported_once_to_its_owner_also_over_a_crash() {
    let options = Options::default()
        .env("SLIPWAY_STALE_AFTER", "1s")
        .env("SLIPWAY_STALE_REPEAT", "365d");
    let server = Process::start_with(&options).await.unwrap();
    let team = Team::new(&server, 2).await.unwrap();
    let mut tasks = Vec::new();
    for developer in 0..2 {
        let release = team.release("Spring", &[developer]).await.unwrap();
        tasks.extend(task_ids(&release));
    }
    let start = format!("/tasks/{}/start", tasks[0]);
    let _ = team.developers[0].patch(&start).await.unwrap().expect(200);
    let stale = |task: &str| {
        let task = task.to_owned();
        move |entry: &serde_json::Value| {
            entry["type"] == "task.stale_detected" && entry["subject"] == task
        }
    };
    let entry = team.admin.seen(stale(&tasks[0])).await.unwrap();
    assert_eq!(entry["data"]["developerName"], "dev-0");
    assert!(entry["actor"].is_null(), "the system: {entry}");
    let mail = until(async || {
        let files = fs::read_dir(server.data.path().join("data/mail"))?;
        let mails = files.map(|file| Ok(fs::read_to_string(file?.path())?));
        let mails: Vec<String> = mails.collect::<anyhow::Result<_>>()?;
        let is_stale = |mail: &String| {
            mail.contains("To: dev-0@example.com") && mail.contains("Still in process")
        };
        mails.into_iter().find(is_stale).context("no mail yet")
    });
    mail.await.unwrap();

    let data = server.kill().await.unwrap();
    let server = Process::start_on(Arc::clone(&data), &options)
        .await
        .unwrap();
    let (admin, developer) = (
        server.admin().await.unwrap(),
        server
            .client()
            .login("dev-1", team::PASSWORD)
            .await
            .unwrap(),
    );
    let start = format!("/tasks/{}/start", tasks[1]);
    let _ = developer.patch(&start).await.unwrap().expect(200);
    admin.seen(stale(&tasks[1])).await.unwrap();
    let feed = admin.feed().await.unwrap();
    let reports = feed.iter().filter(|entry| stale(&tasks[0])(entry));
    assert_eq!(reports.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_reminded_at_the_time_asked_for_and_after_an_outage() {
    let server = Process::start().await.unwrap();
    let team = Team::new(&server, 1).await.unwrap();
    let due = |after: i64| Timestamp::now() + SignedDuration::from_secs(60 + after);
    let task = |title: &str, due: Timestamp| {
        let due = due.to_string();
        json!({"title": title, "assignee": "dev-0", "dueAt": due, "remindBeforeMinutes": 1})
    };
    let tasks = [task("in time", due(1)), task("missed", due(3))];
    let plan = json!({"name": "Spring", "tasks": tasks});
    let release = team
        .admin
        .post("/releases", &plan)
        .await
        .unwrap()
        .expect(201);
    let tasks = task_ids(&release);
    let reminded = |task: &str| {
        let task = task.to_owned();
        move |entry: &serde_json::Value| {
            entry["type"] == "task.reminder_due" && entry["subject"] == task
        }
    };
    let entry = team.admin.seen(reminded(&tasks[0])).await.unwrap();
    let time =
        |value: &serde_json::Value| -> Timestamp { value.as_str().unwrap().parse().unwrap() };
    assert!(time(&entry["time"]) >= time(&entry["data"]["remindAt"]));
    assert!(entry["data"].get("late").is_none());

    let data = server.kill().await.unwrap();
    let server = Process::start_on(data, &Options::default()).await.unwrap();
    let admin = server.admin().await.unwrap();
    admin.seen(reminded(&tasks[1])).await.unwrap();
    let feed = admin.feed().await.unwrap();
    let reminders = feed
        .iter()
        .filter(|entry| entry["type"] == "task.reminder_due");
    assert_eq!(reminders.count(), 2);
}
