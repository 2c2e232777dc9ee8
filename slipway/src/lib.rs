//! The one binary: every role of the mesh, and the commands of its operators.
//!
//! | module | what it gives |
//! | --- | --- |
//! | [`cli`] | what can be said on the command line |
//! | [`collections`] | the stored collections of all services, for the documentation |
//! | [`config`] | the settings: defaults < file < environment < flags |
//! | [`metrics`] | the metrics of all parts, for the documentation |
//! | [`wiring`] | the services of a role, built and running |
//! | [`commands`] | the commands that do one thing and end |
//!
//! Exit codes: 0 fine, 1 failed, 2 wrong use or wrong configuration, 3 the plan was imported
//! before.

use std::{future::Future, io, path::PathBuf, process::ExitCode, time::Duration};

use slipway_runtime::{
    life,
    telemetry::{
        logs::{self, Format},
        spans::Exporter,
    },
};

use crate::{
    cli::{Cli, Command, ConfigCommand, Role},
    commands::import::AlreadyImported,
    config::{Invalid, Layers, Settings},
};

mod allocator;
pub mod cli;
pub mod collections;
pub mod commands;
pub mod config;
mod local;
pub mod metrics;
mod output;
mod paths;
mod text;
mod version;
pub mod wiring;

/// What is left on blocking threads after the drain does not keep the process longer.
const RUNTIME_SHUTDOWN: Duration = Duration::from_millis(500);

/// Wrong use of the program that only shows after the command line was parsed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// The whole program: parses the command line and the configuration, and does what they
/// say.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::of_process() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed standard error leaves nobody to tell.
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(2)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let command = cli.command.unwrap_or(Command::All);
    let layers = Layers::of_process(cli.config, &cli.overrides);
    // What a command says is read by who typed it; what a server says is in its log.
    let format = match command.role() {
        Some(_) => layers.log_format(),
        None => Format::Human,
    };
    let Err(error) = run(command, &layers, cli.ready_file) else {
        return ExitCode::SUCCESS;
    };
    if reader_left(&error) {
        return ExitCode::SUCCESS;
    }
    logs::last_words(format, &message(&error));
    exit_code(&error)
}

fn run(command: Command, layers: &Layers, ready_file: Option<PathBuf>) -> anyhow::Result<()> {
    if ready_file.is_some() && command.role().is_none() {
        let text = "--ready-file belongs to the commands that serve: all, gateway, release, forum, \
                    chat, notify";
        return Err(UsageError(text.into()).into());
    }
    match command {
        Command::All => serve(Role::All, layers, ready_file),
        Command::Gateway => serve(Role::Gateway, layers, ready_file),
        Command::Release { command: None } => serve(Role::Release, layers, ready_file),
        Command::Release {
            command: Some(command),
        } => block_on(commands::releases::run(&command, layers))?,
        Command::Forum => serve(Role::Forum, layers, ready_file),
        Command::Chat => serve(Role::Chat, layers, ready_file),
        Command::Notify => serve(Role::Notify, layers, ready_file),
        Command::Topics { json } => block_on(commands::topics::run(layers, json))?,
        Command::Config {
            command: ConfigCommand::Check { role, strict, json },
        } => commands::check::run(layers, role, strict, json),
        Command::Login(args) => block_on(commands::account::login(&args, layers))?,
        Command::Logout(args) => block_on(commands::account::logout(&args))?,
        Command::Whoami(args) => block_on(commands::account::whoami(&args, layers))?,
        Command::Servers(args) => block_on(commands::account::servers(&args))?,
        Command::Next(args) => block_on(commands::work::next(&args, layers))?,
        Command::Start(args) => block_on(commands::work::start(&args, layers))?,
        Command::Done(args) => block_on(commands::work::done(&args, layers))?,
        Command::Pause(args) => block_on(commands::work::pause(&args, layers))?,
        Command::Hotfix(args) => block_on(commands::releases::hotfix(&args, layers))?,
        Command::Comment(args) => block_on(commands::work::comment(&args, layers))?,
        Command::Ask(args) => block_on(commands::ask::run(&args, layers))?,
        Command::Inbox(args) => block_on(commands::work::inbox(&args, layers))?,
        Command::Import(args) => block_on(commands::import::run(&args, layers))?,
        Command::Plan { command } => block_on(commands::plans::run(&command, layers))?,
        Command::DeadLetters { command } => {
            block_on(commands::dead_letters::run(&command, layers))?
        }
        Command::Audit { command } => block_on(commands::audit::run(&command, layers))?,
        Command::Admin { command } => block_on(commands::admin::run(&command, layers))?,
        Command::Watch(args) => block_on(commands::watch::run(&args, layers))?,
        Command::Backup { dir } => commands::backup::create(layers, &dir),
        Command::Restore { dir } => commands::backup::restore(layers, &dir),
        Command::Secrets { dir } => commands::secrets::run(&dir),
        Command::Healthcheck => block_on(commands::healthcheck::run(layers))?,
        Command::Completions { shell } => commands::generate::completions(shell),
        Command::Man { dir } => commands::generate::man(dir.as_deref()),
    }
}

