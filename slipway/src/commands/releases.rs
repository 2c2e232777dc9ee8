//! `release list | show | create | complete`, and `hotfix`.

use clap::Args;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    client::{Client, ClientArgs, ClientError, signed_in},
    named::RELEASES,
    number,
    table::{Look, Rows, short, time},
    work::{Person, Task, key, print_lines, read, titled},
};
use crate::{
    UsageError,
    config::Layers,
    output,
    text::{escape, escape_lines},
};

/// The subcommands.
#[derive(clap::Subcommand)]
pub enum ReleaseCommand {
    /// List releases, newest first
    #[command(after_help = "Example: slipway release list --completed")]
    List(ListArgs),
    /// Show a release with its tasks in order
    #[command(after_help = "Example: slipway release show 'Spring 2.0'")]
    Show(ShowArgs),
    /// Create a release (for administrators)
    ///
    /// For more than a few tasks write a plan, and see `slipway import --help`.
    #[command(after_help = "Example: slipway release create Spring --version 2.0 \
                      --task 'Build images=ada' --task 'Publish the notes=grace'")]
    Create(CreateArgs),
    /// Complete a release, all tasks of which are completed (for administrators)
    #[command(after_help = "Example: slipway release complete Spring")]
    Complete(ShowArgs),
}

/// What `list` takes.
#[derive(Args)]
pub struct ListArgs {
    /// Completed ones instead of open ones
    #[arg(long)]
    pub completed: bool,
    /// Open and completed ones
    #[arg(long, conflicts_with = "completed")]
    pub all: bool,
    /// How many at most
    #[arg(
        long,
        value_name = "N",
        default_value_t = 20,
        allow_negative_numbers = true,
        value_parser = number::whole(1..=u32::MAX)
    )]
    pub limit: u32,
    /// Print each as a JSON object on one line
    #[arg(long)]
    pub json: bool,
    /// Which server, and who signs in.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// What `show` and `complete` take.
#[derive(Args)]
pub struct ShowArgs {
    /// The release: its id, a part of the id at its beginning or end, or its name
    pub release: String,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
    /// Which server, and who signs in.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// What `create` takes.
#[derive(Args)]
pub struct CreateArgs {
    /// Its name
    pub name: String,
    /// Its version
    #[arg(long, value_name = "TEXT")]
    pub version: Option<String>,
    /// Its description
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// A task, with its owner behind the last equals sign; may be repeated, in order
    #[arg(long = "task", value_name = "TITLE=OWNER")]
    pub tasks: Vec<String>,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
    /// Which server, and who signs in.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// What `hotfix` takes.
#[derive(Args)]
pub struct HotfixArgs {
    /// The release: its id, a part of the id at its beginning or end, or its name
    pub release: String,
    /// The title of the task
    pub title: String,
    /// Who shall do it
    #[arg(long, value_name = "NAME")]
    pub owner: String,
    /// Its description
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// When it is due, such as 2026-12-01T17:00:00Z
    #[arg(long, value_name = "TIME")]
    pub due: Option<String>,
    /// Print the task as JSON
    #[arg(long)]
    pub json: bool,
    /// Which server, and who signs in.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// What is shown of a release.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Release {
    id: String,
    name: String,
    version: String,
    description: String,
    status: String,
    progress: Progress,
    created_by: Person,
    created_at: Timestamp,
    completed_at: Option<Timestamp>,
    reopened_count: u32,
    #[serde(default)]
    tasks: Vec<Task>,
}

#[derive(Deserialize)]
struct Progress {
    total: u32,
    completed: u32,
}

impl Release {
    /// Its name in a sentence.
    fn sentence(&self) -> String {
        let id = escape(short(&self.id));
        format!("{} ({id})", escape(self.full_name().trim_end()))
    }

