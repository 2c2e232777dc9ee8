//! `login`, `logout`, `whoami` and `servers`: who works at which server.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use anyhow::Context as _;
use reqwest::Url;
use serde_json::{Value, json};

use super::{
    client::{
        Account, Client, ClientArgs, Servers, Store, ask_password, bare, base_url, local_base,
        secret, signed_in, variable,
    },
    table::{Look, Rows},
    work::print_lines,
};
use crate::{
    UsageError,
    config::{Layers, Secret},
    output,
    text::escape,
};

/// Bytes of a line of standard input that are read: more than the longest token has.
const LONGEST_LINE: u64 = 4096;

/// The most characters of a server's name.
const LONGEST_NAME: usize = 100;

/// What `login` takes.
#[derive(clap::Args)]
pub struct LoginArgs {
    /// The server; left out: it is asked for, with the configured http_addr as its default
    #[arg(env = "SLIPWAY_URL", value_name = "URL")]
    pub url: Option<String>,
    /// The name of the server for --server; left out: its host and port
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Name or email address to sign in with; left out: it is asked for. The password comes from
    /// SLIPWAY_PASSWORD or is asked for
    #[arg(long, env = "SLIPWAY_USERNAME", value_name = "NAME")]
    pub username: Option<String>,
    /// Sign in with a token for programs, as the page /profile makes them: it is asked for, or read
    /// from the first line of standard input
    #[arg(long)]
    pub token: bool,
    /// Print who is signed in as JSON
    #[arg(long)]
    pub json: bool,
}

/// What `logout` takes.
#[derive(clap::Args)]
pub struct LogoutArgs {
    /// The server by its name; left out: the default one
    #[arg(long, value_name = "NAME")]
    pub server: Option<String>,
    /// Print the server as JSON
    #[arg(long)]
    pub json: bool,
}

/// What `whoami` takes.
#[derive(clap::Args)]
pub struct WhoamiArgs {
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
    /// Which server, and who signs in.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// What `servers` takes.
#[derive(clap::Args)]
pub struct ServersArgs {
    /// Make this one the default
    #[arg(long, value_name = "NAME")]
    pub default: Option<String>,
    /// Print each as a JSON object on one line
    #[arg(long)]
    pub json: bool,
}

/// Signs in, and keeps the session for the commands after this one.
///
/// # Errors
/// If the server cannot be reached or refuses, or the session cannot be kept.
pub async fn login(args: &LoginArgs, layers: &Layers) -> anyhow::Result<()> {
    // Before a password is asked for.
    let store = Store::of_user()?;
    store.read()?;
    let url = match &args.url {
        None if io::stdin().is_terminal() && !args.token => asked_url(layers)?,
        url => base_url(url.as_deref(), layers)?,
    };
    let name = match &args.name {
        Some(name) => checked(name)?.to_owned(),
        None => host(&url),
    };
    if url.scheme() == "http" && !is_local(&url) {
        output::remark("the connection is not encrypted: others may read what you send");
    }
    let mut client = Client::new(url)?;
    let (user, account) = match args.token {
        true => client.log_in_with(asked_token()?).await?,
        false => {
            let username = match &args.username {
                Some(username) => username.clone(),
                None => asked("Username or email address: ")?,
            };
            let password = match variable("SLIPWAY_PASSWORD")? {
                Some(password) => password,
                None => ask_password(&username)?,
            };
            client.log_in(username, password).await?
        }
    };
    let before = keep(&store, &name, account.clone()).await?;
    if let Some(before) = before.filter(|before| *before != account)
        && let Err(error) = Client::end(&before).await
    {
        tracing::debug!(%error, "failed to end the session before");
    }
    if args.json {
        return print_lines(&[about(&name, &account.url, &user.username, &user.role)]);
    }
    let (who, at) = (escape(&user.username), &account.url);
    output::print(&format!(
        "Signed in as {who} at {at}, which is {name} here.\n"
    ))
}

/// Keeps the account as the one of the server, which becomes the default. Returns the one before.
async fn keep(store: &Store, name: &str, account: Account) -> anyhow::Result<Option<Account>> {
    let mut locked = store.lock().await?;
    let before = locked.servers.servers.insert(name.to_owned(), account);
    locked.servers.default = Some(name.to_owned());
    locked.save()?;
    Ok(before)
}

/// Ends the session, and forgets it.
///
/// # Errors
/// If there is none, or it cannot be forgotten. A server that cannot be reached is remarked.
pub async fn logout(args: &LogoutArgs) -> anyhow::Result<()> {
    let store = Store::of_user()?;
    let (name, account) = {
        let mut locked = store.lock().await?;
        let name = named(&locked.servers, args.server.as_deref())?;
        let account = locked.servers.servers.remove(&name);
        if locked.servers.default.as_ref() == Some(&name) {
            let mut others = locked.servers.servers.keys();
            // With several there is no obvious one.
            let other = others.next().cloned().filter(|_| others.next().is_none());
            locked.servers.default = other;
        }
        locked.save()?;
        (name, account.context("the server is not known any more")?)
    };
    let ended = Client::end(&account).await;
    match &ended {
        Ok(()) if account.refresh_token.is_none() => output::remark(
            "the token stays valid until it expires or is revoked, on the page /profile",
        ),
        Ok(()) => {}
        Err(error) => output::remark(&format!(
            "the session is forgotten here, but {error}; it ends when it expires, or on the page \
             /profile"
        )),
    }
    if args.json {
        let left = json!({"server": name, "url": account.url, "ended": ended.is_ok()});
        return print_lines(&[left]);
    }
    output::print(&format!("Signed out of {name}.\n"))
}

/// Prints who is signed in, and where.
///
/// # Errors
/// If the server cannot be reached or refuses.
pub async fn whoami(args: &WhoamiArgs, layers: &Layers) -> anyhow::Result<()> {
    let print = async |client: &Client, user: super::client::User| {
        let (server, url) = (client.server().unwrap_or_default(), client.url("", &[]));
        if args.json {
            return print_lines(&[about(server, &url, &user.username, &user.role)]);
        }
        let (who, role) = (escape(&user.username), escape(&user.role.to_lowercase()));
        output::print(&format!("{who} ({role}) at {url}\n"))
    };
    signed_in(&args.client, layers, print).await
}

/// Lists the servers that sessions are kept for.
///
/// # Errors
/// If the one to become the default is not known, or the file cannot be used.
pub async fn servers(args: &ServersArgs) -> anyhow::Result<()> {
    let store = Store::of_user()?;
    let servers = match &args.default {
        None => store.read()?,
        Some(name) => {
            let mut locked = store.lock().await?;
            let name = named(&locked.servers, Some(name))?;
            locked.servers.default = Some(name);
            locked.save()?;
            locked.servers.clone()
        }
    };
    let is_default = |name: &String| servers.default.as_ref() == Some(name);
    if args.json {
        let lines = servers.servers.iter().map(|(name, account)| {
            json!({
                "server": name, "url": account.url, "username": account.username,
                "default": is_default(name),
            })
        });
        return print_lines(&lines.collect::<Vec<_>>());
    }
    if servers.servers.is_empty() {
        output::remark("slipway login knows no server yet");
        return Ok(());
    }
    let mut rows = Rows::new(&["", "SERVER", "URL", "ACCOUNT"]);
    for (name, account) in &servers.servers {
        let mark = if is_default(name) { "*" } else { "" };
        rows.add(&[
            (mark, Look::Good),
            (name, Look::Plain),
            (account.url.as_str(), Look::Plain),
            (&account.username, Look::Plain),
        ]);
    }
    rows.print()
}

/// The name of a server that is known: the given one, or the default one.
fn named(servers: &Servers, name: Option<&str>) -> Result<String, UsageError> {
    match (name, &servers.default) {
        (Some(name), _) if servers.servers.contains_key(name) => Ok(name.to_owned()),
        (Some(name), _) => Err(servers.unknown(name)),
        (None, Some(name)) => Ok(name.clone()),
        (None, None) => Err(UsageError(match servers.servers.is_empty() {
            true => "you are signed in nowhere".into(),
            false => "say which server with --server".into(),
        })),
    }
}

fn about(server: &str, url: &Url, username: &str, role: &str) -> Value {
    json!({"server": server, "url": url, "username": username, "role": role})
}

/// A name of a server, which messages and scripts can have as it is.
fn checked(name: &str) -> Result<&str, UsageError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-:[]".contains(c);
    let is_name = (1..=LONGEST_NAME).contains(&name.len())
        && !name.starts_with('-')
        && name.chars().all(is_plain);
    let wrong = "--name must be 1 to 100 letters, digits and . _ - :, such as staging";
    is_name
        .then_some(name)
        .ok_or_else(|| UsageError(wrong.into()))
}

