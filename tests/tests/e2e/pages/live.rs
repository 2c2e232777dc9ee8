//! Pages that follow what happens: many tabs, a server that is killed, a reader further down; and the
//! same work without scripts.

use std::sync::Arc;

use anyhow::ensure;
use serde_json::Value;
use slipway_tests::{
    Client, Options, Process, Team,
    team::{id, task_ids},
    until,
};

use super::browser::signed_in;

const OPEN: &str = "document.documentElement.dataset.stream === 'open'";

#[tokio::test]
async fn eight_tabs_share_one_stream() -> anyhow::Result<()> {
    let server = Process::start().await?;
    let team = Team::new(&server, 1).await?;
    let Some(browser) = signed_in(&server, "dev-0").await? else {
        return Ok(());
    };
    browser.open("/activity").await?;
    for _ in 1..8 {
        browser.open_in_tab("/activity").await?;
        browser.wait(OPEN).await?;
    }
    let metrics = Client::new(&server.ops).get("/metrics").await?.text;
    let clients = metrics
        .lines()
        .find(|line| line.starts_with("slipway_stream_clients"));
    let clients = clients.and_then(|line| line.rsplit_once(' '));
    assert_eq!(clients.map(|(_, count)| count), Some("1"), "{metrics}");
    team.release("Spring", &[0]).await?;
    browser
        .wait("document.querySelector('#wall').innerText.includes('Spring')")
        .await?;
    assert_eq!(browser.errors(&[]).await?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_killed_server_leaves_no_gap_on_the_wall() -> anyhow::Result<()> {
    let server = Process::start().await?;
    let team = Team::new(&server, 1).await?;
    let Some(browser) = signed_in(&server, "dev-0").await? else {
        return Ok(());
    };
    browser.open("/activity").await?;
    browser.wait(OPEN).await?;
    for n in 0..3 {
        team.release(&format!("Before {n}"), &[0]).await?;
    }
    browser
        .wait("document.querySelector('#wall').innerText.includes('Before')")
        .await?;
    let address = server.http.trim_start_matches("http://").to_owned();
    let data = server.kill().await?;
    // The clients of the tests keep their tokens: the key is in the data directory.
    let options = Options::default().env("SLIPWAY_HTTP_ADDR", &address);
    let server = Process::start_on(Arc::clone(&data), &options).await?;
    for n in 0..3 {
        team.release(&format!("After {n}"), &[0]).await?;
    }
    let sequences =
        "[...document.querySelectorAll('#wall li[id]')].map((entry) => Number(entry.id.slice(6)))";
    let shown = until(async || {
        let last = team.admin.feed().await?;
        let last = last
            .iter()
            .filter_map(|entry| entry["sequence"].as_u64())
            .max();
        let shown = browser.value(sequences).await?;
        let shown: Vec<u64> = serde_json::from_value(shown)?;
        ensure!(shown.first().copied() == last, "{last:?}: {shown:?}");
        ensure!(browser.text().await?.contains("After 2"));
        Ok(shown)
    })
    .await?;
    let first = shown[0];
    let expected: Vec<u64> = (0..shown.len() as u64).map(|n| first - n).collect();
    assert_eq!(shown, expected);
    drop(server);
    Ok(())
}

#[tokio::test]
async fn who_reads_further_down_is_told_how_much_is_new() -> anyhow::Result<()> {
    let server = Process::start().await?;
    let team = Team::new(&server, 1).await?;
    let owners = [0; 30];
    team.release("Long", &owners).await?;
    let Some(browser) = signed_in(&server, "dev-0").await? else {
        return Ok(());
    };
    browser.look(320, "light").await?;
    until(async || {
        browser.open("/activity").await?;
        ensure!(
            browser
                .value("document.querySelectorAll('#wall li').length > 30")
                .await?
                == true
        );
        Ok(())
    })
    .await?;
    browser.wait(OPEN).await?;
    browser.value("scrollTo(0, 900)").await?;
    let before = browser
        .value("document.querySelector('#wall li').id")
        .await?;
    team.admin
        .post(
            &format!("/tasks/{}/comments", first_task(&team).await?),
            &serde_json::json!({"content": "Hm"}),
        )
        .await?
        .expect(201);
    browser
        .wait("document.querySelector('#new')?.innerText === '1 new'")
        .await?;
    assert_eq!(
        browser
            .value("document.querySelector('#wall li').id")
            .await?,
        before
    );
    browser
        .value("document.querySelector('#new').click()")
        .await?;
    browser
        .wait("document.querySelector('#new') === null && scrollY === 0")
        .await?;
    assert_ne!(
        browser
            .value("document.querySelector('#wall li').id")
            .await?,
        before
    );
    Ok(())
}

async fn first_task(team: &Team) -> anyhow::Result<String> {
    let mine: Value = team.developers[0].get("/tasks/my").await?.expect(200);
    Ok(id(&mine["items"][0]).to_owned())
}

#[tokio::test]
async fn the_main_job_is_done_in_a_browser_without_scripts() -> anyhow::Result<()> {
    let server = Process::start().await?;
    let team = Team::new(&server, 1).await?;
    let tasks = task_ids(&team.release("Spring", &[0]).await?);
    let Some(browser) = slipway_tests::Browser::start(&server.http).await? else {
        return Ok(());
    };
    browser.without_scripts().await?;
    browser
        .sign_in("dev-0", slipway_tests::team::PASSWORD)
        .await?;
    for (verb, text) in [
        ("start", "You are working on"),
        ("complete", "You have no task to do"),
    ] {
        let button = format!("form[action=\"/ui/tasks/{}/{verb}\"] button", tasks[0]);
        browser.tab_to(&button).await?;
        browser.enter().await?;
        assert!(browser.text().await?.contains(text));
    }
    // No script has run: times have the title of the server.
    browser.open(&format!("/tasks/{}", tasks[0])).await?;
    let title = browser
        .value("document.querySelector('time').title")
        .await?;
    assert!(
        title.as_str().unwrap_or_default().ends_with("UTC"),
        "{title}"
    );
    assert_eq!(browser.errors(&[]).await?, [""; 0]);
    Ok(())
}