fn serve(role: Role, layers: &Layers, ready_file: Option<PathBuf>) -> anyhow::Result<()> {
    let settings = layers.settings(Some(role))?;
    life::make_files_private();
    block_on(run_role(role, settings, layers, ready_file))?
}

async fn run_role(
    role: Role,
    settings: Settings,
    layers: &Layers,
    ready_file: Option<PathBuf>,
) -> anyhow::Result<()> {
    let filter = logs::parse_filter(&settings.log).map_err(UsageError)?;
    let exporter = settings
        .otlp_url
        .as_deref()
        .map(|url| Exporter::new(url, settings.otlp_percent, role.as_str(), version::VERSION));
    let exporter = exporter.transpose()?;
    logs::init(filter, settings.log_format(), exporter.as_ref());
    for warning in layers.warnings() {
        tracing::warn!("{warning}");
    }
    let unused = layers.unused(role);
    if !unused.is_empty() {
        let settings = unused.join(", ");
        tracing::info!(
            settings,
            "the {role} role does not use these settings and ignores them"
        );
    }
    let ended = wiring::run(role, settings, ready_file).await;
    if let Some(exporter) = exporter {
        exporter.shut_down().await;
    }
    ended
}

fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .on_thread_park(allocator::give_back)
        .build()?;
    let output = runtime.block_on(future);
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN);
    Ok(output)
}

/// Whether whoever read the output has had enough, as in `slipway watch | head`.
fn reader_left(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// The error with its causes. Some errors say their cause themselves, and some causes what they
/// are about: that is not repeated.
fn message(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if cause.starts_with(&message) {
            message = cause;
        } else if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    text::escape_lines(&message)
}

fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.is::<Invalid>() || error.is::<UsageError>() {
        ExitCode::from(2)
    } else if error.is::<AlreadyImported>() {
        ExitCode::from(3)
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn exit_codes_tell_wrong_use_from_failure() {
        let usage = UsageError("no".into()).into();
        assert_eq!(exit_code(&usage), ExitCode::from(2));
        assert_eq!(exit_code(&Invalid::default().into()), ExitCode::from(2));
        assert_eq!(exit_code(&anyhow!("no")), ExitCode::FAILURE);
    }

    #[test]
    fn a_reader_who_leaves_is_no_failure() {
        let broken = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(reader_left(&broken.into()));
        assert!(!reader_left(&anyhow!("no")));
    }

    #[test]
    fn causes_are_said_once_and_cannot_act_on_the_terminal() {
        let error = anyhow!("disk full\x07").context("cannot write");
        assert_eq!(message(&error), "cannot write: disk full\\u{7}");
        let error = anyhow!("disk full").context("cannot write: disk full");
        assert_eq!(message(&error), "cannot write: disk full");
        let error = anyhow!("release.db is damaged").context("release.db");
        assert_eq!(message(&error), "release.db is damaged");
    }
}
