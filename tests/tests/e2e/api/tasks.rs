//! `/tasks…`: a developer's work.

use jiff::Timestamp;
use serde_json::{Value, json};
use slipway_tests::{
    Client,
    team::{id, shared, task_ids},
};

use super::{begin, finish, items, pluck, start};

/// A time in an answer. Times cannot be compared as texts: the number of fraction digits varies.
fn time(of: &Value) -> anyhow::Result<Timestamp> {
    Ok(of.as_str().unwrap_or_default().parse()?)
}

/// What everybody sees of a task.
async fn seen(by: &Client, path: &str) -> anyhow::Result<Value> {
    Ok(shared(by.get(path).await?.expect(200)))
}

#[tokio::test]
async fn a_task_goes_from_todo_through_in_process_to_completed() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let release = team.release("a", &[0]).await?;
    let task = &release["tasks"][0];
    let path = format!("/tasks/{}", id(task));
    let developer = &team.developers[0];
    assert_eq!(&seen(developer, &path).await?, task);

    let started = begin(developer, id(task)).await?.expect(200);
    assert_eq!(started["status"], "IN_PROCESS");
    assert!(started["startedAt"].is_string());
    assert_eq!(started["completedAt"], Value::Null);
    assert_eq!(seen(&team.admin, &path).await?, started);

    let completed = finish(developer, id(task)).await?.expect(200);
    assert_eq!(completed["status"], "COMPLETED");
    assert_eq!(completed["startedAt"], started["startedAt"]);
    assert!(time(&completed["completedAt"])? >= time(&completed["startedAt"])?);
    assert_eq!(seen(&team.admin, &path).await?, completed);
    // All other fields are as planned.
    for member in [
        "id",
        "title",
        "orderIndex",
        "assignee",
        "createdAt",
        "hotfix",
    ] {
        assert_eq!(completed[member], task[member], "{member}");
    }
    Ok(())
}

#[tokio::test]
async fn a_task_waits_for_the_one_before_it_to_be_completed() -> anyhow::Result<()> {
    let (_server, team) = start(3).await?;
    let release = team.release("a", &[0, 1, 2]).await?;
    let tasks = task_ids(&release);
    let dev = &team.developers;
    let blocker = |problem: Value| problem["blockedBy"]["id"].clone();
    // Each is blocked by the one before it, not by the first open one.
    for (n, task) in tasks.iter().enumerate().skip(1) {
        let problem = begin(&dev[n], task)
            .await?
            .refused(409, "TASK_OUT_OF_ORDER");
        assert_eq!(blocker(problem), tasks[n - 1]);
    }
    begin(&dev[0], &tasks[0]).await?.expect(200);
    let answer = begin(&dev[1], &tasks[1]).await?;
    let problem = answer.refused(409, "TASK_OUT_OF_ORDER");
    assert_eq!(problem["blockedBy"]["status"], "IN_PROCESS");
    assert_eq!(problem["blockedBy"]["title"], "task 0");
    assert_eq!(problem["blockedBy"]["assignee"]["username"], "dev-0");
    finish(&dev[0], &tasks[0]).await?.expect(200);
    begin(&dev[1], &tasks[1]).await?.expect(200);
    let problem = begin(&dev[2], &tasks[2])
        .await?
        .refused(409, "TASK_OUT_OF_ORDER");
    assert_eq!(blocker(problem), tasks[1]);
    Ok(())
}

#[tokio::test]
async fn a_developer_works_on_one_task_on_the_whole_platform() -> anyhow::Result<()> {
    let (_server, team) = start(2).await?;
    let first = team.release("first", &[0]).await?;
    let second = team.release("second", &[0]).await?;
    let third = team.release("third", &[1]).await?;
    let (first, second) = (&task_ids(&first)[0], &task_ids(&second)[0]);
    let developer = &team.developers[0];
    begin(developer, first).await?.expect(200);
    let problem = begin(developer, second)
        .await?
        .refused(409, "DEVELOPER_BUSY");
    let active = &problem["activeTask"];
    assert_eq!(active["id"], *first);
    assert_eq!(active["releaseName"], "first");
    assert_eq!(active["status"], "IN_PROCESS");
    // Other developers are not affected.
    begin(&team.developers[1], &task_ids(&third)[0])
        .await?
        .expect(200);
    finish(developer, first).await?.expect(200);
    begin(developer, second).await?.expect(200);
    Ok(())
}

