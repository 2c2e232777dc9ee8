//! The client commands, run as from a shell.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Stdio, time::Duration};

use anyhow::ensure;
use serde_json::{Value, json};
use slipway_tests::{
    ADMIN_PASSWORD, Client, Options, Process,
    process::{self, Unheard},
    until,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    net::TcpListener,
    process::{Child, Command},
};

use crate::scripted;

/// Time limit for a command.
const TIMEOUT: Duration = Duration::from_secs(60);

fn as_admin(server: &Process, arguments: &[&str]) -> Options {
    let options = Options::default()
        .env("SLIPWAY_URL", &server.http)
        .env("SLIPWAY_USERNAME", "admin")
        .env("SLIPWAY_PASSWORD", ADMIN_PASSWORD);
    arguments
        .iter()
        .fold(options, |options, argument| options.arg(*argument))
}

/// Runs an import in `dir`; returns its exit code and outputs.
async fn import(server: &Process, dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let options = as_admin(server, &[&["import"][..], arguments].concat());
    let (status, output, errors) = process::run(dir, &options).await.unwrap();
    (status.code(), output, errors)
}

/// A directory with a plan of one task for ada in `plan.json`.
fn directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let plan = json!({
        "name": "Spring", "version": "2.0",
        "tasks": [{"title": "Build", "assignee": "ada"}],
    });
    fs::write(dir.path().join("plan.json"), plan.to_string()).unwrap();
    dir
}

