//! Binds the listeners of a process, and announces their addresses.

use std::{
    fs,
    io::{self, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use release_svc::identity::Username;
use serde::Serialize;
use serde_json::json;
use slipway_runtime::telemetry::logs::Format;
use tokio::net::{TcpListener, TcpSocket};

use crate::{
    cli::Role,
    config::{KEYS, Key, Settings},
    local::reached_at,
    output,
    version::VERSION,
};

/// Backlog of each listener; the kernel may allow fewer connections.
const BACKLOG: u32 = 1024;

/// The bound sockets of a process.
pub(super) struct Listeners {
    pub(super) http: Option<TcpListener>,
    pub(super) grpc: Option<TcpListener>,
    pub(super) ops: TcpListener,
    http_scheme: &'static str,
    grpc_scheme: &'static str,
}

/// The bound addresses, as URLs.
#[derive(Debug, Serialize)]
pub(super) struct Addresses {
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grpc: Option<String>,
    ops: String,
}

impl Listeners {
    /// Binds the listeners of `role`.
    ///
    /// # Errors
    /// Every address that cannot be bound, in one message.
    pub(super) fn bind(role: Role, settings: &Settings) -> anyhow::Result<Self> {
        let mut faults = Vec::new();
        let mut bind = |wanted: bool, key: &Key, address: SocketAddr| {
            if !wanted {
                return None;
            }
            listen(address)
                .map_err(|error| faults.push(format!("{address} ({}): {error}", key.name)))
                .ok()
        };
        let http = bind(role.serves_http(), &KEYS.http_addr, settings.http_addr);
        let grpc = bind(role.serves_grpc(), &KEYS.grpc_addr, settings.grpc_addr);
        let ops = bind(true, &KEYS.ops_addr, settings.ops_addr);
        match ops {
            Some(ops) if faults.is_empty() => Ok(Self {
                http,
                grpc,
                ops,
                http_scheme: scheme(settings.http_tls_cert_file.is_some()),
                grpc_scheme: scheme(settings.tls_cert_file.is_some()),
            }),
            _ => bail!("cannot listen on\n  {}", faults.join("\n  ")),
        }
    }

    /// The URL at which users reach Slipway: the configured one, or else the bound HTTP address. If
    /// another process serves HTTP, it is only a guess from the configured address.
    pub(super) fn public_url(&self, settings: &Settings) -> io::Result<String> {
        let bound = self.http.as_ref().map(TcpListener::local_addr);
        let bound = bound.transpose()?;
        let given = settings.public_url.as_deref();
        let bound = bound.unwrap_or(settings.http_addr);
        Ok(public_url(given, self.http_scheme, bound))
    }

    pub(super) fn addresses(&self) -> io::Result<Addresses> {
        let url = |scheme, listener: &TcpListener| -> io::Result<String> {
            Ok(format!("{scheme}://{}", listener.local_addr()?))
        };
        let http = |listener| url(self.http_scheme, listener);
        let grpc = |listener| url(self.grpc_scheme, listener);
        Ok(Addresses {
            pid: std::process::id(),
            http: self.http.as_ref().map(http).transpose()?,
            grpc: self.grpc.as_ref().map(grpc).transpose()?,
            ops: url("http", &self.ops)?,
        })
    }
}

/// Binds `address`, even if connections of an earlier process are still closing there.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn scheme(encrypted: bool) -> &'static str {
    match encrypted {
        true => "https",
        false => "http",
    }
}

fn public_url(given: Option<&str>, scheme: &str, http: SocketAddr) -> String {
    match given {
        Some(url) => url.to_owned(),
        None => format!("{scheme}://{}", reached_at(http)),
    }
}

/// Checks that a file can be written at `path`, and removes one that an earlier process left there:
/// its addresses are not valid any more.
///
/// # Errors
/// If it cannot be written.
pub(super) fn prepare_ready_file(path: &Path) -> anyhow::Result<()> {
    let draft = draft(path, std::process::id());
    let removed = match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    removed
        .and_then(|()| fs::write(&draft, ""))
        .and_then(|()| fs::remove_file(&draft))
        .with_context(|| unwritable(path))
}

fn draft(path: &Path, pid: u32) -> PathBuf {
    path.with_added_extension(format!("{pid}.tmp"))
}

fn unwritable(path: &Path) -> String {
    format!("the ready file {} cannot be written", path.display())
}

impl Addresses {
    /// Writes the addresses as JSON atomically.
    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let draft = draft(path, self.pid);
        fs::write(&draft, serde_json::to_string(self)?)
            .and_then(|()| fs::rename(&draft, path))
            .with_context(|| unwritable(path))
    }
}

impl Addresses {
    /// Announces the addresses in the log, and as text on standard output unless the log is JSON.
    pub(super) fn announce(&self, role: Role, settings: &Settings) {
        let brokers = settings.kafka_brokers.as_ref();
        let brokers = brokers.filter(|_| role.serves_grpc());
        let data = (role.serves_grpc() && settings.uses_data_dir())
            .then(|| settings.data_dir.display().to_string());
        tracing::info!(
            version = VERSION,
            role = role.as_str(),
            pid = self.pid,
            http = self.http,
            grpc = self.grpc,
            ops = self.ops,
            kafka = brokers,
            data_dir = data,
            "started"
        );
        if settings.log_format() == Format::Json {
            return;
        }
        let mut text = format!("Slipway {VERSION} ({role})\n");
        let mut line = |name: &str, value: &str| text.push_str(&format!("  {name:<6} {value}\n"));
        if let Some(http) = &self.http {
            line(
                "HTTP",
                &format!("{http} (open it in a browser; the API is described at {http}/docs)"),
            );
        }
        if let Some(grpc) = &self.grpc {
            line("gRPC", grpc);
        }
        line("ops", &format!("{}/metrics, /healthz, /readyz", self.ops));
        if let Some(brokers) = brokers {
            line("Kafka", brokers);
        }
        if let Some(data) = &data {
            line("data", data);
        }
        text.push_str("ready; stop with Ctrl-C\n");
        // Ignore a closed standard output.
        let _ = print(&text);
    }
}

/// Shows the operator the first admin's password once, on standard output, never in a log.
///
/// # Errors
/// If it cannot be written, or the output is discarded.
pub(super) fn announce_admin(
    format: Format,
    username: &Username,
    password: &str,
) -> io::Result<()> {
    const ONCE: &str = "It is shown only this once.";
    output::check_kept()?;
    let username = username.to_string();
    print(&match format {
        Format::Human => {
            format!("The first admin is {username:?} with the password {password:?}. {ONCE}\n")
        }
        Format::Json => {
            let message = format!("The first admin has a random password. {ONCE}");
            let line = json!({"message": message, "username": username, "password": password});
            format!("{line}\n")
        }
    })
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_url_is_the_configured_one_or_else_the_bound_address() {
        let bound = |address: &str| address.parse().unwrap();
        let given = "https://slipway.example.com/";
        assert_eq!(public_url(Some(given), "http", bound("127.0.0.1:1")), given);
        for (scheme, address, url) in [
            ("http", "127.0.0.1:43210", "http://127.0.0.1:43210"),
            ("http", "0.0.0.0:8080", "http://127.0.0.1:8080"),
            ("https", "[::1]:8443", "https://[::1]:8443"),
        ] {
            assert_eq!(public_url(None, scheme, bound(address)), url);
        }
    }
}
