//! A running Slipway process.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher as _, RandomState},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
#[cfg(target_os = "linux")]
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    sync::mpsc,
    task::JoinHandle,
};

use crate::{ADMIN_PASSWORD, Client};

/// Time limit for a process to start or to end.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Shared secret for calls between the services of a test.
pub const SECRET: &str = "a secret that the processes of one mesh share";

/// A key that signs tokens, the same for all processes that get it.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";

/// How to start a process.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Additional arguments.
    pub args: Vec<String>,
    /// Additional environment variables.
    pub env: Vec<(String, String)>,
    /// Names of default environment variables to omit.
    pub without: Vec<String>,
    /// How many files it may have open; `None`: as many as this process.
    pub open_files: Option<u32>,
}

impl Options {
    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Sets a key that signs tokens, which is written into `dir`. Processes with this key accept
    /// each other's tokens.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn signing(self, dir: &Path) -> std::io::Result<Self> {
        let file = dir.join("key.pem");
        std::fs::write(&file, KEY)?;
        Ok(self.env("SLIPWAY_JWT_KEY_FILE", file.to_string_lossy()))
    }

    /// Sets the shared secret for calls between services.
    #[must_use]
    pub fn of_the_mesh(self) -> Self {
        self.env("SLIPWAY_SERVICE_SECRET", SECRET)
    }

    /// Starts it as a gateway to all services at `urls`.
    #[must_use]
    pub fn gateway(self, urls: &str) -> Self {
        self.arg("gateway")
            .env("SLIPWAY_RELEASE_URL", urls)
            .env("SLIPWAY_FORUM_URL", urls)
            .env("SLIPWAY_CHAT_URL", urls)
            .env("SLIPWAY_NOTIFY_URL", urls)
    }
}

/// A running process; killed when dropped.
pub struct Process {
    child: Child,
    errors: Output,
    output: Output,
    /// Base URL of the REST API; empty if this role has none.
    pub http: String,
    /// URL of the gRPC services; empty if this role has none.
    pub grpc: String,
    /// URL of metrics and health.
    pub ops: String,
    /// Its data directory, which is deleted with the last process that uses it.
    pub data: Arc<TempDir>,
}

impl Process {
    /// Starts a process with a new data directory.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(&Options::default()).await
    }

    /// The same, with options.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn start_with(options: &Options) -> anyhow::Result<Self> {
        Self::start_on(Arc::new(tempfile::tempdir()?), options).await
    }

    /// Starts a process with an existing data directory.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn start_on(data: Arc<TempDir>, options: &Options) -> anyhow::Result<Self> {
        let ready = data.path().join("ready.json");
        let mut child = command(data.path(), options)
            .arg("--ready-file")
            .arg(&ready)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (begun, mut started) = mpsc::channel(1);
        let errors = child.stderr.take().context("it has a log")?;
        let output = child.stdout.take().context("it has an output")?;
        let errors = Output::collect(errors, has_started, begun.clone());
        let output = Output::collect(output, |line| line.trim_start().starts_with("ready"), begun);
        if tokio::time::timeout(TIMEOUT, started.recv())
            .await?
            .is_none()
        {
            let status = child.wait().await?;
            bail!("it ended with {status}: {}", errors.all().await?);
        }
        let addresses: Value = serde_json::from_slice(&tokio::fs::read(&ready).await?)?;
        let url = |name: &str| addresses[name].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            child,
            errors,
            output,
            http: url("http"),
            grpc: url("grpc"),
            ops: url("ops"),
            data,
        })
    }

    /// A client that is not signed in.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&self.http)
    }

    /// A client signed in as the first admin.
    ///
    /// # Errors
    /// If signing in fails.
    pub async fn admin(&self) -> anyhow::Result<Client> {
        self.client().login("admin", ADMIN_PASSWORD).await
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Sends it a signal by name, such as `TERM`.
    ///
    /// # Errors
    /// If there is no such process.
    pub async fn signal(&self, name: &str) -> anyhow::Result<()> {
        signal(&self.child, name).await
    }

    /// Waits until it has ended; returns its exit status and its log.
    ///
    /// # Errors
    /// If it does not end.
    pub async fn ended(mut self) -> anyhow::Result<(ExitStatus, String)> {
        let status = tokio::time::timeout(TIMEOUT, self.child.wait()).await??;
        Ok((status, self.errors.all().await?))
    }

    /// The same, with its standard output before its log.
    ///
    /// # Errors
    /// If it does not end.
    pub async fn ended_with_output(mut self) -> anyhow::Result<(ExitStatus, String, String)> {
        let status = tokio::time::timeout(TIMEOUT, self.child.wait()).await??;
        Ok((status, self.output.all().await?, self.errors.all().await?))
    }

    /// Its standard output so far.
    #[must_use]
    pub fn output(&self) -> String {
        self.output.so_far()
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.errors.so_far()
    }

    /// Limits the size of each file it writes: with 0, it cannot write at all. `None` removes the
    /// limit.
    ///
    /// # Errors
    /// If there is no such process.
    #[cfg(target_os = "linux")]
    pub fn limit_file_size(&self, bytes: Option<u64>) -> anyhow::Result<()> {
        let pid = i32::try_from(self.pid())?;
        let pid = Pid::from_raw(pid).context("it runs")?;
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        prlimit(Some(pid), Resource::Fsize, limit)?;
        Ok(())
    }

    /// Kills it as a power failure would, and returns its data directory.
    ///
    /// # Errors
    /// If it has already ended.
    pub async fn kill(mut self) -> anyhow::Result<Arc<TempDir>> {
        self.child.kill().await?;
        Ok(self.data)
    }
}

