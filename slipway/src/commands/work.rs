//! `next`, `start`, `done`, `pause`, `comment` and `inbox`: a developer's day.

use std::io::{self, Read as _};

use anyhow::Context as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    client::{Client, ClientArgs, ClientError, signed_in},
    named::{Among, TASKS},
    number,
    table::{Look, Rows, short, time},
};
use crate::{
    UsageError,
    config::Layers,
    output,
    text::{escape, escape_json},
};

/// How many of one's tasks are read.
const MOST: usize = 2_000;

/// Characters of a comment that are read from standard input: more than it may have.
const LONGEST_COMMENT: u64 = 64 * 1024;

/// One's own tasks.
const MINE: Among<'static> = Among {
    path: "/tasks/my",
    query: &[],
    kind: "task",
    title: "title",
};

/// What commands without arguments of their own take.
#[derive(clap::Args)]
pub struct NextArgs {
    /// Print each task as a JSON object on one line
    #[arg(long)]
    pub json: bool,
    /// Which server, and who signs in.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// What `start` and `done` take.
#[derive(clap::Args)]
pub struct TaskArgs {
    /// The task: its id, a part of the id at its beginning or end, or its title; may be left out if
    /// only one is possible
    pub task: Option<String>,
    /// Print the task as JSON
    #[arg(long)]
    pub json: bool,
    /// Which server, and who signs in.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// What `pause` takes.
#[derive(clap::Args)]
pub struct PauseArgs {
    /// The task; may be left out if it is the one you are on
    pub task: Option<String>,
    /// Why, for the others
    #[arg(long, short, value_name = "TEXT")]
    pub reason: String,
    /// Print the task as JSON
    #[arg(long)]
    pub json: bool,
    /// Which server, and who signs in.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// What `comment` takes.
#[derive(clap::Args)]
pub struct CommentArgs {
    /// The task: its id, a part of the id at its beginning or end, or its title
    pub task: String,
    /// The text, in Markdown; left out: standard input
    pub text: Option<String>,
    /// Print the comment as JSON
    #[arg(long)]
    pub json: bool,
    /// Which server, and who signs in.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// What `inbox` takes.
#[derive(clap::Args)]
pub struct InboxArgs {
    /// Print each notification as a JSON object on one line
    #[arg(long)]
    pub json: bool,
    /// How many at most
    #[arg(
        long,
        value_name = "N",
        default_value_t = 20,
        allow_negative_numbers = true,
        value_parser = number::whole(1..=u32::MAX)
    )]
    pub limit: u32,
    /// Which server, and who signs in.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// What is shown of a task.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) release_name: String,
    pub(super) status: String,
    pub(super) assignee: Person,
    pub(super) order_index: i64,
    pub(super) hotfix: bool,
    pub(super) started_at: Option<Timestamp>,
    pub(super) completed_at: Option<Timestamp>,
    pub(super) due_at: Option<Timestamp>,
    #[serde(default)]
    can_start: bool,
    #[serde(default)]
    blocked_by: Option<Blocker>,
}

/// Who has a task.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Person {
    pub(super) username: String,
}

/// What has to be completed before.
#[derive(Debug, Clone, Deserialize)]
struct Blocker {
    code: String,
    title: String,
    assignee: Person,
}

/// What is shown of a notification.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notification {
    id: String,
    subject: String,
    status: String,
    created_at: Timestamp,
}

/// A change of a task.
struct Change {
    /// The end of its path.
    name: &'static str,
    /// The status after it.
    to: &'static str,
    /// What was done, at the beginning of a sentence.
    done: &'static str,
}

const START: Change = Change {
    name: "start",
    to: "IN_PROCESS",
    done: "Started",
};

const COMPLETE: Change = Change {
    name: "complete",
    to: "COMPLETED",
    done: "Completed",
};

const PAUSE: Change = Change {
    name: "pause",
    to: "TODO",
    done: "Paused",
};

impl Task {
    /// Why it cannot be started.
    fn waits_for(&self) -> String {
        match &self.blocked_by {
            Some(blocker) if blocker.code == "DEVELOPER_BUSY" => {
                format!("your work on “{}”", blocker.title)
            }
            Some(blocker) => format!("“{}” of {}", blocker.title, blocker.assignee.username),
            None => String::new(),
        }
    }

    /// Its name in a sentence.
    pub(super) fn sentence(&self) -> String {
        let (title, release) = (escape(&self.title), escape(&self.release_name));
        format!("“{title}” in {release} ({})", escape(short(&self.id)))
    }