/// The host and port of an address.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Whether the address is on this machine.
fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn asked_url(layers: &Layers) -> anyhow::Result<Url> {
    let local = local_base(layers).ok();
    let prompt = match &local {
        Some(local) => format!("Server [{local}]: "),
        None => "Server: ".to_owned(),
    };
    let text = asked(&prompt);
    match (text, local) {
        (Ok(text), _) if !text.is_empty() => base_url(Some(&text), layers),
        (Ok(_), Some(local)) => Ok(local),
        (Ok(_), None) => base_url(None, layers),
        (Err(error), _) => Err(error),
    }
}

/// Asks for a line on the terminal.
fn asked(prompt: &str) -> anyhow::Result<String> {
    if !io::stdin().is_terminal() {
        let text = "there is no terminal to ask for the account; give --username, or --token";
        return Err(UsageError(text.into()).into());
    }
    let mut errors = io::stderr();
    errors.write_all(prompt.as_bytes())?;
    errors.flush()?;
    line()
}

/// Asks for a token, or reads one from standard input.
fn asked_token() -> anyhow::Result<Secret> {
    let text = match io::stdin().is_terminal() {
        true => rpassword::prompt_password("Token: ")?,
        false => line()?,
    };
    let token = bare(&secret("the token", text.trim().to_owned())?);
    if token.expose().is_empty() {
        return Err(UsageError("there is no token on standard input".into()).into());
    }
    Ok(token)
}

/// A line of standard input.
fn line() -> anyhow::Result<String> {
    let mut line = String::new();
    let read = io::stdin().lock().take(LONGEST_LINE).read_line(&mut line);
    read.context("standard input cannot be read")?;
    Ok(line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_called_by_its_host_and_port_unless_it_is_named() {
        for (url, name) in [
            ("https://slipway.example.com/x", "slipway.example.com"),
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://[::1]:8080", "[::1]:8080"),
        ] {
            assert_eq!(host(&url.parse().unwrap()), name);
            assert!(checked(name).is_ok(), "{name}");
        }
        for wrong in ["", "-x", "a b", "a\u{1b}", "é", &"x".repeat(101)] {
            assert!(checked(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn only_this_machine_needs_no_encryption() {
        for (url, local) in [
            ("http://localhost:1", true),
            ("http://127.0.0.1", true),
            ("http://[::1]", true),
            ("http://example.com", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(is_local(&url.parse().unwrap()), local, "{url}");
        }
    }
}