/// Runs the program until it ends, for commands and for starts that fail. Returns its exit status,
/// standard output and standard error.
///
/// # Errors
/// If it cannot be run.
pub async fn run(dir: &Path, options: &Options) -> anyhow::Result<(ExitStatus, String, String)> {
    let output = command(dir, options).stdin(Stdio::null()).output();
    let output = tokio::time::timeout(TIMEOUT, output).await??;
    Ok((
        output.status,
        String::from_utf8(output.stdout)?,
        String::from_utf8(output.stderr)?,
    ))
}

/// Starts the program with its outputs in pipes, for processes that do not end by themselves.
///
/// # Errors
/// If it cannot be run.
pub fn begin(dir: &Path, options: &Options) -> std::io::Result<Child> {
    command(dir, options)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// Sends a process a signal by name, such as `TERM`.
///
/// # Errors
/// If there is no such process.
pub async fn signal(child: &Child, name: &str) -> anyhow::Result<()> {
    let pid = child.id().context("it has ended")?.to_string();
    let sent = Command::new("kill")
        .args([format!("-{name}"), pid])
        .status()
        .await?;
    if sent.success() {
        Ok(())
    } else {
        Err(anyhow!("kill -{name} failed"))
    }
}

/// A broken standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unheard {
    /// Its reader has closed the pipe.
    Gone,
    /// It was closed before the start and replaced by `/dev/null`.
    Closed,
    /// The device is full.
    Full,
}

/// Runs the program with a broken standard output. Returns its exit status and standard error.
///
/// # Errors
/// If it cannot be run, or does not end.
pub async fn run_unheard(
    dir: &Path,
    options: &Options,
    output: Unheard,
) -> anyhow::Result<(ExitStatus, String)> {
    let writer = match output {
        Unheard::Gone => Stdio::from(std::io::pipe()?.1),
        Unheard::Closed => Stdio::null(),
        Unheard::Full => Stdio::from(std::fs::OpenOptions::new().write(true).open("/dev/full")?),
    };
    let child = command(dir, options)
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()?;
    let output = tokio::time::timeout(TIMEOUT, child.wait_with_output()).await??;
    Ok((output.status, String::from_utf8(output.stderr)?))
}

