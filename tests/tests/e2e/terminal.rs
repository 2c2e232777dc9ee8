//! A day's work in a terminal, as from a shell.

mod accounts;
mod plans;
mod work;

use std::path::Path;

use anyhow::ensure;
use serde_json::{Value, json};
use slipway_tests::{ADMIN_PASSWORD, Client, Options, Process, process, programs, until};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{ChildStdin, Command},
};

/// The password of every developer here.
const PASSWORD: &str = "engine no. 1";

/// What a command has ended with.
struct Ended {
    code: Option<i32>,
    output: String,
    errors: String,
}

impl Ended {
    /// What it printed; it must have succeeded.
    fn fine(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.errors);
        self.output
    }

    /// What it printed as JSON, an object for each line; it must have succeeded.
    fn json(self) -> Vec<Value> {
        let output = self.fine();
        let lines = output
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }

    /// What it said; it must have failed with this code, and printed nothing.
    fn refused(self, code: i32) -> String {
        assert_eq!(
            (self.code, self.output.as_str()),
            (Some(code), ""),
            "{}",
            self.errors
        );
        self.errors
    }
}

/// A shell of somebody: a home directory, in which sessions are kept.
struct Shell {
    home: tempfile::TempDir,
}

impl Shell {
    fn new() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
        }
    }

    fn options(&self, arguments: &[&str]) -> Options {
        let home = self.home.path().to_string_lossy();
        arguments
            .iter()
            .fold(Options::default(), |options, argument| {
                options.arg(*argument)
            })
            .env("HOME", home)
    }

    /// Runs a command.
    async fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(self.options(arguments)).await
    }

    async fn run_with(&self, options: Options) -> Ended {
        let ended = process::run(self.home.path(), &options).await;
        let (status, output, errors) = ended.unwrap();
        Ended {
            code: status.code(),
            output,
            errors,
        }
    }

    /// A shell of somebody who is signed in.
    async fn of(server: &Process, username: &str, password: &str) -> Self {
        let shell = Self::new();
        shell.login(server, username, password, &[]).await.fine();
        shell
    }

    async fn login(
        &self,
        server: &Process,
        username: &str,
        password: &str,
        more: &[&str],
    ) -> Ended {
        let arguments = [&["login", &server.http, "--username", username], more].concat();
        let options = self.options(&arguments).env("SLIPWAY_PASSWORD", password);
        self.run_with(options).await
    }

    fn file(&self) -> std::path::PathBuf {
        self.home.path().join(".local/state/slipway/servers.json")
    }

    fn kept(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.file()).unwrap()).unwrap()
    }
}

/// A server with developers of these names.
async fn server(names: &[&str]) -> (Process, Client) {
    let server = Process::start().await.unwrap();
    let admin = server.admin().await.unwrap();
    for name in names {
        register(&admin, name).await;
    }
    (server, admin)
}

async fn register(admin: &Client, name: &str) {
    let account = json!({
        "username": name, "email": format!("{name}@example.com"), "password": PASSWORD,
    });
    let answer = admin.post("/auth/register", &account).await.unwrap();
    let _ = answer.expect(201);
}

/// A release of this name with tasks: titles and their owners.
async fn release(admin: &Client, name: &str, tasks: &[(&str, &str)]) -> Value {
    let tasks = tasks
        .iter()
        .map(|(title, owner)| json!({"title": title, "assignee": owner}));
    let body = json!({"name": name, "tasks": tasks.collect::<Vec<_>>()});
    admin.post("/releases", &body).await.unwrap().expect(201)
}

/// A command on a terminal.
struct Terminal {
    child: tokio::process::Child,
    input: ChildStdin,
    seen: String,
}

impl Terminal {
    /// Runs `line` in a shell on a terminal with this many columns; `None` if there is no program
    /// that makes terminals.
    fn start(home: &Path, columns: u16, line: &str) -> Option<Self> {
        Self::start_with(home, columns, line, &[])
    }

    /// The same, with these variables in its environment.
    fn start_with(home: &Path, columns: u16, line: &str, env: &[(&str, &str)]) -> Option<Self> {
        if !programs::are_installed(&["script"]).unwrap() {
            return None;
        }
        let program = env!("CARGO_BIN_EXE_slipway-under-test");
        let line = format!("stty cols {columns}; '{program}' {line}");
        let mut child = Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .current_dir(home)
            .env_clear()
            .env("PATH", std::env::var_os("PATH")?)
            .env("SHELL", "/bin/sh")
            .env("HOME", home)
            .env("TERM", "xterm")
            .envs(env.iter().copied())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Some(Self {
            input: child.stdin.take().unwrap(),
            child,
            seen: String::new(),
        })
    }

    /// Waits until the terminal shows this text.
    async fn expect(&mut self, text: &str) {
        let output = self.child.stdout.as_mut().unwrap();
        let mut piece = [0; 1024];
        let reading = async {
            while !self.seen.contains(text) {
                let length = output.read(&mut piece).await.unwrap();
                assert!(length > 0, "{text} is not in {:?}", self.seen);
                self.seen += &String::from_utf8_lossy(&piece[..length]);
            }
        };
        let read = tokio::time::timeout(std::time::Duration::from_secs(60), reading).await;
        read.unwrap_or_else(|_| panic!("{text} does not come"));
    }

    async fn type_line(&mut self, text: &str) {
        self.input
            .write_all(format!("{text}\n").as_bytes())
            .await
            .unwrap();
    }

    /// Waits for its end; returns all that the terminal has shown.
    async fn ended(mut self) -> (Option<i32>, String) {
        let mut rest = Vec::new();
        let output = self.child.stdout.as_mut().unwrap();
        output.read_to_end(&mut rest).await.unwrap();
        self.seen += &String::from_utf8_lossy(&rest);
        let status = self.child.wait().await.unwrap();
        (status.code(), self.seen)
    }
}