    /// Whether somebody works on it, it is done, or neither.
    pub(super) fn look(&self) -> Look {
        match self.status.as_str() {
            "IN_PROCESS" => Look::Active,
            "COMPLETED" => Look::Dim,
            _ => Look::Plain,
        }
    }
}

/// Prints what I am on, what I can start, and what blocks the rest.
///
/// # Errors
/// If the server cannot be reached or refuses, or the output cannot be written.
pub async fn next(args: &NextArgs, layers: &Layers) -> anyhow::Result<()> {
    let print = async |client: &Client, _| {
        let tasks = mine(client, &["IN_PROCESS", "TODO"]).await?;
        if args.json {
            return print_lines(&tasks);
        }
        let mut tasks: Vec<Task> = read(tasks)?;
        if tasks.is_empty() {
            output::remark("you have no task to do");
            return Ok(());
        }
        // What can be started before what cannot; within these as the server orders them.
        tasks.sort_by_key(|task| (task.status != "IN_PROCESS", !task.can_start));
        let mut rows = Rows::new(&["", "ID", "TASK", "RELEASE", "DUE", "WAITS FOR"]);
        for task in &tasks {
            let (state, look) = match task.status.as_str() {
                "IN_PROCESS" => ("on it", Look::Active),
                _ if task.can_start => ("start", Look::Good),
                _ => ("wait", Look::Dim),
            };
            let due = task.due_at.map(time).unwrap_or_default();
            let title = titled(task);
            rows.add(&[
                (state, look),
                (short(&task.id), Look::Dim),
                (
                    &title,
                    if task.hotfix {
                        Look::Urgent
                    } else {
                        Look::Plain
                    },
                ),
                (&task.release_name, Look::Plain),
                (&due, Look::Plain),
                (&task.waits_for(), Look::Dim),
            ]);
        }
        rows.print()
    };
    signed_in(&args.client, layers, print).await
}

/// The title with the mark of a hotfix.
pub(super) fn titled(task: &Task) -> String {
    match task.hotfix {
        true => format!("{} [hotfix]", task.title),
        false => task.title.clone(),
    }
}

/// Starts a task.
///
/// # Errors
/// If the server cannot be reached or refuses, or it is not clear which task is meant.
pub async fn start(args: &TaskArgs, layers: &Layers) -> anyhow::Result<()> {
    let change = async |client: &Client, _| {
        let id = match &args.task {
            Some(text) => MINE.id(client, text).await?,
            None => startable(client).await?,
        };
        change(client, &id, &START, None, args.json).await
    };
    signed_in(&args.client, layers, change).await
}

/// Completes a task.
///
/// # Errors
/// As [`start`].
pub async fn done(args: &TaskArgs, layers: &Layers) -> anyhow::Result<()> {
    let change = async |client: &Client, _| {
        let id = active(client, args.task.as_deref(), &MINE).await?;
        change(client, &id, &COMPLETE, None, args.json).await
    };
    signed_in(&args.client, layers, change).await
}

/// Hands a task back.
///
/// # Errors
/// As [`start`].
pub async fn pause(args: &PauseArgs, layers: &Layers) -> anyhow::Result<()> {
    let change = async |client: &Client, _| {
        // An administrator may pause a task of somebody else.
        let id = active(client, args.task.as_deref(), &TASKS).await?;
        let body = json!({"reason": args.reason});
        change(client, &id, &PAUSE, Some(body), args.json).await
    };
    signed_in(&args.client, layers, change).await
}

/// The only task that can be started.
async fn startable(client: &Client) -> anyhow::Result<String> {
    let tasks: Vec<Task> = read(mine(client, &["TODO"]).await?)?;
    let mut possible = tasks.iter().filter(|task| task.can_start);
    match (possible.next(), possible.next()) {
        (Some(task), None) => Ok(task.id.clone()),
        (Some(_), Some(_)) => {
            let possible = tasks.iter().filter(|task| task.can_start);
            let list: String = possible
                .map(|task| format!("\n  {}", task.sentence()))
                .collect();
            let text = format!("you can start several tasks: say which{list}");
            Err(UsageError(text).into())
        }
        (None, _) => match tasks.first() {
            Some(task) => anyhow::bail!(
                "you can start no task: {} waits for {}",
                task.sentence(),
                escape(&task.waits_for())
            ),
            None => anyhow::bail!("you have no task to start"),
        },
    }
}

