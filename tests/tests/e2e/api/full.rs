//! A Slipway in which every list has so much that it is read in pages.

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Map, Value, json};
use slipway_tests::{
    Client, Process, Team,
    team::{id, task_ids},
    until,
};

use super::{items, routes, settled, start};

/// What every list has at least.
pub(super) const ENOUGH: usize = 11;

/// What only faults fill; its own tests read it in pages.
const OF_FAULTS: [&str; 2] = ["/admin/dead-letters", "/admin/incidents"];

/// A type of events, and of the templates made for it.
const TYPE: &str = "order-0";

/// A list, and who has enough in it.
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

    /// The lists that have enough.
    pub(super) fn lists(&self) -> impl Iterator<Item = &List> {
        let of_faults = |list: &&List| !OF_FAULTS.contains(&list.path.as_str());
        self.lists.iter().filter(of_faults)
    }
}

/// Releases, and tasks of the first developer, who is told of each; one of the tasks.
async fn releases(team: &Team) -> anyhow::Result<String> {
    let mut task = None;
    for n in 0..ENOUGH {
        let release = team.release(&format!("release {n}"), &[0]).await?;
        task = task_ids(&release).pop();
    }
    task.context("a task")
}

/// A comment on the task, with replies to it.
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

/// Templates of several types, and of one of them several versions.
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

/// Waits until what was done is told and nothing is under way any more.
async fn at_rest(team: &Team) -> anyhow::Result<()> {
    // The registrations; of each release its creation, and its task's three entries; the
    // comments. What is between one person and the assistant is not told.
    let (registrations, comments) = (ENOUGH + 1, ENOUGH + 1);
    let entries = registrations + 4 * ENOUGH + comments;
    settled(&team.admin, entries as u64).await?;
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
