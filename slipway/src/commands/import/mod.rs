//! `import`: a release with its tasks from a plan file, through the API.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use serde_json::Value;
use uuid::Uuid;

use self::{
    plan::Plan,
    report::Report,
    requests::{BODY_LIMIT, Requests},
};
use super::client::{Client, ClientArgs, sign_in};
use crate::config::Layers;

mod faults;
mod plan;
mod report;
mod requests;
mod users;

/// What `import` takes.
#[derive(clap::Args)]
pub struct ImportArgs {
    /// The plan file
    #[arg(value_name = "PLAN.json")]
    pub plan: PathBuf,
    /// Register the developers who do not exist yet, with random passwords that are shown once
    #[arg(long)]
    pub create_users: bool,
    /// Domain of the email addresses of new developers
    #[arg(long, value_name = "DOMAIN", default_value = "example.com")]
    pub email_domain: String,
    /// Print what was created as JSON
    #[arg(long)]
    pub json: bool,
    /// Which server, and who signs in.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// The idempotency keys of one run. Another run of the same plan is another release.
struct Keys {
    run: String,
}

impl Keys {
    fn new(digest: &str) -> Self {
        let run = format!("import-{}-{}", &digest[..16], Uuid::new_v4().simple());
        Self { run }
    }

    fn of(&self, step: &str, number: usize) -> String {
        format!("{}-{step}-{number}", self.run)
    }
}

/// Checks the plan, signs in, and creates what the plan says.
///
/// # Errors
/// If the plan is wrong, or the server cannot be reached or refuses. What was created
/// before that is printed all the same: passwords are shown only once.
pub async fn run(args: &ImportArgs, layers: &Layers) -> anyhow::Result<()> {
    let (plan, digest) = plan::read(&args.plan)?;
    let (client, user) = sign_in(&args.client, layers).await?;
    // The server decides; but it would let anybody register the developers first.
    anyhow::ensure!(
        user.role == "ADMIN",
        "FORBIDDEN: only an administrator can create releases, and {} is a {}",
        user.username,
        user.role
    );
    let mut report = Report::default();
    let keys = Keys::new(&digest);
    let outcome = tokio::select! {
        outcome = create(args, &client, &plan, &keys, &mut report) => outcome,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    if outcome.is_ok() || report.release.is_some() || !report.users.is_empty() {
        if args.json {
            report.print_json(&plan)?;
        } else {
            report.print_human(&plan, &client)?;
        }
    }
    outcome
}

async fn create(
    args: &ImportArgs,
    client: &Client,
    plan: &Plan,
    keys: &Keys,
    report: &mut Report,
) -> anyhow::Result<()> {
    let missing = users::missing(client, &plan.assignees()).await?;
    if !args.create_users && !missing.is_empty() {
        anyhow::bail!(
            "these assignees do not exist: {}; nothing was created (--create-users registers them)",
            missing.join(", ")
        );
    }
    let requests = Requests::new(plan, BODY_LIMIT);
    let bar = progress_bar(missing.len() + 1 + requests.rest.len());
    for (number, username) in missing.into_iter().enumerate() {
        bar.set_message(format!("registering {username}"));
        let key = keys.of("user", number);
        let user = users::register(client, &key, username, &args.email_domain).await?;
        report.users.push(user);
        bar.inc(1);
    }
    bar.set_message("creating the release");
    let release: Value = client
        .post("/releases", &keys.of("release", 0), &requests.release)
        .await?;
    report.release = Some(release);
    bar.inc(1);
    add_rest(client, &requests, keys, report, &bar).await?;
    Ok(())
}

/// Adds the tasks that did not fit into the release's own request, one by one.
async fn add_rest(
    client: &Client,
    requests: &Requests<'_>,
    keys: &Keys,
    report: &mut Report,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    if requests.rest.is_empty() {
        return Ok(());
    }
    let Some(id) = report.release_id() else {
        anyhow::bail!("the server's answer has no id of the new release");
    };
    for (number, task) in requests.rest.iter().enumerate() {
        bar.set_message(format!("adding tasks to {id}"));
        let path = format!("/releases/{id}/tasks");
        let _: Value = client.post(&path, &keys.of("task", number), task).await?;
        bar.inc(1);
    }
    report.release = Some(client.get(&format!("/releases/{id}"), &[]).await?);
    Ok(())
}

/// Progress on standard error, if that is a terminal. It goes when it is dropped.
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

    /// Imports a plan with tasks of ada and bob by a script.
    async fn import(create_users: bool, replies: Vec<Reply>) -> (String, Report, Vec<String>) {
        let script = Script::start(replies).await;
        let client = Client::new(script.url.clone()).unwrap();
        let plan: Plan = serde_json::from_value(json!({
            "name": "R",
            "tasks": [{"title": "A", "assignee": "ada"}, {"title": "B", "assignee": "bob"}],
        }))
        .unwrap();
        let args = ImportArgs {
            plan: PathBuf::new(),
            create_users,
            email_domain: "example.com".into(),
            json: false,
            client: ClientArgs {
                url: None,
                username: None,
            },
        };
        let keys = Keys::new("0123456789abcdef0123");
        let mut report = Report::default();
        let outcome = create(&args, &client, &plan, &keys, &mut report).await;
        let error = outcome.err().map(|error| error.to_string());
        (error.unwrap_or_default(), report, script.requests().await)
    }

    #[tokio::test]
    async fn missing_developers_are_registered_before_the_release_is_made() {
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
        let key = header(&requests[3], "idempotency-key").unwrap();
        assert!(key.starts_with("import-0123456789abcdef-") && key.ends_with("-release-0"));
    }

    #[tokio::test]
    async fn without_leave_to_register_nothing_is_created() {
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
}
