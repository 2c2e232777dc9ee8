//! The pages for people.

mod access;
mod accounts;
mod admin;
mod browser;
mod changes;
mod figures;
mod keyboard;
mod live;
mod newcomer;
mod plain;
mod plans;

use slipway_tests::{Answer, Process, Team};

/// A process with this many developers.
async fn start(developers: usize) -> anyhow::Result<(Process, Team)> {
    let server = Process::start().await?;
    let team = Team::new(&server, developers).await?;
    Ok((server, team))
}

/// The answer is a page with these texts.
#[track_caller]
fn shows(answer: &Answer, status: u16, texts: &[&str]) {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    for text in texts {
        assert!(answer.text.contains(text), "{text}: {}", answer.text);
    }
}

/// The answer leads to another page.
#[track_caller]
fn leads(answer: &Answer, to: &str) {
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, to),
        "{}",
        answer.text
    );
}