/// The task that was named, or the one that the caller is on.
async fn active(client: &Client, named: Option<&str>, among: &Among<'_>) -> anyhow::Result<String> {
    if let Some(text) = named {
        return among.id(client, text).await;
    }
    let tasks: Vec<Task> = read(mine(client, &["IN_PROCESS"]).await?)?;
    let task = tasks.into_iter().next();
    Ok(task.context("you are on no task")?.id)
}

async fn change(
    client: &Client,
    id: &str,
    change: &Change,
    body: Option<Value>,
    json: bool,
) -> anyhow::Result<()> {
    let path = format!("/tasks/{id}/{}", change.name);
    let task: Value = match client.patch(&path, body.as_ref()).await {
        Err(ClientError::Refused(refusal)) if refusal.may_be_done() => {
            let task: Value = client.get(&format!("/tasks/{id}"), &[]).await?;
            anyhow::ensure!(task["status"] == change.to, refusal);
            task
        }
        answer => answer?,
    };
    if json {
        return print_lines(&[task]);
    }
    let task: Task = serde_json::from_value(task)?;
    output::print(&format!("{} {}.\n", change.done, task.sentence()))
}

/// Posts a comment.
///
/// # Errors
/// As [`start`].
pub async fn comment(args: &CommentArgs, layers: &Layers) -> anyhow::Result<()> {
    let text = match &args.text {
        Some(text) => text.clone(),
        None => {
            let mut text = String::new();
            let read = io::stdin().take(LONGEST_COMMENT).read_to_string(&mut text);
            read.context("standard input cannot be read")?;
            text.trim_end().to_owned()
        }
    };
    let post = async |client: &Client, _| {
        let id = TASKS.id(client, &args.task).await?;
        let path = format!("/tasks/{id}/comments");
        let comment: Value = client
            .post(&path, &key(), &json!({"content": text}))
            .await?;
        match args.json {
            true => print_lines(&[comment]),
            false => output::print("Posted.\n"),
        }
    };
    signed_in(&args.client, layers, post).await
}

/// Prints the newest notifications.
///
/// # Errors
/// If the server cannot be reached or refuses, or the output cannot be written.
pub async fn inbox(args: &InboxArgs, layers: &Layers) -> anyhow::Result<()> {
    let print = async |client: &Client, _| {
        let items: Vec<Value> = client
            .items("/notifications", &[], args.limit as usize)
            .await?;
        if args.json {
            return print_lines(&items);
        }
        if items.is_empty() {
            output::remark("you have no notifications");
            return Ok(());
        }
        let mut rows = Rows::new(&["TIME", "SUBJECT", "MAIL", "ID"]);
        for item in read::<Notification>(items)? {
            let status = item.status.to_lowercase();
            let look = match status.as_str() {
                "failed" => Look::Urgent,
                "sent" | "delivered" => Look::Good,
                _ => Look::Plain,
            };
            rows.add(&[
                (&time(item.created_at), Look::Dim),
                (&item.subject, Look::Plain),
                (&status, look),
                (short(&item.id), Look::Dim),
            ]);
        }
        rows.print()
    };
    signed_in(&args.client, layers, print).await
}

/// The caller's tasks in these states.
async fn mine(client: &Client, states: &[&str]) -> Result<Vec<Value>, ClientError> {
    let mut tasks = Vec::new();
    for status in states {
        tasks.extend(
            client
                .items::<Value>("/tasks/my", &[("status", *status)], MOST)
                .await?,
        );
    }
    Ok(tasks)
}

/// Items of the API as what is shown of them.
pub(super) fn read<T: for<'de> Deserialize<'de>>(items: Vec<Value>) -> anyhow::Result<Vec<T>> {
    let items = items.into_iter().map(serde_json::from_value);
    items
        .collect::<Result<_, _>>()
        .context("the answer does not match the API")
}

/// Prints each as JSON on one line.
pub(super) fn print_lines(items: &[impl Serialize]) -> anyhow::Result<()> {
    let mut text = String::new();
    for item in items {
        text += &escape_json(&serde_json::to_string(item)?);
        text.push('\n');
    }
    output::print(&text)
}

/// A key with which a request has its effect once, also if it is repeated because its answer was
/// lost.
pub(super) fn key() -> String {
    format!("cli-{}", Uuid::new_v4().simple())
}
