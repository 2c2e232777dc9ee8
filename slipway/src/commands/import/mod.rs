//! `import`: creates a release with its tasks from a plan file, through the API.

use std::{
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    pin::pin,
    time::Duration,
};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use serde_json::Value;
use slipway_plan::{Format, Plan};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::{plan::Given, report::Report, requests::NewRelease, users::NewUser};
use super::{
    client::{Client, ClientArgs, ClientError, User, signed_in},
    interrupts::Interrupts,
};
use crate::{UsageError, config::Layers, output, paths, text::escape};

mod earlier;
mod faults;
mod passwords;
mod plan;
mod report;
mod requests;
mod users;

pub use earlier::AlreadyImported;

/// What `import` takes.
#[derive(clap::Args)]
pub struct ImportArgs {
    /// The plan file: JSON, YAML or CSV, in UTF-8 or UTF-16; - reads standard input
    #[arg(value_name = "PLAN", value_parser = paths::parser())]
    pub plan: PathBuf,
    /// The format, json, yaml or csv; without it the name of the file says it, or else its text
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Name of the release, instead of the one in the file
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Version of the release, instead of the one in the file
    #[arg(long, value_name = "TEXT")]
    pub version: Option<String>,
    /// Register the developers who do not exist yet, with random passwords that are shown once
    #[arg(long)]
    pub create_users: bool,
    /// Write these passwords to a new file that only you can read, instead of showing them;
    /// needed when standard output is not a terminal, unless there is --json
    #[arg(
        long,
        value_name = "PATH",
        value_parser = paths::parser(),
        requires = "create_users"
    )]
    pub passwords_file: Option<PathBuf>,
    /// Domain of the email addresses of new developers
    #[arg(long, value_name = "DOMAIN", default_value = "example.com")]
    pub email_domain: String,
    /// Check the plan and the assignees, and say what would be created
    #[arg(long)]
    pub dry_run: bool,
    /// Import although there is a release of this name and version
    #[arg(long)]
    pub force: bool,
    /// Print what was created as JSON
    #[arg(long)]
    pub json: bool,
    /// Which server, and who signs in.
    #[command(flatten)]
    pub client: ClientArgs,
}

impl ImportArgs {
    /// The destination of the new developers' passwords.
    fn passwords(&self) -> Passwords<'_> {
        match &self.passwords_file {
            Some(path) => Passwords::File(path),
            None if self.json => Passwords::Json,
            None => Passwords::Terminal,
        }
    }
}

/// The destination of the new developers' passwords. They are written before the accounts are
/// created.
#[derive(Debug, Clone, Copy)]
enum Passwords<'a> {
    /// This file.
    File(&'a Path),
    /// Standard output, which must be a terminal.
    Terminal,
    /// Standard output, as the first part of the JSON object; the rest is written at the end.
    Json,
}

/// The idempotency keys of one run: a repeated request runs only once.
struct Keys(String);

impl Keys {
    fn new() -> Self {
        Self(format!("import-{}", Uuid::new_v4().simple()))
    }

    fn of_user(&self, number: usize) -> String {
        format!("{}-user-{number}", self.0)
    }

    fn of_release(&self) -> String {
        format!("{}-release", self.0)
    }
}

/// How long an interrupted import waits for the answer to its last request, to know whether it was
/// carried out.
const LAST_REQUEST: Duration = Duration::from_secs(5);

/// Validates the plan, signs in, and creates the accounts and the release.
///
/// # Errors
/// If the plan is invalid or was imported before, or the server cannot be reached or refuses.
/// Anything created before the error is still printed.
pub async fn run(args: &ImportArgs, layers: &Layers) -> anyhow::Result<()> {
    let given = Given {
        format: args.format,
        name: args.name.as_deref(),
        version: args.version.as_deref(),
    };
    let plan = plan::read(&args.plan, &given)?;
    let import = async |client: &Client, user| import(args, &plan, client, &user).await;
    signed_in(&args.client, layers, import).await
}

