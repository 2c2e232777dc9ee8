//! `plan export` and `plan copy`: a release as a plan file, which `import` reads.

use clap::Args;
use serde::Deserialize;
use slipway_plan::{Format, MAX_SHIFT, Plan, PlannedRecurrence, PlannedTask, Priority};

use super::{
    client::{Client, ClientArgs, signed_in},
    named::RELEASES,
};
use crate::{config::Layers, output};

/// The subcommands.
#[derive(clap::Subcommand)]
pub enum PlanCommand {
    /// Print a release as a plan: its tasks in order, without their states and times of work
    #[command(after_help = "Example: slipway plan export Spring --format csv > spring.csv")]
    Export(ExportArgs),
    /// Print the plan of the next release: the tasks of this one in order, with their owners
    ///
    /// No task is due unless --shift says how much later than before; so none reminds or recurs
    /// either.
    #[command(
        after_help = "Example: slipway plan copy Spring --name Summer --version 3.0 --shift 91 \
                      | slipway import -"
    )]
    Copy(CopyArgs),
}

/// What `export` takes.
#[derive(Args)]
pub struct ExportArgs {
    /// The release: its id, a part of the id at its beginning or end, or its name
    pub release: String,
    /// The format: json, yaml or csv
    #[arg(long, value_name = "FORMAT", default_value_t = Format::Json)]
    pub format: Format,
    /// Which server, and who signs in.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// What `copy` takes.
#[derive(Args)]
pub struct CopyArgs {
    /// The release: its id, a part of the id at its beginning or end, or its name
    pub release: String,
    /// Name of the next release
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// Version of the next release
    #[arg(long, value_name = "TEXT")]
    pub version: Option<String>,
    /// How many days later than before tasks are due
    #[arg(
        long,
        value_name = "DAYS",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(i64).range(-MAX_SHIFT..=MAX_SHIFT)
    )]
    pub shift: Option<i64>,
    /// The format: json, yaml or csv
    #[arg(long, value_name = "FORMAT", default_value_t = Format::Json)]
    pub format: Format,
    /// Which server, and who signs in.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// What a plan keeps of a release of the API.
#[derive(Deserialize)]
struct Release {
    name: String,
    version: String,
    description: String,
    tasks: Vec<Task>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Task {
    title: String,
    description: String,
    assignee: User,
    order_index: i64,
    due_at: Option<String>,
    priority: Priority,
    tags: Vec<String>,
    remind_before_minutes: Option<i64>,
    recurrence: Option<Recurrence>,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recurrence {
    rule: String,
    time_zone: String,
    release_id: Option<String>,
}

impl From<Release> for Plan {
    fn from(release: Release) -> Self {
        Self {
            name: release.name,
            version: filled(release.version),
            description: filled(release.description),
            tasks: release.tasks.into_iter().map(PlannedTask::from).collect(),
            hotfix: None,
        }
    }
}

impl From<Task> for PlannedTask {
    fn from(task: Task) -> Self {
        Self {
            title: task.title,
            description: filled(task.description),
            assignee: task.assignee.username,
            order_index: Some(task.order_index),
            due_at: task.due_at,
            priority: Some(task.priority).filter(|priority| *priority != Priority::Normal),
            tags: task.tags,
            remind_before_minutes: task.remind_before_minutes,
            recurrence: task.recurrence.map(|recurrence| PlannedRecurrence {
                rule: recurrence.rule,
                time_zone: Some(recurrence.time_zone),
                release_id: recurrence.release_id,
            }),
            line: None,
        }
    }
}

fn filled(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// Runs a subcommand.
///
/// # Errors
/// If the server cannot be reached or refuses, or it is not clear which release is meant.
pub async fn run(command: &PlanCommand, layers: &Layers) -> anyhow::Result<()> {
    match command {
        PlanCommand::Export(args) => {
            let print = async |client: &Client, _| {
                let plan = plan(client, &args.release).await?;
                output::print(&plan.write(args.format))
            };
            signed_in(&args.client, layers, print).await
        }
        PlanCommand::Copy(args) => {
            let print = async |client: &Client, _| {
                let plan = plan(client, &args.release).await?;
                let plan = plan.copied(args.name.clone(), args.version.clone(), args.shift);
                output::print(&plan.write(args.format))
            };
            signed_in(&args.client, layers, print).await
        }
    }
}

/// The plan of the release that was named.
async fn plan(client: &Client, release: &str) -> anyhow::Result<Plan> {
    let id = RELEASES.id(client, release).await?;
    let release: Release = client.get(&format!("/releases/{id}"), &[]).await?;
    Ok(release.into())
}
