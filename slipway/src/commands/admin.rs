//! `admin`: what an operator does with accounts on the host of the database.

use std::io::{self, BufRead as _, Read as _};

use anyhow::Context as _;
use release_svc::accounts::{ResetError, reset_password};
use slipway_rpc::access::Role;
use slipway_runtime::{clock::SystemClock, life};

use crate::{UsageError, cli::AdminCommand, config::Layers, output, text::escape, wiring};

/// Bytes of standard input that are read: more than the longest password has.
const LONGEST_LINE: u64 = 1024;

/// Does what `command` says.
///
/// # Errors
/// If the database cannot be used, or the command is refused.
pub async fn run(command: &AdminCommand, layers: &Layers) -> anyhow::Result<()> {
    let AdminCommand::ResetPassword {
        account,
        password_stdin,
    } = command;
    let settings = layers.settings(None)?;
    life::make_files_private();
    let password = password_stdin.then(first_line).transpose()?;
    let reset = wiring::with_release_stores(&settings, async |stores| {
        reset_password(stores, &SystemClock, account.trim(), password.as_deref()).await
    });
    let (user, made_up) = match reset.await? {
        Ok(reset) => reset,
        Err(error @ (ResetError::Unknown | ResetError::Password(_))) => {
            return Err(UsageError(format!("{}: {error}", escape(account))).into());
        }
        Err(error) => return Err(error.into()),
    };
    let role = match user.role {
        Role::Admin => "an administrator",
        Role::Developer | Role::Service => "a developer",
    };
    let set = match made_up {
        Some(password) => format!(
            "The new password of {}, {role}, is {password}",
            user.username
        ),
        None => format!("The password of {}, {role}, is set", user.username),
    };
    output::print(&format!("{set}\n"))
}

/// The first line of standard input.
fn first_line() -> anyhow::Result<String> {
    let mut line = String::new();
    let read = io::stdin().lock().take(LONGEST_LINE).read_line(&mut line);
    read.context("standard input cannot be read")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