async fn import(
    args: &ImportArgs,
    plan: &Plan,
    client: &Client,
    user: &User,
) -> anyhow::Result<()> {
    // The server refuses this too, but only after the developers have been registered.
    anyhow::ensure!(
        user.role == "ADMIN",
        "FORBIDDEN: only an administrator can create releases, and {} is a {}",
        user.username,
        user.role
    );
    if !args.force {
        earlier::check(client, plan).await?;
    }
    let users = new_users(args, client, plan).await?;
    if args.dry_run {
        return output::print(&report::dry_run(plan, &users, args.json));
    }
    let passwords = args.passwords();
    let mut interrupts = Interrupts::listen()?;
    hand_over(passwords, &users, &mut interrupts).await?;
    let mut report = Report {
        planned: users.iter().map(|user| user.username.clone()).collect(),
        ..Report::default()
    };
    let stop = CancellationToken::new();
    let outcome = {
        let creating = create(client, plan, users, !args.force, &mut report, &stop);
        let mut creating = pin!(creating);
        tokio::select! {
            outcome = &mut creating => outcome,
            () = interrupts.recv() => {
                stop.cancel();
                let last = tokio::time::timeout(LAST_REQUEST, creating).await;
                last.unwrap_or_else(|_| Err(anyhow::anyhow!("interrupted")))
            }
        }
    };
    let outcome = outcome.map_err(|error| match report.registered() {
        Some(names) => error.context(format!("these accounts were created: {names}")),
        None => error,
    });
    let outcome = match (outcome, withdraw(passwords, &report)) {
        (Err(error), Err(left)) => Err(error.context(format!("{left:#}"))),
        (outcome, withdrawn) => outcome.and(withdrawn),
    };
    let shown = show(args.json, passwords, &report, plan, client, &mut interrupts).await;
    outcome.and(shown.map_err(|error| match report.release_id() {
        Some(id) => error.context(format!(
            "the release is created, with the id {}",
            escape(&id)
        )),
        None => error,
    }))
}

/// The accounts to be created. All are validated before any is created.
async fn new_users(
    args: &ImportArgs,
    client: &Client,
    plan: &Plan,
) -> anyhow::Result<Vec<NewUser>> {
    let missing = users::missing(client, &plan::assignees(plan)).await?;
    if !args.create_users && !missing.is_empty() {
        anyhow::bail!(
            "these assignees do not exist: {}; nothing was created (--create-users registers them)",
            missing.join(", ")
        );
    }
    NewUser::of(&missing, &args.email_domain)
}

/// Writes the passwords to their destination before any account is created, so that no later
/// failure can lose them.
async fn hand_over(
    passwords: Passwords<'_>,
    users: &[NewUser],
    interrupts: &mut Interrupts,
) -> anyhow::Result<()> {
    if users.is_empty() {
        return Ok(());
    }
    match passwords {
        Passwords::Json => {
            output::check_kept().map_err(|error| unprinted(&error.into()))?;
            print(report::json_users(users, true), interrupts)
                .await
                .map_err(|error| unprinted(&error))
        }
        Passwords::File(path) => passwords::write_file(path, users).with_context(|| {
            let path = escape(&path.display().to_string());
            format!("nothing was created, because the passwords cannot be written to {path}")
        }),
        Passwords::Terminal if io::stdout().is_terminal() => {
            let text = format!(
                "Passwords of new developers, shown only here:\n\n{}\n",
                passwords::table(users)
            );
            print(text, interrupts)
                .await
                .map_err(|error| unprinted(&error))
        }
        Passwords::Terminal => {
            let text = "nothing was created: standard output is not a terminal, and the passwords \
                        of new developers would be lost; give --passwords-file PATH, or --json";
            Err(UsageError(text.into()).into())
        }
    }
}

/// Removes the passwords of accounts that were not created from the file: they are not valid.
fn withdraw(passwords: Passwords<'_>, report: &Report) -> anyhow::Result<()> {
    let not_created = report.not_created();
    let Passwords::File(path) = passwords else {
        return Ok(());
    };
    if not_created.is_empty() {
        return Ok(());
    }
    passwords::keep_only(path, &report.users).with_context(|| {
        let (path, names) = (path.display().to_string(), not_created.join(", "));
        let (path, names) = (escape(&path), escape(&names));
        format!("{path} still has passwords that are not valid, of {names}")
    })
}

/// The error if the passwords cannot be printed. The cause becomes part of the text, so that a
/// closed pipe is reported as an error here too.
fn unprinted(error: &anyhow::Error) -> anyhow::Error {
    anyhow::anyhow!("nothing was created, because the passwords cannot be printed: {error:#}")
}

