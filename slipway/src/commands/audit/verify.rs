//! `audit verify`: verifies the stored chain, or a document with the evidence of a release.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};
use notify_svc::{
    Stores,
    audit::{
        Broken, Evidence, Head,
        store::{AuditStore, Verdict},
    },
};
use serde_json::json;
use slipway_plan::{encoding, json};

use crate::{UsageError, config::Layers, output, paths, text::escape};

/// What `verify` takes.
#[derive(clap::Args)]
pub struct VerifyArgs {
    /// Document of `slipway audit evidence`; - reads standard input. Without it, the database
    #[arg(value_name = "FILE", value_parser = paths::parser())]
    pub file: Option<PathBuf>,
    /// A head that was printed earlier: it must be a part of the chain
    #[arg(long, value_name = "NUMBER:HASH")]
    pub head: Option<Head>,
    /// Print the result as a JSON object
    #[arg(long)]
    pub json: bool,
}

/// Verifies what `args` names.
///
/// # Errors
/// If it is broken, or cannot be read.
pub(super) async fn run(args: &VerifyArgs, layers: &Layers) -> anyhow::Result<()> {
    match &args.file {
        Some(file) => document(file, args),
        None => stored(args, layers).await,
    }
}

async fn stored(args: &VerifyArgs, layers: &Layers) -> anyhow::Result<()> {
    let store = open(layers).await?;
    let verdict = store.verify(args.head.clone()).await;
    match verdict.context("the audit trail cannot be read")? {
        Verdict::Whole(head) => {
            let shown = json!({"verified": true, "entries": head.number, "head": head});
            let entries = counted(head.number);
            let text = format!("{entries}, the chain is whole\nhead {head}\n");
            print(args, &shown, &text)
        }
        Verdict::Broken(Broken { number, flaw }) => {
            let reason = format!("entry {number} {flaw}");
            let shown = json!({"verified": false, "number": number, "reason": reason});
            print(args, &shown, "")?;
            Err(anyhow!("the audit trail is broken: {reason}"))
        }
    }
}

/// The trail of the configured database.
async fn open(layers: &Layers) -> anyhow::Result<AuditStore> {
    let settings = layers.settings(None)?;
    let Some(url) = &settings.mongodb_url else {
        let path = settings.data_dir.join("notify.db");
        return AuditStore::read_only(&path).context(path.display().to_string());
    };
    let client = slipway_mongo::connect(url.expose()).await;
    let client = client.map_err(|error| UsageError(format!("mongodb_url: {error}")))?;
    let stores = Stores::mongo(&client, notify_svc::store::DATABASE).await;
    Ok(stores.context("MongoDB cannot be used")?.audit)
}

fn document(file: &Path, args: &VerifyArgs) -> anyhow::Result<()> {
    let name = escape(&file.display().to_string());
    let evidence: Evidence = json::read(&read(file, &name)?)
        .map_err(|error| anyhow!("{name} is no evidence of a release: {error}"))?;
    match evidence.verify(args.head.as_ref()) {
        Ok(()) => {
            let Evidence {
                release_id,
                head,
                count,
                ..
            } = &evidence;
            let shown = json!({
                "verified": true, "releaseId": release_id, "entries": count, "head": head,
            });
            let entries = counted(*count);
            let text = format!(
                "{entries} of the release {}, whole\nhead {head}\n",
                escape(release_id)
            );
            print(args, &shown, &text)
        }
        Err(refuted) => {
            let reason = refuted.to_string();
            print(args, &json!({"verified": false, "reason": reason}), "")?;
            Err(anyhow!("{name} is refuted: {reason}"))
        }
    }
}

fn read(file: &Path, name: &str) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        let read = io::stdin().read_to_end(&mut bytes);
        read.context("standard input cannot be read")?;
    } else {
        bytes = fs::read(file).with_context(|| name.to_owned())?;
    }
    encoding::decode(bytes).map_err(|error| anyhow!("{name} {error}"))
}

fn counted(entries: u64) -> String {
    match entries {
        1 => "1 entry".to_owned(),
        entries => format!("{entries} entries"),
    }
}

fn print(args: &VerifyArgs, shown: &serde_json::Value, text: &str) -> anyhow::Result<()> {
    match args.json {
        true => output::print(&format!("{shown}\n")),
        false => output::print(text),
    }
}
