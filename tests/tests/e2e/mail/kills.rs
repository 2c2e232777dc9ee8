//! Mails of processes that are killed while they send.

use std::collections::BTreeSet;

use anyhow::ensure;
use notify_svc::testing::SmtpServer;
use rusqlite::Connection;
use slipway_tests::{Options, Process, TIMEOUT, Team, until};

/// Number of power failures while [`MAILS`] mails are sent.
const KILLS: usize = 10;

/// Number of releases with one task for each developer; each task is one mail.
const RELEASES: usize = 1_250;
const DEVELOPERS: usize = 8;
const MAILS: usize = RELEASES * DEVELOPERS;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_mails_survive_ten_kills_with_few_repeats() {
    let mails = SmtpServer::start().await;
    let options = Options::default()
        .env("SLIPWAY_SMTP_URL", mails.url())
        .env("SLIPWAY_MAIL_RATE", "100000");
    let mut server = Process::start_with(&options).await.unwrap();
    let team = Team::new(&server, DEVELOPERS).await.unwrap();
    let owners: Vec<_> = (0..DEVELOPERS).collect();
    for n in 0..RELEASES {
        team.release(&format!("release {n}"), &owners)
            .await
            .unwrap();
    }
    for kill in 1..=KILLS {
        mails.wait_for(kill * MAILS / (KILLS + 1), TIMEOUT).await;
        let data = server.kill().await.unwrap();
        server = Process::start_on(data, &options).await.unwrap();
    }
    mails.wait_for(MAILS, TIMEOUT).await;
    let log = until_all_are_sent(&server, MAILS).await;

    let taken = mails.taken();
    let distinct: BTreeSet<_> = taken
        .iter()
        .map(|mail| mail.header("Message-ID").unwrap())
        .collect();
    assert_eq!(distinct.len(), MAILS, "each was sent");
    for id in &log {
        let id = format!("<{id}@localhost>");
        assert!(
            distinct.contains(id.as_str()),
            "{id} is in the log and was not sent"
        );
    }
    let repeats = taken.len() - distinct.len();
    let limit = KILLS * notify_svc::notification::dispatch::CONNECTIONS;
    assert!(repeats <= limit, "{repeats} repeats, {limit} at most");
}

/// Waits until the log has this many notifications, all sent; returns the ids of their mails.
async fn until_all_are_sent(server: &Process, notifications: usize) -> BTreeSet<String> {
    let file = server.data.path().join("data/notify.db");
    let sent = until(async || {
        let log = Connection::open(&file).unwrap();
        let mut query = log
            .prepare(
                "SELECT coalesce(body ->> '$.notification.digestId', id),
                     body ->> '$.notification.state'
                 FROM notifications",
            )
            .unwrap();
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        let rows: Vec<(String, String)> = rows.unwrap().collect::<Result<_, _>>().unwrap();
        let all = rows.iter().filter(|(_, state)| state == "SENT").count();
        ensure!(all == notifications, "{all} of {} are sent", rows.len());
        ensure!(rows.len() == notifications, "{} are in the log", rows.len());
        Ok(rows.into_iter().map(|(id, _)| id).collect())
    });
    sent.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn digests_survive_kills_and_lose_nothing() {
    const PLANS: usize = 40;
    const TASKS: usize = 80;
    let mails = SmtpServer::start().await;
    let options = Options::default()
        .env("SLIPWAY_SMTP_URL", mails.url())
        .env("SLIPWAY_MAIL_RATE", "100000");
    let mut server = Process::start_with(&options).await.unwrap();
    let team = Team::new(&server, DEVELOPERS).await.unwrap();
    let owners: Vec<_> = (0..TASKS).map(|n| n % DEVELOPERS).collect();
    for n in 0..PLANS {
        team.release(&format!("plan {n}"), &owners).await.unwrap();
    }
    let expected = PLANS * DEVELOPERS;
    for kill in 1..=5 {
        mails.wait_for(kill * expected / 6, TIMEOUT).await;
        let data = server.kill().await.unwrap();
        server = Process::start_on(data, &options).await.unwrap();
    }
    let log = until_all_are_sent(&server, PLANS * TASKS).await;
    assert_eq!(
        log.len(),
        expected,
        "each developer has one mail of each plan"
    );
    let taken = mails.taken();
    let taken: BTreeSet<_> = taken
        .iter()
        .map(|mail| mail.header("Message-ID").unwrap())
        .collect();
    for id in &log {
        let id = format!("<{id}@localhost>");
        assert!(taken.contains(id.as_str()), "{id} was not sent");
    }
}
