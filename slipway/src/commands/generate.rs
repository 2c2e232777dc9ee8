//! `completions` and `man`: made from the command line's own description.

use std::{fs, path::Path};

use anyhow::Context as _;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::{cli::Cli, output};

const NAME: &str = "slipway";

/// Prints a completion script for `shell`.
///
/// # Errors
/// If standard output cannot be written.
pub fn completions(shell: Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::described(), NAME, &mut script);
    output::print(&String::from_utf8(script)?)
}

/// Prints the man page of the program, or writes it and those of its commands to `dir`.
///
/// # Errors
/// If standard output or the directory cannot be written.
pub fn man(dir: Option<&Path>) -> anyhow::Result<()> {
    let command = Cli::described();
    let Some(dir) = dir else {
        let mut page = Vec::new();
        Man::new(command).render(&mut page)?;
        return output::print(&String::from_utf8(page)?);
    };
    fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(without_help(command), dir))
        .with_context(|| format!("{} cannot be written", dir.display()))
}

/// The command with `help` hidden among its commands and theirs: it needs no pages.
fn without_help(command: Command) -> Command {
    command.mut_subcommands(|command| match command.get_name() {
        "help" => command.hide(true),
        _ => without_help(command),
    })
}
