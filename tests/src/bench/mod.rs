//! The rows of the benchmark, and the tools to measure them.
//!
//! Every row starts its own Slipway, so that no row affects the caches or data of another. The load
//! generator runs on one thread and speaks HTTP over plain sockets, because it shares the machine's
//! cores with the server.

mod answers;
mod arrivals;
mod audit;
mod comments;
mod events;
mod floods;
mod listener;
mod load;
mod mails;
mod observing;
mod probe;
mod reminders;
mod report;
mod requests;
mod shed;
mod start;
mod streams;
mod wire;
mod work;

use std::{net::SocketAddr, time::Duration};

use anyhow::Context as _;
use clap::ValueEnum;
use slipway_tests::Process;

pub(crate) use probe::machine;
pub(crate) use report::{Line, print, to_json};

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Row {
    /// From start to the first answered request, on existing data
    Start,
    /// Memory when idle and under load
    Memory,
    /// Durable commands a second
    Commands,
    /// Reads a second
    Reads,
    /// Commands and reads at once
    Mixed,
    /// How many commands share a commit
    Commits,
    /// From a commit to 1,000 clients of the stream
    Fanout,
    /// Memory of connected clients of the stream
    Streams,
    /// Comments posted a second
    Posts,
    /// First pages a second of a discussion with 100,000 comments
    Pages,
    /// 10,000 replies in one chain, and to one comment
    Threads,
    /// 100 answers of a slow model at once
    Answers,
    /// Verification of an audit trail of 100,000 entries
    Audit,
    /// How long a refusal takes while a service is gone or paused
    Shed,
    /// Notifications a second, and from a command to the mail server
    Mails,
    /// What floods of hostile clients cost, and what others notice
    Floods,
    /// Memory while nobody scrapes the metrics
    Soak,
    /// What it costs that metrics are scraped and traces exported
    Observing,
    /// The rows `commands` and `reads` on a real Kafka and a MongoDB-compatible server
    OnServers,
    /// The row `threads` on a MongoDB-compatible server
    ThreadsOnMongodb,
    /// From a commit to the topic and to the activity feed, on a real Kafka and MongoDB
    Events,
    /// How late 10,000 reminders of one instant are, on the same, while a replica is killed
    Reminders,
}

/// How much to measure.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// How long a row is measured.
    pub(crate) time: Duration,
    /// Number of clients that send requests, each as soon as it has its answer.
    pub(crate) clients: usize,
    /// Number of stream clients in the row `streams`.
    pub(crate) streams: usize,
    /// Only floods whose name contains this text.
    pub(crate) flood: String,
}

impl Row {
    /// Whether it needs external servers, or more open files than a shell usually allows.
    pub(crate) fn only_when_named(self) -> bool {
        matches!(
            self,
            Self::Floods
                | Self::Observing
                | Self::OnServers
                | Self::ThreadsOnMongodb
                | Self::Events
                | Self::Reminders
        )
    }

    /// Measures the row.
    ///
    /// # Errors
    /// If the server misbehaves: numbers of a failing server mean nothing.
    pub(crate) async fn measure(self, plan: &Plan) -> anyhow::Result<Vec<Line>> {
        match self {
            Self::Start => start::start().await,
            Self::Memory => start::memory(plan).await,
            Self::Commands => requests::commands(plan).await,
            Self::Reads => requests::reads(plan).await,
            Self::Mixed => requests::mixed(plan).await,
            Self::Commits => requests::commits(plan).await,
            Self::Fanout => streams::fanout(plan).await,
            Self::Streams => streams::held(plan).await,
            Self::Posts => comments::posts(plan).await,
            Self::Pages => comments::pages(plan).await,
            Self::Threads => comments::threads().await,
            Self::Answers => answers::answers().await,
            Self::Audit => audit::audit().await,
            Self::Shed => shed::shed(plan).await,
            Self::Mails => mails::mails(plan).await,
            Self::Floods => floods::floods(plan).await,
            Self::Soak => floods::soak(plan).await,
            Self::Observing => observing::observing(plan).await,
            Self::OnServers => requests::on_servers(plan).await,
            Self::ThreadsOnMongodb => comments::threads_on_mongodb().await,
            Self::Events => events::events(plan).await,
            Self::Reminders => reminders::reminders().await,
        }
    }
}

/// The process's address for REST.
fn address(process: &Process) -> anyhow::Result<SocketAddr> {
    let address = process.http.strip_prefix("http://").context("plain HTTP")?;
    Ok(address.parse()?)
}
