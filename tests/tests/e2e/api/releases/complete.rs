//! PATCH /releases/{id}/complete.

use anyhow::Context as _;
use serde_json::{Value, json};
use slipway_tests::team::{id, shared, task_ids};

use crate::api::{UNKNOWN, begin, completed_release, finish, pluck, start};

#[tokio::test]
async fn a_release_is_completed_when_all_its_tasks_are() -> anyhow::Result<()> {
    let (_server, team) = start(2).await?;
    let release = team.release("a", &[0, 1]).await?;
    let path = format!("/releases/{}", id(&release));
    let complete = format!("{path}/complete");
    for (task, developer) in task_ids(&release).iter().zip(&team.developers) {
        let answer = team.admin.patch(&complete).await?;
        answer.refused(409, "RELEASE_INCOMPLETE");
        begin(developer, task).await?.expect(200);
        let answer = team.admin.patch(&complete).await?;
        answer.refused(409, "RELEASE_INCOMPLETE");
        finish(developer, task).await?.expect(200);
    }
    // All tasks are completed, and the release is not yet.
    assert_eq!(team.admin.get(&path).await?.expect(200)["status"], "OPEN");
    let done = team.admin.patch(&complete).await?.expect(200);
    assert_eq!(done["status"], "COMPLETED");
    assert_eq!(done["isCompleted"], true);
    assert!(done["completedAt"].is_string());
    assert_eq!(done["progress"], json!({"total": 2, "completed": 2}));
    let seen = team.developers[0].get(&path).await?.expect(200);
    assert_eq!(shared(seen), done);
    Ok(())
}

#[tokio::test]
async fn a_refused_completion_lists_the_open_tasks() -> anyhow::Result<()> {
    let (_server, team) = start(2).await?;
    let mut owners = vec![0, 1];
    owners.extend([1; 12]);
    let release = team.release("a", &owners).await?;
    let tasks = task_ids(&release);
    begin(&team.developers[0], &tasks[0]).await?.expect(200);
    finish(&team.developers[0], &tasks[0]).await?.expect(200);
    begin(&team.developers[1], &tasks[1]).await?.expect(200);
    let path = format!("/releases/{}/complete", id(&release));
    let problem = team.admin.patch(&path).await?;
    let problem = problem.refused(409, "RELEASE_INCOMPLETE");
    assert_eq!(problem["remaining"], 13);
    // The first ten of them, by name.
    let named = problem["remainingTasks"].as_array().context("tasks")?;
    assert_eq!(pluck(named, "id"), tasks[1..11].iter().collect::<Vec<_>>());
    assert_eq!(named[0]["status"], "IN_PROCESS");
    assert_eq!(named[0]["assignee"]["username"], "dev-1");
    assert_eq!(named[1]["status"], "TODO");
    Ok(())
}

#[tokio::test]
async fn a_release_without_tasks_cannot_be_completed() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    let release = team.release("a", &[]).await?;
    let path = format!("/releases/{}/complete", id(&release));
    team.admin.patch(&path).await?.refused(409, "RELEASE_EMPTY");
    Ok(())
}

#[tokio::test]
async fn a_release_is_completed_once() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let id = completed_release(&team, "a", 1).await?;
    let path = format!("/releases/{id}");
    let done = team.admin.get(&path).await?.expect(200);
    let answer = team.admin.patch(&format!("{path}/complete")).await?;
    answer.refused(409, "INVALID_TRANSITION");
    assert_eq!(team.admin.get(&path).await?.expect(200), done);
    Ok(())
}

#[tokio::test]
async fn a_developer_cannot_complete_a_release() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let release = team.release("a", &[0]).await?;
    let task = &task_ids(&release)[0];
    begin(&team.developers[0], task).await?.expect(200);
    finish(&team.developers[0], task).await?.expect(200);
    for id in [id(&release), UNKNOWN] {
        let path = format!("/releases/{id}/complete");
        let answer = team.developers[0].patch(&path).await?;
        answer.refused(403, "ADMIN_REQUIRED");
    }
    let path = format!("/releases/{}", id(&release));
    let release = team.admin.get(&path).await?.expect(200);
    assert_eq!(release["completedAt"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn another_admin_may_complete_it() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let body = json!({
        "username": "boss", "email": "boss@example.com", "password": "a password for tests", "role": "ADMIN",
    });
    team.admin.post("/auth/register", &body).await?.expect(201);
    let boss = server
        .client()
        .login("boss", "a password for tests")
        .await?;
    let release = team.release("a", &[0]).await?;
    let task = &task_ids(&release)[0];
    begin(&team.developers[0], task).await?.expect(200);
    finish(&team.developers[0], task).await?.expect(200);
    let path = format!("/releases/{}/complete", id(&release));
    let done = boss.patch(&path).await?.expect(200);
    assert_eq!(done["createdBy"]["username"], "admin");
    Ok(())
}