/// Prints what was created.
async fn show(
    json: bool,
    passwords: Passwords<'_>,
    report: &Report,
    plan: &Plan,
    client: &Client,
    interrupts: &mut Interrupts,
) -> anyhow::Result<()> {
    if report.release.is_none() && report.planned.is_empty() {
        return Ok(());
    }
    let begun = matches!(passwords, Passwords::Json) && !report.planned.is_empty();
    let text = match json {
        true if begun => report.json_rest(plan),
        true => report::json_users(&report.users, false) + &report.json_rest(plan),
        false => report.human(plan, client)?,
    };
    print(text, interrupts).await
}

/// Writes to standard output, and handles signals while a slow reader blocks the write.
async fn print(text: String, interrupts: &mut Interrupts) -> anyhow::Result<()> {
    let written = tokio::task::spawn_blocking(move || output::print(&text));
    tokio::select! {
        written = written => written?,
        () = interrupts.recv() => Err(anyhow::anyhow!("interrupted")),
    }
}

/// Creates the accounts and the release, up to the request that is in flight when `stop` is
/// cancelled.
async fn create(
    client: &Client,
    plan: &Plan,
    users: Vec<NewUser>,
    once: bool,
    report: &mut Report,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let keys = Keys::new();
    let bar = progress_bar(users.len() + 1);
    for (number, user) in users.into_iter().enumerate() {
        anyhow::ensure!(!stop.is_cancelled(), "interrupted");
        bar.set_message(format!("registering {}", user.username));
        // Recorded first: if the answer is lost, the account may still have been created.
        report.users.push(user.clone());
        let registered = users::register(client, &keys.of_user(number), &user).await;
        if matches!(registered, Ok(false) | Err(ClientError::Refused(_))) {
            report.users.pop();
        }
        registered.with_context(|| format!("registering {}", user.username))?;
        bar.inc(1);
    }
    anyhow::ensure!(!stop.is_cancelled(), "interrupted");
    bar.set_message("creating the release");
    let release: Value = client
        .post("/releases", &keys.of_release(), &NewRelease::of(plan, once))
        .await?;
    report.release = Some(release);
    bar.inc(1);
    Ok(())
}