/// The program, on ports that the system chooses and without this process's environment.
fn command(dir: &Path, options: &Options) -> Command {
    let mut command = match options.open_files {
        None => Command::new(program()),
        Some(limit) => {
            let mut shell = Command::new("/bin/sh");
            let script = format!("ulimit -n {limit} && exec \"$0\" \"$@\"");
            shell.arg("-c").arg(script).arg(program());
            shell
        }
    };
    command
        .args(&options.args)
        .current_dir(dir)
        .env_clear()
        .env("RUST_BACKTRACE", "1")
        .env("SLIPWAY_DATA_DIR", dir.join("data"))
        .env("SLIPWAY_HTTP_ADDR", "127.0.0.1:0")
        .env("SLIPWAY_GRPC_ADDR", "127.0.0.1:0")
        .env("SLIPWAY_OPS_ADDR", "127.0.0.1:0")
        .env("SLIPWAY_ADMIN_PASSWORD", ADMIN_PASSWORD)
        // All developers in all tests register from one address.
        .env("SLIPWAY_REGISTRATION_RATE", "1000000")
        .env("SLIPWAY_USER_RATE", "1000000")
        .env("SLIPWAY_ADDRESS_RATE", "1000000")
        .env("SLIPWAY_SIGN_IN_RATE", "1000000")
        .envs(options.env.iter().cloned())
        .kill_on_drop(true);
    for name in &options.without {
        command.env_remove(name);
    }
    command
}

/// A free address for a process that keeps it across restarts: below the ports that the system
/// assigns and those that the backbones use. It may be bound much later, so each address is
/// returned only once.
///
/// # Panics
/// Only if another thread panicked in it.
#[must_use]
pub fn free_address() -> String {
    static GIVEN: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());
    loop {
        let port = 10_000 + RandomState::new().hash_one(0) % 10_000;
        let address = format!("127.0.0.1:{port}");
        let first = GIVEN.lock().expect("nobody panics with it").insert(port);
        if first && std::net::TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

/// The program under test is in the directory of the tests or in the one above.
fn program() -> PathBuf {
    let own = std::env::current_exe().expect("a running program knows its path");
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join("slipway-under-test"))
        .find(|path| path.exists())
        .expect("cargo builds a package's programs before its tests")
}

/// Whether a line of a JSON log reports that the process serves.
fn has_started(line: &str) -> bool {
    let line: Option<Value> = serde_json::from_str(line).ok();
    line.is_some_and(|line| line["message"] == "started")
}

/// Collects one output of a process. It is read continuously, so that the process never blocks.
struct Output {
    text: Arc<Mutex<String>>,
    reading: JoinHandle<()>,
}

impl Output {
    /// Reads `output`; notifies `begun` of the line that reports that the process serves.
    fn collect(
        output: impl AsyncRead + Send + Unpin + 'static,
        is_start: fn(&str) -> bool,
        begun: mpsc::Sender<()>,
    ) -> Self {
        let text: Arc<Mutex<String>> = Arc::default();
        let collected = Arc::clone(&text);
        let reading = tokio::spawn(async move {
            let mut begun = Some(begun);
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            // After a kill, the output so far remains.
            while let Ok(1..) = output.read_until(b'\n', &mut line).await {
                let decoded = String::from_utf8_lossy(&line);
                if begun.is_some() && is_start(&decoded) {
                    // The receiver needs only one message.
                    let _ = begun.take().map(|begun| begun.try_send(()));
                }
                collected
                    .lock()
                    .expect("nobody panics with it")
                    .push_str(&decoded);
                line.clear();
            }
        });
        Self { text, reading }
    }

    fn so_far(&self) -> String {
        self.text.lock().expect("nobody panics with it").clone()
    }

    /// Everything, once the process has ended.
    async fn all(self) -> anyhow::Result<String> {
        self.reading.await?;
        let text = self.text.lock().expect("nobody panics with it");
        Ok(text.clone())
    }
}