    fn full_name(&self) -> String {
        format!("{} {}", self.name, self.version)
    }
}

/// Runs a subcommand.
///
/// # Errors
/// If the server cannot be reached or refuses, or it is not clear which release is meant.
pub async fn run(command: &ReleaseCommand, layers: &Layers) -> anyhow::Result<()> {
    match command {
        ReleaseCommand::List(args) => list(args, layers).await,
        ReleaseCommand::Show(args) => show(args, layers).await,
        ReleaseCommand::Create(args) => create(args, layers).await,
        ReleaseCommand::Complete(args) => complete(args, layers).await,
    }
}

async fn list(args: &ListArgs, layers: &Layers) -> anyhow::Result<()> {
    let query: &[_] = match (args.completed, args.all) {
        (true, _) => &[("status", "COMPLETED")],
        (_, true) => &[],
        _ => &[("status", "OPEN")],
    };
    let print = async |client: &Client, _| {
        let most = args.limit as usize;
        let items: Vec<Value> = client.items(RELEASES.path, query, most).await?;
        if args.json {
            return print_lines(&items);
        }
        if items.is_empty() {
            output::remark("there is no such release");
            return Ok(());
        }
        let mut rows = Rows::new(&["ID", "RELEASE", "VERSION", "DONE", "STATUS", "CREATED"]);
        for release in read::<Release>(items)? {
            let Progress { total, completed } = release.progress;
            let look = match release.status.as_str() {
                "COMPLETED" => Look::Good,
                _ => Look::Active,
            };
            rows.add(&[
                (short(&release.id), Look::Dim),
                (&release.name, Look::Plain),
                (&release.version, Look::Plain),
                (&format!("{completed}/{total}"), Look::Plain),
                (&release.status.to_lowercase(), look),
                (&time(release.created_at), Look::Dim),
            ]);
        }
        rows.print()
    };
    signed_in(&args.client, layers, print).await
}

async fn show(args: &ShowArgs, layers: &Layers) -> anyhow::Result<()> {
    let print = async |client: &Client, _| {
        let id = RELEASES.id(client, &args.release).await?;
        let release: Value = client.get(&format!("/releases/{id}"), &[]).await?;
        match args.json {
            true => print_lines(&[release]),
            false => page(&serde_json::from_value(release)?),
        }
    };
    signed_in(&args.client, layers, print).await
}

/// Prints a release with its tasks.
fn page(release: &Release) -> anyhow::Result<()> {
    let Progress { total, completed } = release.progress;
    let mut head = format!("{}\n", escape(release.full_name().trim_end()));
    head += &format!("  id: {}\n", escape(&release.id));
    let status = release.status.to_lowercase();
    head += &format!(
        "  {}, {completed} of {total} tasks completed\n",
        escape(&status)
    );
    let (who, when) = (
        escape(&release.created_by.username),
        time(release.created_at),
    );
    head += &format!("  planned by {who} {when}\n");
    if let Some(at) = release.completed_at {
        head += &format!("  completed {}\n", time(at));
    }
    if release.reopened_count > 0 {
        head += &format!("  reopened {} times\n", release.reopened_count);
    }
    if !release.description.is_empty() {
        head += &format!("\n{}\n", escape_lines(&release.description));
    }
    output::print(&head)?;
    if release.tasks.is_empty() {
        return Ok(());
    }
    output::print("\n")?;
    let mut rows = Rows::new(&["", "ID", "TASK", "OWNER", "STATUS", "SINCE", "DUE"]);
    for task in &release.tasks {
        let since = task.completed_at.or(task.started_at);
        rows.add(&[
            (&task.order_index.to_string(), Look::Dim),
            (short(&task.id), Look::Dim),
            (&titled(task), task.look()),
            (&task.assignee.username, Look::Plain),
            (&task.status.to_lowercase().replace('_', " "), task.look()),
            (&since.map(time).unwrap_or_default(), Look::Dim),
            (&task.due_at.map(time).unwrap_or_default(), Look::Plain),
        ]);
    }
    rows.print()
}

async fn create(args: &CreateArgs, layers: &Layers) -> anyhow::Result<()> {
    let tasks = args.tasks.iter().map(|text| {
        let wrong = || UsageError("--task must be TITLE=OWNER, such as 'Build images=ada'".into());
        let (title, owner) = text.rsplit_once('=').ok_or_else(wrong)?;
        Ok(json!({"title": title.trim(), "assignee": person(owner)}))
    });
    let tasks = tasks.collect::<Result<Vec<Value>, UsageError>>()?;
    let mut body = json!({"name": args.name, "tasks": tasks});
    if let Some(version) = &args.version {
        body["version"] = json!(version);
    }
    if let Some(description) = &args.description {
        body["description"] = json!(description);
    }
    let create = async |client: &Client, _| {
        let release: Value = client.post(RELEASES.path, &key(), &body).await?;
        told(release, "Created", args.json)
    };
    signed_in(&args.client, layers, create).await
}

async fn complete(args: &ShowArgs, layers: &Layers) -> anyhow::Result<()> {
    let complete = async |client: &Client, _| {
        let id = RELEASES.id(client, &args.release).await?;
        let path = format!("/releases/{id}");
        let answer = client
            .patch(&format!("{path}/complete"), None::<&Value>)
            .await;
        let release: Value = match answer {
            Err(ClientError::Refused(refusal)) if refusal.may_be_done() => {
                let release: Value = client.get(&path, &[]).await?;
                anyhow::ensure!(release["status"] == "COMPLETED", refusal);
                release
            }
            answer => answer?,
        };
        told(release, "Completed", args.json)
    };
    signed_in(&args.client, layers, complete).await
}

/// Says what was done to a release.
fn told(release: Value, done: &str, json: bool) -> anyhow::Result<()> {
    if json {
        return print_lines(&[release]);
    }
    let release: Release = serde_json::from_value(release)?;
    output::print(&format!("{done} {}.\n", release.sentence()))
}

/// Adds a task to a release that was completed, which reopens it.
///
/// # Errors
/// As [`run`].
pub async fn hotfix(args: &HotfixArgs, layers: &Layers) -> anyhow::Result<()> {
    let mut body = json!({
        "title": args.title, "assignee": person(&args.owner), "hotfix": true,
    });
    if let Some(description) = &args.description {
        body["description"] = json!(description);
    }
    if let Some(due) = &args.due {
        body["dueAt"] = json!(due);
    }
    let add = async |client: &Client, _| {
        let id = RELEASES.id(client, &args.release).await?;
        let path = format!("/releases/{id}/tasks");
        let task: Value = client.post(&path, &key(), &body).await?;
        if args.json {
            return print_lines(&[task]);
        }
        let task: Task = serde_json::from_value(task)?;
        output::print(&format!("Added {}.\n", task.sentence()))
    };
    signed_in(&args.client, layers, add).await
}

/// A username, without the sign that stands before it in a mention.
fn person(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('@').unwrap_or(text)
}
