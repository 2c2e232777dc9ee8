//! `dead-letters`: lists, shows and replays events that consumers could not handle.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use slipway_plan::{encoding, json};
use uuid::Uuid;

use self::letter::{Letter, Summary};
use super::{
    client::{Client, ClientArgs, Listing, signed_in},
    number,
};
use crate::{
    UsageError,
    config::Layers,
    output, paths,
    text::{escape, escape_json},
};

mod letter;

const PATH: &str = "/admin/dead-letters";

/// The arguments that select dead letters.
const CONDITIONS: [&str; 6] = ["group", "event_type", "cause", "reason", "from", "to"];

/// The other arguments for many dead letters.
const OF_MANY: [&str; 2] = ["all", "dry_run"];

/// The subcommands.
#[derive(clap::Subcommand)]
pub enum DeadLettersCommand {
    /// List them, newest first
    #[command(
        after_help = "Example: SLIPWAY_USERNAME=admin slipway dead-letters list \
                      --state WAITING --group activity"
    )]
    List(ListArgs),
    /// Show one with its payload, headers and history
    #[command(
        after_help = "Example: SLIPWAY_USERNAME=admin slipway dead-letters show \
                      01890a5d-ac96-774b-bcce-b302099a8057"
    )]
    Show(ShowArgs),
    /// Send one, or all that a filter admits, back to the groups that could not handle them
    #[command(
        after_help = "Example: SLIPWAY_USERNAME=admin slipway dead-letters replay \
                      --group activity --type task.started --dry-run"
    )]
    Replay(ReplayArgs),
}

/// Conditions that select dead letters.
#[derive(clap::Args)]
pub struct FilterArgs {
    /// Only of this consumer group
    #[arg(long)]
    pub group: Option<String>,
    /// Only events of this type, such as task.started
    #[arg(long = "type", value_name = "TYPE")]
    pub event_type: Option<String>,
    /// Only with this cause: undecodable, poison, panic or exhausted
    #[arg(long)]
    pub cause: Option<String>,
    /// Only where the reason contains this text
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Only those filed then or later, such as 2026-03-01T10:00:00Z
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Only those filed before
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
}

impl FilterArgs {
    /// The given conditions, with their names in the API.
    fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let Self {
            group,
            event_type,
            cause,
            reason,
            from,
            to,
        } = self;
        [
            ("group", group),
            ("type", event_type),
            ("cause", cause),
            ("reason", reason),
            ("from", from),
            ("to", to),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}

/// What `list` takes.
#[derive(clap::Args)]
pub struct ListArgs {
    /// Print each as a JSON object on one line
    #[arg(long)]
    pub json: bool,
    /// Only in this state: WAITING or REPLAYED
    #[arg(long)]
    pub state: Option<String>,
    /// Which ones.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// How many at most
    #[arg(
        long,
        value_name = "N",
        default_value_t = 50,
        allow_negative_numbers = true,
        value_parser = number::whole(1..=u32::MAX)
    )]
    pub limit: u32,
    /// Which server, and who signs in.
    #[command(flatten)]
    pub client: ClientArgs,
}

fn parse_id(text: &str) -> Result<Uuid, &'static str> {
    text.parse()
        .map_err(|_| "must be an id, as `slipway dead-letters list` prints them")
}

/// What `show` takes.
#[derive(clap::Args)]
pub struct ShowArgs {
    /// Its id
    #[arg(value_parser = parse_id)]
    pub id: Uuid,
    /// Print it as a JSON object
    #[arg(long)]
    pub json: bool,
    /// Which server, and who signs in.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// What `replay` takes.
#[derive(clap::Args)]
pub struct ReplayArgs {
    /// The one to send back
    #[arg(
        conflicts_with_all = CONDITIONS,
        conflicts_with_all = OF_MANY,
        value_parser = parse_id
    )]
    pub id: Option<Uuid>,
    /// File with the JSON object that replaces its payload; - reads standard input
    #[arg(
        long,
        value_name = "FILE",
        value_parser = paths::parser(),
        requires = "id",
        conflicts_with_all = CONDITIONS,
        conflicts_with_all = OF_MANY
    )]
    pub payload: Option<PathBuf>,
    /// Which ones, of those that wait.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// All that wait
    #[arg(long, conflicts_with_all = CONDITIONS)]
    pub all: bool,
    /// Only say which it would be
    #[arg(long)]
    pub dry_run: bool,
    /// Print the answer as a JSON object
    #[arg(long)]
    pub json: bool,
    /// Which server, and who signs in.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// Runs a subcommand.
