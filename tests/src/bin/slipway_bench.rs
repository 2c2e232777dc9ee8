//! Measures Slipway against the operator's contract: starts its own process, puts load on it, and
//! prints the results next to the targets. A missed target is not a failure.

#[path = "../bench/mod.rs"]
mod bench;

use std::{env, process::Command, time::Duration};

use anyhow::{Context as _, ensure};
use clap::{Parser, ValueEnum as _};

use bench::{Plan, Row, machine, print, to_json};

/// Measure Slipway on this machine.
///
/// Starts a Slipway of its own on a temporary directory for every row, and prints the
/// figures beside the targets. The generator shares the machine with the server: let
/// nothing else run.
///
/// Example: slipway-bench --only commands --only reads --seconds 30
#[derive(Parser)]
#[command(name = "slipway-bench", verbatim_doc_comment)]
struct Options {
    /// Measure this row only; may be repeated
    #[arg(long, value_enum, value_name = "ROW")]
    only: Vec<Row>,
    /// How long each row is measured
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Clients that send requests
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(2..=1000))]
    clients: u16,
    /// Clients of the stream in the row `streams`, and silent connections in the row `floods`;
    /// 20000 need `ulimit -n 20100`, or 28100 for floods
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u16).range(1..=25_000))]
    streams: u16,
    /// In the row `floods`, measure only those whose name contains TEXT
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    flood: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    build_server()?;
    // One thread, so that the load generator leaves the cores to the server.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure(&options))
}

async fn measure(options: &Options) -> anyhow::Result<()> {
    let plan = Plan {
        time: Duration::from_secs(options.seconds),
        clients: options.clients.into(),
        streams: options.streams.into(),
        flood: options.flood.clone(),
    };
    let rows = if options.only.is_empty() {
        // Floods take minutes and more open files than most shells allow; other rows need servers.
        let usual = Row::value_variants().iter().copied();
        usual.filter(|row| !row.only_when_named()).collect()
    } else {
        options.only.clone()
    };
    let machine = machine();
    if cfg!(debug_assertions) {
        eprintln!("This is not a release build: the figures say nothing about one.");
    }
    let mut lines = Vec::new();
    for row in rows {
        eprintln!("measuring {row:?} …");
        lines.extend(
            row.measure(&plan)
                .await
                .with_context(|| format!("{row:?}"))?,
        );
    }
    if options.json {
        println!("{:#}", to_json(&machine, &lines));
    } else {
        println!("{machine}\n");
        print(&lines);
    }
    Ok(())
}

/// Under `cargo run`, builds the program to measure: cargo itself builds only the program that it
/// runs.
fn build_server() -> anyhow::Result<()> {
    let (Ok(cargo), Ok(package)) = (env::var("CARGO"), env::var("CARGO_MANIFEST_DIR")) else {
        return Ok(());
    };
    let mut build = Command::new(cargo);
    build
        .args(["build", "--bin", "slipway-under-test"])
        .current_dir(package);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    let status = build.status().context("cargo cannot be run")?;
    ensure!(status.success(), "the server cannot be built");
    Ok(())
}
