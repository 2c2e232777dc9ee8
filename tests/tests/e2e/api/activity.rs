//! GET /activity: the activity feed as a list.

use reqwest::Method;
use serde_json::{Value, json};
use slipway_tests::{
    Client, Process, Team,
    team::{id, task_ids},
    until,
};

use super::{begin, call, completed_release, finish, items, members, pluck, settled, start};

/// Three registrations; a release with one task, which is done and completed; a release with two
/// tasks, of which the first is started.
async fn history() -> anyhow::Result<(Process, Team, String, Value)> {
    let (server, team) = start(2).await?;
    settled(&team.admin, 3).await?;
    let done = completed_release(&team, "done", 1).await?;
    settled(&team.admin, 3 + 8).await?;
    let open = team.release("open", &[1, 0]).await?;
    begin(&team.developers[1], &task_ids(&open)[0])
        .await?
        .expect(200);
    settled(&team.admin, 3 + 8 + 7).await?;
    Ok((server, team, done, open))
}

async fn list(client: &Client, query: &str) -> anyhow::Result<Vec<Value>> {
    let page = client.get(&format!("/activity?limit=200&{query}")).await?;
    Ok(items(&page.expect(200))?.to_vec())
}

fn sequences(entries: &[Value]) -> Vec<u64> {
    let number = |entry: &Value| entry["sequence"].as_u64().unwrap_or_default();
    entries.iter().map(number).collect()
}

#[tokio::test]
async fn the_list_has_every_entry_in_both_directions() -> anyhow::Result<()> {
    let (_server, team, ..) = history().await?;
    let reader = &team.developers[0];
    let newest_first = list(reader, "").await?;
    let count = newest_first.len() as u64;
    assert_eq!(
        sequences(&newest_first),
        (1..=count).rev().collect::<Vec<_>>()
    );
    assert_eq!(list(reader, "order=desc").await?, newest_first);
    let mut oldest_first = list(reader, "order=asc").await?;
    oldest_first.reverse();
    assert_eq!(oldest_first, newest_first);
    // Every signed-in user sees the same.
    assert_eq!(list(&team.admin, "").await?, newest_first);
    assert_eq!(count, 3 + 8 + 7);
    Ok(())
}

#[tokio::test]
async fn an_entry_has_actor_type_subject_and_time() -> anyhow::Result<()> {
    let (_server, team, _, open) = history().await?;
    let task = &open["tasks"][0];
    let entry = list(&team.admin, "type=task.started").await?.remove(0);
    let expected = [
        "actor", "data", "id", "sequence", "subject", "summary", "time", "type",
    ];
    assert_eq!(members(&entry)?, expected);
    let me = team.developers[1].get("/auth/me").await?.expect(200);
    assert_eq!(entry["actor"], json!({"id": me["id"], "username": "dev-1"}));
    assert_eq!(entry["subject"], task["id"]);
    assert_eq!(entry["summary"], "dev-1 started “task 0” in open");
    assert_eq!(entry["data"]["task"]["id"], task["id"]);
    let now = team
        .admin
        .get(&format!("/tasks/{}", id(task)))
        .await?
        .expect(200);
    assert_eq!(entry["time"], now["startedAt"]);
    // An entry without an actor was caused by the system.
    let first = list(&team.admin, "order=asc").await?.remove(0);
    assert_eq!(
        (&first["type"], &first["actor"]),
        (&json!("user.registered"), &Value::Null)
    );
    Ok(())
}

#[tokio::test]
async fn no_email_address_is_in_the_feed() -> anyhow::Result<()> {
    let (_server, team, ..) = history().await?;
    let answer = team.developers[0].get("/activity?limit=200").await?;
    assert_eq!(answer.status, 200);
    assert!(answer.text.contains("user.registered"));
    assert!(!answer.text.contains('@') && !answer.text.contains("email"));
    Ok(())
}