#[tokio::test]
async fn a_task_is_started_once_and_completed_once() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let release = team.release("a", &[0]).await?;
    let (task, developer) = (&task_ids(&release)[0], &team.developers[0]);
    let code = "INVALID_TRANSITION";
    finish(developer, task).await?.refused(409, code);
    let started = begin(developer, task).await?.expect(200);
    begin(developer, task).await?.refused(409, code);
    let path = format!("/tasks/{task}");
    assert_eq!(seen(developer, &path).await?, started);
    let completed = finish(developer, task).await?.expect(200);
    finish(developer, task).await?.refused(409, code);
    begin(developer, task).await?.refused(409, code);
    assert_eq!(seen(developer, &path).await?, completed);
    Ok(())
}

#[tokio::test]
async fn only_its_assignee_starts_and_completes_a_task() -> anyhow::Result<()> {
    let (_server, team) = start(2).await?;
    let release = team.release("a", &[0]).await?;
    let task = &task_ids(&release)[0];
    let others = [&team.developers[1], &team.admin];
    for other in others {
        begin(other, task).await?.refused(403, "NOT_ASSIGNEE");
        finish(other, task).await?.refused(403, "NOT_ASSIGNEE");
    }
    begin(&team.developers[0], task).await?.expect(200);
    for other in others {
        finish(other, task).await?.refused(403, "NOT_ASSIGNEE");
    }
    let path = format!("/tasks/{task}");
    let seen = team.developers[1].get(&path).await?.expect(200);
    assert_eq!(seen["status"], "IN_PROCESS", "reading it is everybody's");
    Ok(())
}

#[tokio::test]
async fn my_tasks_say_whether_they_can_start_and_what_blocks_them() -> anyhow::Result<()> {
    let (_server, team) = start(2).await?;
    let old = team.release("old", &[0, 1]).await?;
    let new = team.release("new", &[1, 0, 0]).await?;
    let (old, new) = (task_ids(&old), task_ids(&new));
    let developer = &team.developers[0];
    let mine = async || anyhow::Ok(developer.get("/tasks/my").await?.expect(200));

    // Newest release first, in order within each; tasks of others are not in the list.
    let page = mine().await?;
    assert_eq!(
        json!(pluck(items(&page)?, "id")),
        json!([new[1], new[2], old[0]])
    );
    assert_eq!(
        json!(pluck(items(&page)?, "canStart")),
        json!([false, false, true])
    );
    let blocked = |page: &Value, n: usize| {
        let blocker = &page["items"][n]["blockedBy"];
        (blocker["code"].clone(), blocker["id"].clone())
    };
    assert_eq!(
        blocked(&page, 0),
        (json!("TASK_OUT_OF_ORDER"), json!(new[0]))
    );
    assert_eq!(
        blocked(&page, 1),
        (json!("TASK_OUT_OF_ORDER"), json!(new[1]))
    );
    assert_eq!(page["items"][2]["blockedBy"], Value::Null);

    // While one is in process, the others are blocked by it, unless an earlier task of their
    // release blocks them.
    begin(developer, &old[0]).await?.expect(200);
    begin(&team.developers[1], &new[0]).await?.expect(200);
    finish(&team.developers[1], &new[0]).await?.expect(200);
    let page = mine().await?;
    assert_eq!(
        json!(pluck(items(&page)?, "canStart")),
        json!([false, false, false])
    );
    assert_eq!(blocked(&page, 0), (json!("DEVELOPER_BUSY"), json!(old[0])));
    assert_eq!(
        blocked(&page, 1),
        (json!("TASK_OUT_OF_ORDER"), json!(new[1]))
    );
    assert_eq!(page["items"][2]["status"], "IN_PROCESS");
    assert_eq!(page["items"][2]["blockedBy"], Value::Null);

    finish(developer, &old[0]).await?.expect(200);
    let page = mine().await?;
    assert_eq!(
        json!(pluck(items(&page)?, "canStart")),
        json!([true, false, false])
    );
    Ok(())
}

