//! A Slipway in which every list has several pages.

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Map, Value, json};
use slipway_tests::{
    Client, Process, Team,
    team::{PASSWORD, id, task_ids},
    until,
};

use super::{items, routes, settled, start};

/// Minimum number of items in every list.
pub(super) const ENOUGH: usize = 11;

/// Lists that only faults fill; their own tests check paging.
const OF_FAULTS: [&str; 2] = ["/admin/dead-letters", "/admin/incidents"];

/// An event type with its own templates.
const TYPE: &str = "order-0";

/// A list, and a client that has enough items in it.
pub(super) struct List {
    pub(super) path: String,
    pub(super) reader: Client,
}

/// The process, and its lists.
pub(super) struct Full {
    pub(super) server: Process,
    pub(super) team: Team,
    /// All of them.
    pub(super) lists: Vec<List>,
}

impl Full {
    pub(super) async fn new() -> anyhow::Result<Self> {
        let (server, team) = start(ENOUGH).await?;
        let mut things = Map::new();
        let mut of = |what: &str, thing: &str| things.insert(what.to_owned(), thing.into());
        let task = releases(&team).await?;
        of("tasks", &task);
        of("comments", &comments(&team.developers[0], &task).await?);
        of("chat", &conversation(&team.developers[0]).await?);
        templates(&team.admin).await?;
        for n in 0..ENOUGH {
            server.client().login("dev-0", PASSWORD).await?;
            let token = json!({"name": format!("program-{n}"), "scope": "READ"});
            let created = team.developers[0].post("/auth/tokens", &token).await?;
            created.expect(201);
        }
        of("templates", TYPE);
        let mut lists = Vec::new();
        for template in routes::lists(&team.admin).await? {
            let reader = if template.starts_with("/admin/") {
                &team.admin
            } else {
                &team.developers[0]
            };
            lists.push(List {
                path: routes::fill(&template, &things),
                reader: reader.clone(),
            });
        }
        at_rest(&team).await?;
        Ok(Self {
            server,
            team,
            lists,
        })
    }

    /// The lists with enough items.
    pub(super) fn lists(&self) -> impl Iterator<Item = &List> {
        let of_faults = |list: &&List| !OF_FAULTS.contains(&list.path.as_str());
        self.lists.iter().filter(of_faults)
    }
}

/// Creates releases, with tasks of the first developer, who is notified of each. Returns one of the
/// tasks.
async fn releases(team: &Team) -> anyhow::Result<String> {
    let mut task = None;
    for n in 0..ENOUGH {
        let release = team.release(&format!("release {n}"), &[0]).await?;
        task = task_ids(&release).pop();
    }
    task.context("a task")
}

/// A comment on the task, with replies.
async fn comments(by: &Client, task: &str) -> anyhow::Result<String> {
    let body = json!({"content": "a comment"});
    let path = format!("/tasks/{task}/comments");
    let comment = by.post(&path, &body).await?.expect(201);
    for _ in 0..ENOUGH {
        let path = format!("/comments/{}/reply", id(&comment));
        by.post(&path, &body).await?.expect(201);
    }
    Ok(id(&comment).to_owned())
}

/// Sessions with the assistant, and questions in one of them.
async fn conversation(by: &Client) -> anyhow::Result<String> {
    let mut session = None;
    for _ in 0..ENOUGH {
        let begun = by.post("/chat/session", &json!({})).await?.expect(201);
        session = Some(id(&begun).to_owned());
    }
    let session = session.context("a session")?;
    for _ in 0..ENOUGH.div_ceil(2) {
        let path = format!("/chat/{session}/message");
        let question = json!({"message": "What is next?"});
        by.post(&path, &question).await?.expect(200);
    }
    Ok(session)
}

/// Templates of several types, and several versions of one.
async fn templates(admin: &Client) -> anyhow::Result<()> {
    let others = (1..ENOUGH).map(|n| format!("order-{n}"));
    let versions = (0..ENOUGH).map(|_| TYPE.to_owned());
    for (n, name) in others.chain(versions).enumerate() {
        let body = json!({
            "subject": format!("{n}"), "text": "a text", "html": "<p>a text</p>",
            "sample": {"order": n},
        });
        let request = admin.request(Method::PUT, &format!("/admin/templates/{name}"));
        admin.send(request.json(&body)).await?.expect(200);
    }
    Ok(())
}

/// Waits until all notifications are sent and nothing is in progress.
async fn at_rest(team: &Team) -> anyhow::Result<()> {
    // The registrations; for each release its creation and three entries for its task; the
    // comments. Conversations with the assistant are not in the feed.
    let (registrations, comments) = (ENOUGH + 1, ENOUGH + 1);
    let entries = registrations + 4 * ENOUGH + comments;
    settled(&team.admin, entries as u64).await?;
    // The same, the templates that were saved, and the tokens for programs.
    let recorded = entries + 2 * ENOUGH - 1 + ENOUGH;
    until(async || {
        let page = team.admin.get("/admin/audit?limit=200").await?.expect(200);
        ensure!(items(&page)?.len() == recorded, "not recorded: {page:#}");
        Ok(())
    })
    .await?;
    until(async || {
        let page = team.admin.get("/admin/notifications?limit=200").await?;
        let page = page.expect(200);
        let sent = |item: &&Value| item["status"] == "SENT";
        let sent = items(&page)?.iter().filter(sent).count();
        ensure!(sent == ENOUGH, "not sent: {page:#}");
        Ok(())
    })
    .await
}