async fn count(admin: &Client, path: &str) -> usize {
    let page = admin.get(path).await.unwrap().expect(200);
    page["items"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_of_new_developers_are_never_lost() {
    let server = Process::start().await.unwrap();
    let admin = server.admin().await.unwrap();
    let dir = directory();
    let path = dir.path().join("passwords");

    let (code, output, errors) =
        import(&server, dir.path(), &["plan.json", "--create-users"]).await;
    assert_eq!((code, output.as_str()), (Some(2), ""), "{errors}");
    assert!(errors.contains("--passwords-file"), "{errors}");
    assert_eq!(count(&admin, "/users?q=ada").await, 0);

    let into_file = [
        "plan.json",
        "--create-users",
        "--passwords-file",
        "passwords",
    ];
    fs::write(&path, "of somebody else").unwrap();
    let (code, _, errors) = import(&server, dir.path(), &into_file).await;
    assert_eq!(code, Some(1), "{errors}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "of somebody else");
    assert_eq!(count(&admin, "/users?q=ada").await, 0);

    fs::remove_file(&path).unwrap();
    let (code, output, errors) = import(&server, dir.path(), &into_file).await;
    assert_eq!(code, Some(0), "{errors}");
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with("ada "));
    let password = line.unwrap().split_whitespace().last().unwrap();
    assert!(!output.contains(password), "{output}");
    let _ = server.client().login("ada", password).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_accounts_are_created_if_their_passwords_cannot_be_printed() {
    let server = Process::start().await.unwrap();
    let admin = server.admin().await.unwrap();
    let dir = directory();
    let options = as_admin(
        &server,
        &["import", "plan.json", "--create-users", "--json"],
    );
    for output in [Unheard::Gone, Unheard::Closed, Unheard::Full] {
        let run = process::run_unheard(dir.path(), &options, output).await;
        let (status, errors) = run.unwrap();
        assert_eq!(status.code(), Some(1), "{errors}");
        assert!(errors.contains("passwords cannot be printed"), "{errors}");
        assert_eq!(count(&admin, "/users?q=ada").await, 0);
        assert_eq!(count(&admin, "/releases").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_can_come_from_standard_input_and_a_full_output_hides_no_release() {
    let server = Process::start().await.unwrap();
    let admin = server.admin().await.unwrap();
    let dir = directory();
    let plan = fs::File::open(dir.path().join("plan.json")).unwrap();
    let arguments = ["import", "-", "--create-users", "--passwords-file", "p"];
    let imported = command(&server.http, dir.path(), &arguments)
        .stdin(plan)
        .output();
    let imported = imported.await.unwrap();
    assert!(imported.status.success(), "{imported:?}");
    assert_eq!(count(&admin, "/releases").await, 1);

    let options = as_admin(&server, &["import", "plan.json", "--force"]);
    let run = process::run_unheard(dir.path(), &options, Unheard::Full).await;
    let (status, errors) = run.unwrap();
    assert_eq!(status.code(), Some(1), "{errors}");
    for words in [
        "the release is created, with the id",
        "standard output cannot be written",
    ] {
        assert!(errors.contains(words), "{words} is not in: {errors}");
    }
    assert_eq!(count(&admin, "/releases").await, 2);
    let options = as_admin(&server, &["import", "/nowhere.json"]);
    let (_, _, errors) = process::run(dir.path(), &options).await.unwrap();
    assert!(
        errors.contains("the plan /nowhere.json cannot be read"),
        "{errors}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_in_json_are_printed_before_there_is_an_account() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let dir = directory();
    let arguments = ["import", "plan.json", "--create-users", "--json"];
    let mut child = spawn(&url, dir.path(), &arguments);
    let nobody = json!({"items": [], "nextCursor": null});
    let admin = json!({"id": "1", "username": "admin", "role": "ADMIN"});
    let session = json!({"token": "t", "user": admin});
    // A server that creates the account and has not answered when the command is killed.
    let registering = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (path, body) = scripted::receive(&mut stream).await;
            match path.split('?').next().unwrap() {
                "/auth/login" => scripted::answer(&mut stream, &session.to_string()).await,
                "/auth/register" => return (stream, body),
                _ => scripted::answer(&mut stream, &nobody.to_string()).await,
            }
        }
    };
    let registering = tokio::time::timeout(TIMEOUT, registering).await;
    let (_unanswered, account) = registering.expect("an account is made");
    child.kill().await.unwrap();
    let mut printed = String::new();
    let mut output = child.stdout.take().unwrap();
    output.read_to_string(&mut printed).await.unwrap();
    let users = printed.strip_prefix("{\"users\":");
    let users: Value = serde_json::from_str(users.unwrap_or_else(|| panic!("{printed}"))).unwrap();
    assert_eq!(users[0]["username"], "ada");
    assert_eq!(users[0]["password"], account["password"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_creates_nothing_and_a_plan_is_imported_once_unless_forced() {
    let server = Process::start().await.unwrap();
    let admin = server.admin().await.unwrap();
    let dir = directory();
    let (code, output, errors) = import(
        &server,
        dir.path(),
        &["plan.json", "--create-users", "--dry-run"],
    )
    .await;
    assert_eq!(code, Some(0), "{errors}");
    assert!(
        output.contains("Spring would be created with 1 task"),
        "{output}"
    );
    assert!(output.contains("New developers: ada"), "{output}");
    assert_eq!(count(&admin, "/users?q=ada").await, 0);
    assert_eq!(count(&admin, "/releases").await, 0);

    let create = ["plan.json", "--create-users", "--json"];
    let (code, output, errors) = import(&server, dir.path(), &create).await;
    assert_eq!(code, Some(0), "{errors}");
    let report: Value = serde_json::from_str(&output).unwrap();
    let id = report["release"]["id"].as_str().unwrap();
    let (code, output, errors) = import(&server, dir.path(), &["plan.json"]).await;
    assert_eq!((code, output.as_str()), (Some(3), ""), "{errors}");
    assert!(
        errors.contains("ALREADY_IMPORTED") && errors.contains(id),
        "{errors}"
    );
    assert_eq!(count(&admin, "/releases").await, 1);
    let (code, _, errors) = import(&server, dir.path(), &["plan.json", "--force"]).await;
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(count(&admin, "/releases").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_imports_of_one_plan_create_one_release() {
    let server = Process::start().await.unwrap();
    let admin = server.admin().await.unwrap();
    let dir = directory();
    for (name, role) in [("ada", "DEVELOPER"), ("grace", "ADMIN")] {
        let account = json!({
            "username": name, "email": format!("{name}@example.com"),
            "password": ADMIN_PASSWORD, "role": role,
        });
        let _ = admin
            .post("/auth/register", &account)
            .await
            .unwrap()
            .expect(201);
    }
    let import_by = async |name: &str| {
        let options = as_admin(&server, &["import", "plan.json", "--username", name]);
        let (status, output, errors) = process::run(dir.path(), &options).await.unwrap();
        (status.code(), output, errors)
    };
    let (a, b, c) = tokio::join!(import_by("admin"), import_by("grace"), import_by("grace"));
    for (code, _, errors) in [&a, &b, &c] {
        assert!(matches!(code, Some(0 | 3)), "{errors}");
    }
    assert_eq!(count(&admin, "/releases").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_imports_only_one_leaves_passwords_and_they_are_valid() {
    let server = Process::start().await.unwrap();
    let admin = server.admin().await.unwrap();
    let dir = directory();
    let import_with = async |file: &str| {
        let arguments = ["plan.json", "--create-users", "--passwords-file", file];
        import(&server, dir.path(), &arguments).await
    };
    let (a, b, c) = tokio::join!(import_with("a"), import_with("b"), import_with("c"));
    for (code, _, errors) in [&a, &b, &c] {
        assert!(matches!(code, Some(0 | 3)), "{errors}");
    }
    assert_eq!(count(&admin, "/releases").await, 1);
    let texts = ["a", "b", "c"].map(|file| fs::read_to_string(dir.path().join(file)));
    let texts: Vec<_> = texts.into_iter().flatten().collect();
    let [text] = texts.as_slice() else {
        panic!("{texts:?}");
    };
    let password = text.split_whitespace().last().unwrap();
    let _ = server.client().login("ada", password).await.unwrap();
}

#[tokio::test]
async fn a_token_with_a_line_break_or_invalid_text_is_refused() {
    let dir = directory();
    for token in ["abc\n", "a\u{7f}b"] {
        let options = ["import", "plan.json", "--url", "http://127.0.0.1:1"]
            .into_iter()
            .fold(Options::default(), Options::arg)
            .env("SLIPWAY_TOKEN", token);
        let (status, _, errors) = process::run(dir.path(), &options).await.unwrap();
        assert_eq!(status.code(), Some(2), "{errors}");
        assert!(
            errors.contains("SLIPWAY_TOKEN must not contain"),
            "{errors}"
        );
    }
}

/// Starts a command with its outputs in pipes.
fn spawn(url: &str, dir: &Path, arguments: &[&str]) -> Child {
    command(url, dir, arguments).spawn().unwrap()
}

fn command(url: &str, dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway-under-test"));
    command
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .env("SLIPWAY_URL", url)
        .env("SLIPWAY_USERNAME", "admin")
        .env("SLIPWAY_PASSWORD", ADMIN_PASSWORD)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_ends_when_its_reader_closes_the_pipe() {
    let server = Process::start().await.unwrap();
    let mut child = spawn(&server.http, Path::new("."), &["watch", "--after", "0"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next_line().await.unwrap().unwrap();
    assert!(first.starts_with("#1 20"), "{first}");
    drop(lines);
    let ended = tokio::time::timeout(TIMEOUT, child.wait()).await;
    assert!(ended.unwrap().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_sent_only_to_the_named_server() {
    let named = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", named.local_addr().unwrap());
    let elsewhere = format!("http://{}/leak", other.local_addr().unwrap());
    let mut child = spawn(&url, Path::new("."), &["watch"]);
    let ended = tokio::select! {
        () = async {
            loop {
                let (mut stream, _) = named.accept().await.unwrap();
                let _login = scripted::receive(&mut stream).await;
                scripted::redirect(&mut stream, &elsewhere).await;
            }
        } => unreachable!("it answers for ever"),
        _ = other.accept() => panic!("the password went elsewhere"),
        ended = tokio::time::timeout(TIMEOUT, child.wait()) => ended,
    };
    assert_eq!(ended.unwrap().unwrap().code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_signs_in_signs_out() {
    let server = Process::start().await.unwrap();
    let admin = server.admin().await.unwrap();
    let dir = directory();
    let before = count(&admin, "/auth/sessions").await;
    let list = as_admin(&server, &["dead-letters", "list"]);
    let (status, _, errors) = process::run(dir.path(), &list).await.unwrap();
    assert!(status.success(), "{errors}");
    // Also one that fails: ada does not exist.
    let (code, _, errors) = import(&server, dir.path(), &["plan.json"]).await;
    assert_eq!(code, Some(1), "{errors}");
    assert_eq!(count(&admin, "/auth/sessions").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_watch_silently_and_signs_out() {
    let server = Process::start().await.unwrap();
    let admin = server.admin().await.unwrap();
    for signal in ["-INT", "-TERM", "-HUP"] {
        ends_watch(&server, &admin, signal).await;
    }
}

async fn ends_watch(server: &Process, admin: &Client, signal: &str) {
    let sessions = count(admin, "/auth/sessions").await;
    let mut child = spawn(&server.http, Path::new("."), &["watch", "--after", "0"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // It then waits for the next entry.
    lines.next_line().await.unwrap().unwrap();
    let pid = child.id().unwrap().to_string();
    let sent = Command::new("kill").args([signal, &pid]).status().await;
    assert!(sent.unwrap().success());
    let ended = tokio::time::timeout(TIMEOUT, child.wait_with_output()).await;
    let ended = ended.unwrap().unwrap();
    assert!(ended.status.success());
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
    assert_eq!(count(admin, "/auth/sessions").await, sessions);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_watch_while_nobody_reads_its_output() {
    /// Capacity of a pipe, less the length of a line.
    const FULL: u64 = 60 * 1024;
    let server = Process::start().await.unwrap();
    let admin = server.admin().await.unwrap();
    let ada = json!({"username": "ada", "email": "ada@example.com", "password": "engine no. 1"});
    let _ = admin
        .post("/auth/register", &ada)
        .await
        .unwrap()
        .expect(201);
    let task = json!({"title": "T".repeat(150), "assignee": "ada"});
    let plan = json!({"name": "R", "tasks": vec![task; 300]});
    let _ = admin.post("/releases", &plan).await.unwrap().expect(201);
    let mut child = spawn(&server.http, Path::new("."), &["watch", "--after", "0"]);
    let output = child.stdout.take().unwrap();
    let full = until(async || {
        let held = rustix::io::ioctl_fionread(&output)?;
        ensure!(held > FULL, "{held} bytes wait in the pipe");
        Ok(())
    });
    full.await.unwrap();
    let pid = child.id().unwrap().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status().await;
    assert!(sent.unwrap().success());
    let ended = tokio::time::timeout(TIMEOUT, child.wait()).await;
    assert!(ended.unwrap().unwrap().success());
}