#[tokio::test]
async fn my_tasks_agree_with_the_result_of_starting_them() -> anyhow::Result<()> {
    let (_server, team) = start(2).await?;
    for owners in [&[0, 1][..], &[1, 0], &[0, 0]] {
        team.release("a", owners).await?;
    }
    let busy = team.release("busy", &[1]).await?;
    begin(&team.developers[1], &task_ids(&busy)[0])
        .await?
        .expect(200);
    for developer in &team.developers {
        let page = developer.get("/tasks/my?status=TODO").await?.expect(200);
        for task in items(&page)? {
            let answer = begin(developer, id(task)).await?;
            if task["canStart"] == true {
                answer.expect(200);
                finish(developer, id(task)).await?.expect(200);
                break;
            }
            let code = task["blockedBy"]["code"].as_str().unwrap_or_default();
            let problem = answer.refused(409, code);
            let mut blocker = task["blockedBy"].clone();
            blocker
                .as_object_mut()
                .map(|members| members.remove("code"));
            let told = [&problem["blockedBy"], &problem["activeTask"]];
            assert!(told.contains(&&blocker), "{problem:#} {blocker:#}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_task_and_its_release_say_to_each_caller_whether_it_can_start() -> anyhow::Result<()> {
    let (_server, team) = start(2).await?;
    let release = team.release("a", &[0, 1]).await?;
    let other = team.release("b", &[0]).await?;
    let (tasks, path) = (task_ids(&release), format!("/releases/{}", id(&release)));
    let callers = [&team.developers[0], &team.developers[1], &team.admin];
    // What each caller is told about both tasks: by the release, and the same by each task.
    let told = async || {
        let mut told = Vec::new();
        for caller in callers {
            let release = caller.get(&path).await?.expect(200);
            for (n, task) in tasks.iter().enumerate() {
                let task = caller.get(&format!("/tasks/{task}")).await?.expect(200);
                assert_eq!(task, release["tasks"][n]);
                let blocker = &task["blockedBy"];
                let code = blocker["code"].as_str().unwrap_or("-").to_owned();
                told.push(match task["canStart"].as_bool() {
                    Some(true) => "can start".to_owned(),
                    _ => format!("{code} {}", blocker["title"].as_str().unwrap_or("-")),
                });
            }
        }
        anyhow::Ok(told)
    };
    let waits = "TASK_OUT_OF_ORDER task 0";
    assert_eq!(
        told().await?,
        ["can start", waits, "- -", waits, "- -", waits]
    );

    begin(&team.developers[0], &task_ids(&other)[0])
        .await?
        .expect(200);
    let busy = "DEVELOPER_BUSY task 0";
    assert_eq!(told().await?, [busy, waits, "- -", waits, "- -", waits]);
    let owner = team.developers[0].get(&path).await?.expect(200);
    let blocker = &owner["tasks"][0]["blockedBy"];
    assert_eq!(blocker["releaseName"], "b");
    assert_eq!(blocker["assignee"]["username"], "dev-0");
    assert!(blocker.get("description").is_none(), "a short form");

    finish(&team.developers[0], &task_ids(&other)[0])
        .await?
        .expect(200);
    begin(&team.developers[0], &tasks[0]).await?.expect(200);
    assert_eq!(told().await?, ["- -", waits, "- -", waits, "- -", waits]);
    finish(&team.developers[0], &tasks[0]).await?.expect(200);
    assert_eq!(
        told().await?,
        ["- -", "- -", "- -", "can start", "- -", "- -"]
    );
    Ok(())
}

#[tokio::test]
async fn my_tasks_are_filtered_by_status() -> anyhow::Result<()> {
    let (_server, team) = start(2).await?;
    let release = team.release("a", &[0, 0, 0]).await?;
    let tasks = task_ids(&release);
    let developer = &team.developers[0];
    begin(developer, &tasks[0]).await?.expect(200);
    finish(developer, &tasks[0]).await?.expect(200);
    begin(developer, &tasks[1]).await?.expect(200);
    for (status, task) in [("COMPLETED", 0), ("IN_PROCESS", 1), ("TODO", 2)] {
        let path = format!("/tasks/my?status={status}");
        let page = developer.get(&path).await?.expect(200);
        assert_eq!(json!(pluck(items(&page)?, "id")), json!([tasks[task]]));
        for other in [&team.developers[1], &team.admin] {
            let page = other.get(&path).await?.expect(200);
            assert!(items(&page)?.is_empty(), "they are not theirs");
        }
    }
    Ok(())
}
