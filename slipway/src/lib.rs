//! The one binary: every role of the mesh, and the commands of its operators.
//!
//! | module | what it gives |
//! | --- | --- |
//! | [`cli`] | what can be said on the command line |
//! | [`config`] | the settings: defaults < file < environment < flags |
//! | [`wiring`] | the services of a role, built and running |
//! | [`commands`] | `config check`, `import`, `watch` |
//!
//! Exit codes: 0 fine, 1 failed, 2 wrong use or wrong configuration.

use std::{future::Future, io, process::ExitCode, time::Duration};

use clap::Parser as _;
use slipway_mesh::telemetry::logs;

use crate::{
    cli::{Cli, Command, ConfigCommand, Role},
    config::{Invalid, Layers},
};

pub mod cli;
pub mod commands;
pub mod config;
mod text;
pub mod wiring;

/// What is left on blocking threads after the drain does not keep the process longer.
const RUNTIME_SHUTDOWN: Duration = Duration::from_secs(1);

/// Wrong use of the program that only shows after the command line was parsed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// The whole program: parses the command line and the configuration, and does what they
/// say.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
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
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let command = cli.command.unwrap_or(Command::All);
    if cli.ready_file.is_some() && command.role().is_none() {
        let text = "--ready-file belongs to the commands that serve: all, gateway, release, notify";
        return Err(UsageError(text.into()).into());
    }
    let layers = Layers::of_process(cli.config, &cli.overrides);
    match command {
        Command::All => serve(Role::All, &layers, cli.ready_file),
        Command::Gateway => serve(Role::Gateway, &layers, cli.ready_file),
        Command::Release => serve(Role::Release, &layers, cli.ready_file),
        Command::Notify => serve(Role::Notify, &layers, cli.ready_file),
        Command::Config {
            command: ConfigCommand::Check { role, json },
        } => commands::check::run(&layers, role, json),
        Command::Import(args) => block_on(commands::import::run(&args, &layers))?,
        Command::Watch(args) => block_on(commands::watch::run(&args, &layers))?,
    }
}

fn serve(
    role: Role,
    layers: &Layers,
    ready_file: Option<std::path::PathBuf>,
) -> anyhow::Result<()> {
    let settings = layers.settings(Some(role))?;
    let filter = logs::parse_filter(&settings.log).map_err(UsageError)?;
    logs::init(filter, settings.log_format);
    block_on(wiring::run(role, settings, ready_file))?
}

fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let output = runtime.block_on(future);
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN);
    Ok(output)
}

/// Says why the program ends, and with which exit code.
fn fail(error: &anyhow::Error) -> ExitCode {
    let reader_left = error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
    if reader_left {
        return ExitCode::SUCCESS;
    }
    let message = text::escape_lines(&format!("{error:#}"));
    // A closed standard error leaves nobody to tell.
    let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("slipway: {message}\n"));
    if error.is::<Invalid>() || error.is::<UsageError>() {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_tell_wrong_use_from_failure() {
        let code = |error: anyhow::Error| format!("{:?}", fail(&error));
        let two = format!("{:?}", ExitCode::from(2));
        assert_eq!(code(UsageError("no".into()).into()), two);
        assert_eq!(code(Invalid::default().into()), two);
        assert_eq!(
            code(anyhow::anyhow!("no")),
            format!("{:?}", ExitCode::FAILURE)
        );
        assert_eq!(
            code(io::Error::from(io::ErrorKind::BrokenPipe).into()),
            format!("{:?}", ExitCode::SUCCESS)
        );
    }
}