#[tokio::test]
async fn entries_are_filtered_by_type_and_family() -> anyhow::Result<()> {
    let (_server, team, ..) = history().await?;
    let all = list(&team.admin, "").await?;
    let of = |wanted: fn(&str) -> bool| {
        let kind = |entry: &&Value| wanted(entry["type"].as_str().unwrap_or_default());
        all.iter().filter(kind).cloned().collect::<Vec<_>>()
    };
    for (query, expected) in [
        ("type=task.started", of(|t| t == "task.started")),
        ("type=task.*", of(|t| t.starts_with("task."))),
        ("type=user.*", of(|t| t == "user.registered")),
        (
            "type=release.created,task.started",
            of(|t| t == "release.created" || t == "task.started"),
        ),
        (
            "type=release.*&type=task.completed",
            of(|t| t.starts_with("release.") || t == "task.completed"),
        ),
        ("type=task.*,task.started", of(|t| t.starts_with("task."))),
        ("type=chat.answered", vec![]),
    ] {
        assert_eq!(list(&team.admin, query).await?, expected, "{query}");
        let expected: Vec<_> = expected.into_iter().rev().collect();
        let query = format!("{query}&order=asc");
        assert_eq!(list(&team.admin, &query).await?, expected, "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn entries_are_filtered_by_release() -> anyhow::Result<()> {
    let (_server, team, done, _) = history().await?;
    let entries = list(&team.admin, &format!("releaseId={done}&order=asc")).await?;
    let expected = [
        "release.created",
        "task.created",
        "task.assigned",
        "task.ready",
        "task.started",
        "task.completed",
        "release.ready",
        "release.completed",
    ];
    assert_eq!(pluck(&entries, "type"), expected);
    let query = format!("releaseId={done}&type=release.*");
    let entries = list(&team.admin, &query).await?;
    assert_eq!(
        pluck(&entries, "type"),
        ["release.completed", "release.ready", "release.created"]
    );
    // The feed keeps what it knows of a deleted release.
    let other = team.release("Deleted", &[0]).await?;
    let other = id(&other);
    let path = format!("/releases/{other}");
    call(&team.admin, Method::DELETE, &path).await?.expect(204);
    let query = format!("releaseId={other}");
    let deleted = until(async || {
        // Unknown until its first event is in the feed.
        let page = team.admin.get(&format!("/activity?{query}")).await?;
        anyhow::ensure!(page.status == 200, "{}", page.text);
        let entries = list(&team.admin, &query).await?;
        let kinds = pluck(&entries, "type");
        anyhow::ensure!(
            kinds.iter().any(|kind| *kind == "release.deleted"),
            "{kinds:?}"
        );
        Ok(())
    });
    deleted.await?;
    let unknown = format!("releaseId={}", super::UNKNOWN);
    for path in ["/activity", "/activity/stream"] {
        let refused = team.admin.get(&format!("{path}?{unknown}")).await?;
        refused.refused(404, "RELEASE_NOT_FOUND");
    }
    Ok(())
}

#[tokio::test]
async fn the_filter_mine_has_own_and_concerning_entries() -> anyhow::Result<()> {
    let (_server, team, ..) = history().await?;
    let kinds = async |client: &Client| -> anyhow::Result<Value> {
        let entries = list(client, "mine=true&order=asc").await?;
        Ok(json!(pluck(&entries, "type")))
    };
    let expected = json!([
        "user.registered",
        "task.created",
        "task.assigned",
        "task.ready",
        "task.started",
    ]);
    assert_eq!(kinds(&team.developers[1]).await?, expected);
    let expected = json!([
        "user.registered",
        "task.created",
        "task.assigned",
        "task.ready",
        "task.started",
        "task.completed",
        "release.ready",
        "task.created",
        "task.assigned",
    ]);
    assert_eq!(kinds(&team.developers[0]).await?, expected);
    let all = list(&team.admin, "").await?;
    assert_eq!(list(&team.admin, "mine=false").await?, all);
    Ok(())
}

#[tokio::test]
async fn a_completion_concerns_the_next_owner() -> anyhow::Result<()> {
    let (_server, team, _, open) = history().await?;
    finish(&team.developers[1], &task_ids(&open)[0])
        .await?
        .expect(200);
    let stream = team.developers[0].stream("?after=0&mine=true&type=task.completed", None);
    let mut stream = stream.await?;
    stream.entry().await?;
    let (_, entry) = stream.entry().await?;
    assert_eq!(
        entry["summary"],
        "dev-1 completed “task 0” in open; next is “task 1” by dev-0"
    );
    Ok(())
}

#[tokio::test]
async fn entries_between_two_numbers_can_be_listed() -> anyhow::Result<()> {
    let (_server, team, ..) = history().await?;
    for (query, expected) in [
        ("after=3&before=7&order=asc", vec![4, 5, 6]),
        ("after=3&before=7", vec![6, 5, 4]),
        ("before=3", vec![2, 1]),
        ("after=0&before=2", vec![1]),
        ("before=1", vec![]),
        ("after=5&before=5", vec![]),
        ("after=9223372036854775807", vec![]),
    ] {
        let entries = list(&team.admin, query).await?;
        assert_eq!(sequences(&entries), expected, "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn filtered_pages_make_up_the_list_in_both_directions() -> anyhow::Result<()> {
    let (_server, team, ..) = history().await?;
    for filter in ["type=task.*", "mine=true", "after=2&before=14"] {
        for order in ["asc", "desc"] {
            let path = format!("/activity?{filter}&order={order}");
            let whole = team.developers[0].all(&format!("{path}&limit=200")).await?;
            let joined = team.developers[0].all(&format!("{path}&limit=2")).await?;
            assert_eq!(joined, whole, "{path}");
            assert!(whole.len() > 4, "{path}");
        }
    }
    Ok(())
}