/// A progress bar on standard error, if that is a terminal. It is cleared when it is dropped.
fn progress_bar(steps: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(steps as u64)
        .with_style(style)
        .with_finish(ProgressFinish::AndClear)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::commands::script::{Reply, Script, header};

    const NOBODY: &str = r#"{"items": [{"id": "1", "username": "ada2", "role": "DEVELOPER"}]}"#;
    const ADA: &str = r#"{"items": [{"id": "2", "username": "Ada", "role": "DEVELOPER"}]}"#;
    const ADMIN: &str = r#"{"items": [{"id": "3", "username": "ada", "role": "ADMIN"}]}"#;

    fn plan() -> Plan {
        serde_json::from_value(json!({
            "name": "R",
            "tasks": [{"title": "A", "assignee": "ada"}, {"title": "B", "assignee": "bob"}],
        }))
        .unwrap()
    }

    /// Imports a plan with tasks of ada and bob by a script.
    async fn import(create_users: bool, replies: Vec<Reply>) -> (String, Report, Vec<String>) {
        let script = Script::start(replies).await;
        let client = Client::new(script.url.clone()).unwrap();
        let plan = plan();
        let args = ImportArgs {
            plan: PathBuf::new(),
            format: None,
            name: None,
            version: None,
            create_users,
            passwords_file: None,
            email_domain: "example.com".into(),
            dry_run: false,
            force: false,
            json: false,
            client: ClientArgs {
                url: None,
                username: None,
                server: None,
            },
        };
        let mut report = Report::default();
        let outcome = match new_users(&args, &client, &plan).await {
            Ok(users) => {
                let stop = CancellationToken::new();
                create(&client, &plan, users, true, &mut report, &stop).await
            }
            Err(error) => Err(error),
        };
        let error = outcome.err().map(|error| format!("{error:#}"));
        (error.unwrap_or_default(), report, script.requests().await)
    }

    #[tokio::test]
    async fn missing_developers_are_registered_before_the_release_is_created() {
        let (error, report, requests) = import(
            true,
            vec![
                Reply::Json(200, ADA),
                Reply::Json(200, NOBODY),
                Reply::Json(201, "{}"),
                Reply::Json(201, r#"{"id": "r1"}"#),
            ],
        )
        .await;
        assert_eq!(error, "");
        assert_eq!(report.release_id().as_deref(), Some("r1"));
        assert_eq!(report.users.len(), 1);
        assert_eq!(report.users[0].email, "bob@example.com");
        assert_eq!(report.users[0].password.len(), 20);
        let firsts: Vec<&str> = requests.iter().filter_map(|r| r.lines().next()).collect();
        assert_eq!(
            firsts,
            [
                "GET /users?q=ada&limit=200 HTTP/1.1",
                "GET /users?q=bob&limit=200 HTTP/1.1",
                "POST /auth/register HTTP/1.1",
                "POST /releases HTTP/1.1",
            ]
        );
        assert!(header(&requests[3], "idempotency-key").is_some());
        assert!(requests[3].contains(r#""once":true"#), "{}", requests[3]);
    }

    #[tokio::test]
    async fn without_create_users_nothing_is_created() {
        let replies = vec![Reply::Json(200, NOBODY), Reply::Json(200, NOBODY)];
        let (error, report, _) = import(false, replies).await;
        assert!(error.starts_with("these assignees do not exist: ada, bob; nothing"));
        assert!(report.users.is_empty());
    }

    #[tokio::test]
    async fn an_assignee_who_is_no_developer_is_refused_before_anything_is_created() {
        let replies = vec![Reply::Json(200, ADMIN), Reply::Json(200, NOBODY)];
        let (error, _, _) = import(true, replies).await;
        assert!(error.starts_with("these assignees are not developers: ada; nothing"));
    }

    #[tokio::test]
    async fn passwords_are_not_lost_when_the_release_is_refused() {
        let refusal = r#"{"code": "FORBIDDEN", "detail": "Only administrators may do this."}"#;
        let (error, report, _) = import(
            true,
            vec![
                Reply::Json(200, ADA),
                Reply::Json(200, NOBODY),
                Reply::Json(201, "{}"),
                Reply::Json(403, refusal),
            ],
        )
        .await;
        assert_eq!(error, "FORBIDDEN: Only administrators may do this.");
        assert_eq!(report.users.len(), 1);
        assert!(report.release.is_none());
    }

    #[tokio::test]
    async fn an_account_is_reported_if_its_creation_is_uncertain() {
        let replies = vec![
            Reply::Json(200, ADA),
            Reply::Json(200, NOBODY),
            Reply::Json(201, "this is not JSON"),
        ];
        let (error, report, _) = import(true, replies).await;
        assert!(
            error.starts_with("registering bob: the answer of"),
            "{error}"
        );
        assert_eq!(report.users.len(), 1);
    }

    #[tokio::test]
    async fn an_account_that_was_refused_is_not_reported() {
        let taken = r#"{"code": "USERNAME_TAKEN", "detail": "It is taken."}"#;
        let replies = vec![
            Reply::Json(200, ADA),
            Reply::Json(200, NOBODY),
            Reply::Json(409, taken),
            Reply::Json(200, NOBODY),
        ];
        let (error, report, _) = import(true, replies).await;
        assert_eq!(error, "registering bob: USERNAME_TAKEN: It is taken.");
        assert!(report.users.is_empty());
    }

    #[tokio::test]
    async fn an_account_that_somebody_else_has_just_created_is_one_that_exists() {
        let taken = r#"{"code": "USERNAME_TAKEN", "detail": "It is taken."}"#;
        let bob = r#"{"items": [{"id": "4", "username": "bob", "role": "DEVELOPER"}]}"#;
        let replies = vec![
            Reply::Json(200, ADA),
            Reply::Json(200, NOBODY),
            Reply::Json(409, taken),
            Reply::Json(200, bob),
            Reply::Json(201, r#"{"id": "r1"}"#),
        ];
        let (error, report, _) = import(true, replies).await;
        assert_eq!(error, "");
        assert!(report.users.is_empty());
        assert_eq!(report.release_id().as_deref(), Some("r1"));
    }
}
