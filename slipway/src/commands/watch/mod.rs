//! `watch`: follows the activity stream in a terminal.

use std::{future, io, os::fd::AsFd as _, sync::Arc, time::Duration};

use slipway_runtime::telemetry::logs;
use tokio::{io::Interest, net::unix::pipe, runtime::Handle, task};
use tokio_util::sync::CancellationToken;

use self::{follow::Follower, output::Output};
use super::{
    client::{Client, ClientArgs, sign_in},
    interrupts::Interrupts,
    number,
};
use crate::config::Layers;

mod backoff;
mod entry;
mod follow;
mod output;

/// What `watch` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct WatchArgs {
    /// Print each entry as a JSON object on one line
    #[arg(long)]
    pub json: bool,
    /// Begin after the entry with this number; 0 begins with the oldest that is kept
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = number::whole(0..=i64::MAX.unsigned_abs())
    )]
    pub after: Option<u64>,
    /// Only entries of this type (task.started) or family (task.*); may be repeated
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    pub types: Vec<String>,
    /// Only entries of this release
    #[arg(long, value_name = "ID")]
    pub release: Option<String>,
    /// Only what I did or what concerns me
    #[arg(long)]
    pub mine: bool,
    /// Which server, and who signs in.
    #[command(flatten)]
    pub client: ClientArgs,
}

impl WatchArgs {
    /// The filters as the API's query.
    fn query(&self) -> Vec<(&str, &str)> {
        let types = self.types.iter().map(|kind| ("type", kind.as_str()));
        let release = self.release.iter().map(|id| ("releaseId", id.as_str()));
        let mine = self.mine.then_some(("mine", "true"));
        types.chain(release).chain(mine).collect()
    }
}

/// How long the thread that follows the stream may take to end.
const LEAVING: Duration = Duration::from_millis(500);

/// Follows the activity stream until a signal ends it, or until the output is closed.
///
/// # Errors
/// If the server cannot be reached at first, or refuses at any time.
pub async fn run(args: &WatchArgs, layers: &Layers) -> anyhow::Result<()> {
    let mut interrupts = Interrupts::listen()?;
    let (client, _) = tokio::select! {
        signed_in = sign_in(&args.client, layers) => signed_in?,
        () = interrupts.recv() => return Ok(()),
    };
    let client = Arc::new(client);
    let ended = watch(args, Arc::clone(&client), interrupts).await;
    client.sign_out().await;
    ended
}

async fn watch(
    args: &WatchArgs,
    client: Arc<Client>,
    mut interrupts: Interrupts,
) -> anyhow::Result<()> {
    let args = args.clone();
    // On a thread of its own: a write blocks while nobody reads the output, and signals must still
    // be handled.
    let runtime = Handle::current();
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let mut following = task::spawn_blocking(move || {
        runtime.block_on(async {
            tokio::select! {
                ended = follow(&args, &client) => ended,
                () = stopped.cancelled() => Ok(()),
            }
        })
    });
    tokio::select! {
        ended = &mut following => return ended?,
        () = reader_left() => {}
        () = interrupts.recv() => {}
    };
    // The thread must leave the runtime before the runtime ends. A thread blocked in a write is not
    // in the runtime.
    stop.cancel();
    let _ended = tokio::time::timeout(LEAVING, following).await;
    Ok(())
}

async fn follow(args: &WatchArgs, client: &Client) -> anyhow::Result<()> {
    let (mut entries, mut remarks) = (io::stdout(), io::stderr());
    let output = Output {
        json: args.json,
        colour: logs::colours(&entries),
        entries: &mut entries,
        remarks: &mut remarks,
    };
    Follower::new(client, args.query(), args.after, output)
        .follow()
        .await
}

/// Waits until the reader of the output has closed it, as in `slipway watch | head`. A write would
/// fail too, but the next entry may take long. For files it waits for ever.
async fn reader_left() {
    // Unchecked, because the check would make this process's writes non-blocking. Only readiness is
    // awaited, which works for sockets and terminals too.
    let out = io::stdout().as_fd().try_clone_to_owned();
    if let Ok(out) = out.and_then(pipe::Sender::from_owned_fd_unchecked)
        && out.ready(Interest::ERROR).await.is_ok()
    {
        return;
    }
    future::pending::<()>().await;
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: WatchArgs,
    }

    #[test]
    fn filters_become_the_query() {
        let line = "x --type task.* --type release.created --release 7 --mine --after 3";
        let line = Line::parse_from(line.split(' '));
        assert_eq!(
            line.args.query(),
            [
                ("type", "task.*"),
                ("type", "release.created"),
                ("releaseId", "7"),
                ("mine", "true"),
            ]
        );
        assert_eq!(line.args.after, Some(3));
        assert!(Line::parse_from(["x"]).args.query().is_empty());
    }
}