///
/// # Errors
/// If no dead letters are selected, the server cannot be reached, or it refuses.
pub async fn run(command: &DeadLettersCommand, layers: &Layers) -> anyhow::Result<()> {
    match command {
        DeadLettersCommand::List(args) => list(args, layers).await,
        DeadLettersCommand::Show(args) => show(args, layers).await,
        DeadLettersCommand::Replay(args) => replay(args, layers).await,
    }
}

async fn list(args: &ListArgs, layers: &Layers) -> anyhow::Result<()> {
    let state = args.state.as_deref().map(|state| ("state", state));
    let listing = Listing {
        path: PATH,
        query: args.filter.given().chain(state).collect(),
        limit: args.limit,
        json: args.json,
        none: "no dead letter matches",
    };
    let list = async |client: &Client, _| client.print_list::<Summary>(listing).await;
    signed_in(&args.client, layers, list).await
}

async fn show(args: &ShowArgs, layers: &Layers) -> anyhow::Result<()> {
    let path = format!("{PATH}/{}", args.id);
    let show = async |client: &Client, _| print(client.get(&path, &[]).await?, args.json);
    signed_in(&args.client, layers, show).await
}

fn print(letter: Value, json: bool) -> anyhow::Result<()> {
    if json {
        return output::print(&(escape_json(&letter.to_string()) + "\n"));
    }
    let letter: Letter = serde_json::from_value(letter)?;
    output::print(&letter.page())
}

async fn replay(args: &ReplayArgs, layers: &Layers) -> anyhow::Result<()> {
    let Some(id) = args.id else {
        return replay_many(args, layers).await;
    };
    let payload = args.payload.as_deref().map(read_payload).transpose()?;
    let body = match payload {
        Some(payload) => json!({ "payload": payload }),
        None => json!({}),
    };
    let path = format!("{PATH}/{id}/replay");
    let letter = post(args, layers, &path, &body).await?;
    if args.json {
        return print(letter, true);
    }
    let letter: Summary = serde_json::from_value(letter)?;
    output::print(&format!("replayed to {}\n", letter.place()))
}

async fn replay_many(args: &ReplayArgs, layers: &Layers) -> anyhow::Result<()> {
    let filter: Map<_, _> = args
        .filter
        .given()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    if filter.is_empty() && !args.all {
        let text = "say which: an id, a filter such as --group, or --all";
        return Err(UsageError(text.into()).into());
    }
    let body = json!({ "filter": filter, "all": args.all, "dryRun": args.dry_run });
    let answer = post(args, layers, &format!("{PATH}/replay"), &body).await?;
    if args.json {
        return print(answer, true);
    }
    output::print(&letter::replayed(&answer))
}

async fn post(
    args: &ReplayArgs,
    layers: &Layers,
    path: &str,
    body: &Value,
) -> anyhow::Result<Value> {
    let key = Uuid::new_v4().to_string();
    let post = async |client: &Client, _| Ok(client.post(path, &key, body).await?);
    signed_in(&args.client, layers, post).await
}

fn read_payload(path: &Path) -> anyhow::Result<Map<String, Value>> {
    let mut bytes = Vec::new();
    let name = escape(&path.display().to_string());
    if path == Path::new("-") {
        let read = io::stdin().read_to_end(&mut bytes);
        read.context("standard input cannot be read")?;
    } else {
        bytes = fs::read(path).with_context(|| name.clone())?;
    }
    let text = encoding::decode(bytes).map_err(|error| UsageError(format!("{name} {error}")))?;
    json::read(&text)
        .map_err(|error| UsageError(format!("{name} must hold a JSON object: {error}")).into())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: DeadLettersCommand,
    }

    fn parse(line: &str) -> Result<DeadLettersCommand, clap::Error> {
        Line::try_parse_from(line.split(' ')).map(|line| line.command)
    }

    #[test]
    fn filters_are_named_as_in_the_api() {
        let Ok(DeadLettersCommand::List(args)) =
            parse("x list --group g --type t --reason r --from 2026-01-01T00:00:00Z")
        else {
            panic!("it is a list");
        };
        let given: Vec<_> = args.filter.given().map(|(name, _)| name).collect();
        assert_eq!(given, ["group", "type", "reason", "from"]);
    }

    #[test]
    fn an_id_and_a_filter_exclude_each_other() {
        let id = Uuid::nil();
        assert!(parse(&format!("x replay {id} --payload -")).is_ok());
        for more in ["--group g", "--all", "--dry-run"] {
            assert!(parse(&format!("x replay {id} {more}")).is_err(), "{more}");
        }
        assert!(parse("x replay --group g --payload -").is_err());
        assert!(parse("x replay --group g --all").is_err());
    }

    #[test]
    fn a_limit_of_zero_is_refused() {
        assert!(parse("x list --limit 0").is_err());
        assert!(parse("x list --limit 1").is_ok());
    }
}
