//! `audit`: lists and verifies the audit trail.

use clap::Args;
use serde_json::Value;
use uuid::Uuid;

use self::{entry::Entry, verify::VerifyArgs};
use super::{
    client::{Client, ClientArgs, Listing, signed_in},
    number,
};
use crate::{config::Layers, output, text::escape_json};

mod entry;
mod verify;

const PATH: &str = "/admin/audit";

/// The subcommands.
#[derive(clap::Subcommand)]
pub enum AuditCommand {
    /// List entries, newest first
    #[command(
        after_help = "Example: SLIPWAY_USERNAME=admin slipway audit list --type 'task.*' \
                      --from 2026-03-01T00:00:00Z"
    )]
    List(ListArgs),
    /// Print the whole history of a release as one JSON document, for `slipway audit verify`
    #[command(after_help = "Example: SLIPWAY_USERNAME=admin slipway audit evidence \
                      01890a5d-ac96-774b-bcce-b302099a8057 > evidence.json")]
    Evidence(EvidenceArgs),
    /// Verify the chain of hashes: of the database, or of a document with evidence
    ///
    /// Without a file it reads the database that the configuration names, also while a server
    /// uses it, and changes nothing in it. The first entry that was changed, removed or moved is
    /// an error. Entries that were cut off at the end leave no trace in the database: keep the
    /// head that this command prints elsewhere, and give it again with --head.
    #[command(
        after_help = "Example: slipway audit verify --data-dir /var/lib/slipway\n         \
                      slipway audit verify evidence.json"
    )]
    Verify(VerifyArgs),
}

/// What `list` takes.
#[derive(Args)]
pub struct ListArgs {
    /// Print each as a JSON object on one line
    #[arg(long)]
    pub json: bool,
    /// Only about this task
    #[arg(long, value_name = "ID")]
    pub task: Option<Uuid>,
    /// Only about this release
    #[arg(long, value_name = "ID")]
    pub release: Option<Uuid>,
    /// Only what this user did, and what was done to their account
    #[arg(long, value_name = "ID")]
    pub user: Option<Uuid>,
    /// Only this type, such as task.updated, or family, such as task.*; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// Only what happened then or later, such as 2026-03-01T10:00:00Z
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Only what happened before
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
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

impl ListArgs {
    /// The given conditions, with their names in the API.
    fn given(&self) -> Vec<(&'static str, String)> {
        let id = |id: Option<Uuid>| id.map(|id| id.to_string());
        let given = [
            ("taskId", id(self.task)),
            ("releaseId", id(self.release)),
            ("userId", id(self.user)),
            ("from", self.from.clone()),
            ("to", self.to.clone()),
        ];
        let given = given
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        let types = self.types.iter().map(|text| ("type", text.clone()));
        given.chain(types).collect()
    }
}

/// What `evidence` takes.
#[derive(Args)]
pub struct EvidenceArgs {
    /// The release
    #[arg(value_name = "ID")]
    pub release: Uuid,
    /// Which server, and who signs in.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// Runs a subcommand.
///
/// # Errors
/// If the server or the database cannot be reached or refuses, or the chain is broken.
pub async fn run(command: &AuditCommand, layers: &Layers) -> anyhow::Result<()> {
    match command {
        AuditCommand::List(args) => list(args, layers).await,
        AuditCommand::Evidence(args) => evidence(args, layers).await,
        AuditCommand::Verify(args) => verify::run(args, layers).await,
    }
}

async fn list(args: &ListArgs, layers: &Layers) -> anyhow::Result<()> {
    let given = args.given();
    let listing = Listing {
        path: PATH,
        query: given.iter().map(|(name, text)| (*name, &**text)).collect(),
        limit: args.limit,
        json: args.json,
        none: "no entry matches",
    };
    let list = async |client: &Client, _| client.print_list::<Entry>(listing).await;
    signed_in(&args.client, layers, list).await
}

async fn evidence(args: &EvidenceArgs, layers: &Layers) -> anyhow::Result<()> {
    let path = format!("/releases/{}/evidence", args.release);
    let print = async |client: &Client, _| {
        let document: Value = client.get(&path, &[]).await?;
        output::print(&(escape_json(&document.to_string()) + "\n"))
    };
    signed_in(&args.client, layers, print).await
}
