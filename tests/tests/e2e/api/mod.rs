//! The REST API, route by route. Every test has its own process: that costs less than isolating
//! tests in a shared one.

mod accounts;
mod activity;
mod auth;
mod bodies;
mod comments;
mod conventions;
mod edits;
mod examples;
mod full;
mod idempotency;
mod notifications;
mod openapi;
mod paging;
mod params;
mod patterns;
mod reading;
mod releases;
mod routes;
mod statistics;
mod stream;
mod strict;
mod system;
mod tasks;
mod users;
mod v1;

use anyhow::Context as _;
use reqwest::Method;
use serde_json::Value;
use slipway_tests::{
    Answer, Client, Process, Team,
    team::{id, task_ids},
};

/// An id that nothing has.
const UNKNOWN: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// A process with an admin and developers.
async fn start(developers: usize) -> anyhow::Result<(Process, Team)> {
    let server = Process::start().await?;
    let team = Team::new(&server, developers).await?;
    Ok((server, team))
}

/// The request must be refused for one field; returns what is wrong with it.
#[track_caller]
fn invalid(answer: Answer, field: &str) -> String {
    let problem = answer.refused(400, "INVALID_ARGUMENT");
    let errors = problem["errors"].as_array().expect("errors");
    let [error] = errors.as_slice() else {
        panic!("one error: {problem:#}")
    };
    assert_eq!(error["field"], field, "{problem:#}");
    error["message"].as_str().expect("a message").to_owned()
}

/// The request must be refused because it has no valid token.
#[track_caller]
fn unauthorized(answer: Answer, code: &str) {
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    answer.refused(401, code);
}

/// Sends a request without a body.
async fn call(client: &Client, method: Method, path: &str) -> anyhow::Result<Answer> {
    client.send(client.request(method, path)).await
}

/// POST with an idempotency key.
async fn post_with_key(
    client: &Client,
    path: &str,
    body: &Value,
    key: &str,
) -> anyhow::Result<Answer> {
    let request = client.request(Method::POST, path).json(body);
    client.send(request.header("idempotency-key", key)).await
}

/// Starts a task.
async fn begin(developer: &Client, task: &str) -> anyhow::Result<Answer> {
    developer.patch(&format!("/tasks/{task}/start")).await
}

/// Completes a task.
async fn finish(developer: &Client, task: &str) -> anyhow::Result<Answer> {
    developer.patch(&format!("/tasks/{task}/complete")).await
}

/// Creates a release with `tasks` tasks of one developer, completes them and the release; returns
/// its id.
async fn completed_release(team: &Team, name: &str, tasks: usize) -> anyhow::Result<String> {
    let release = team.release(name, &vec![0; tasks]).await?;
    for task in task_ids(&release) {
        begin(&team.developers[0], &task).await?.expect(200);
        finish(&team.developers[0], &task).await?.expect(200);
    }
    let path = format!("/releases/{}/complete", id(&release));
    team.admin.patch(&path).await?.expect(200);
    Ok(id(&release).to_owned())
}

/// Waits until the activity feed has this many entries. Entries of one release, or of one user, are
/// in order; entries of different ones may be in any order, so a test that relies on their order
/// waits in between.
async fn settled(client: &Client, entries: u64) -> anyhow::Result<()> {
    client.seen(|entry| entry["sequence"] == entries).await?;
    Ok(())
}

/// The items of a page.
fn items(page: &Value) -> anyhow::Result<&[Value]> {
    Ok(page["items"].as_array().context("items")?)
}

/// The names of an object's members, sorted.
fn members(thing: &Value) -> anyhow::Result<Vec<&str>> {
    let members = thing.as_object().context("an object")?.keys();
    let mut members: Vec<_> = members.map(String::as_str).collect();
    members.sort_unstable();
    Ok(members)
}

/// The values of one member of each thing, in order.
fn pluck<'a>(things: impl IntoIterator<Item = &'a Value>, member: &str) -> Vec<&'a Value> {
    things.into_iter().map(|thing| &thing[member]).collect()
}
