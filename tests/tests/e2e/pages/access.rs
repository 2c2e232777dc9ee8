//! What every page must reach: axe finds nothing on it, and it is small.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::Value;
use slipway_tests::{
    ADMIN_PASSWORD, Answer, Browser, Client, PlainBrowser, Process, Team,
    plain::OWN_PAGE,
    team::{PASSWORD, id, task_ids},
};

use super::start;
use crate::dead_letters::{process_with, registered};

/// What the first load of a page may have, compressed.
const FIRST_LOAD: usize = 40 * 1024;

const PLAN: &str = include_str!("../../../data/kubernetes-1.31.json");

/// The source of axe, from where the environment says; `None` if it does not.
fn axe() -> anyhow::Result<Option<String>> {
    match std::env::var_os("SLIPWAY_TEST_AXE") {
        Some(path) => Ok(Some(std::fs::read_to_string(path)?)),
        None if std::env::var_os("SLIPWAY_TEST_REQUIRED").is_some() => {
            anyhow::bail!("SLIPWAY_TEST_AXE, the file of axe-core, is required")
        }
        None => {
            eprintln!("SKIPPED: SLIPWAY_TEST_AXE does not say where axe-core is");
            Ok(None)
        }
    }
}

/// A discussion with everything that Markdown has.
const COMMENT: &str =
    "# Title\n\n> quoted\n\n- a\n- **b**\n\n```\ncode\n```\n\n@dev-0 https://example.com `x`";

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_on_any_page_in_any_role_and_theme() -> anyhow::Result<()> {
    let Some(axe) = axe()? else { return Ok(()) };
    let broken = registered(uuid::Uuid::now_v7(), r#"{"userId": 7}"#);
    let server = process_with(vec![broken]).await;
    let team = Team::new(&server, 2).await?;
    let release = team.release("Spring", &[0, 1, 0]).await?;
    let tasks = task_ids(&release);
    let comments = format!("/tasks/{}/comments", tasks[0]);
    let comment = serde_json::json!({"content": COMMENT});
    let posted = team.admin.post(&comments, &comment).await?.expect(201);
    team.admin
        .post(&format!("/comments/{}/reply", id(&posted)), &comment)
        .await?
        .expect(201);
    let start = format!("/tasks/{}/start", tasks[0]);
    team.developers[0].patch(&start).await?.expect(200);
    let letter = slipway_tests::until(async || {
        let list = team.admin.get("/admin/dead-letters").await?.expect(200);
        anyhow::ensure!(list["items"][0].is_object());
        Ok(format!("/admin/dead-letters/{}", id(&list["items"][0])))
    })
    .await?;
    let notification = slipway_tests::until(async || {
        let list = team.developers[0].get("/notifications").await?.expect(200);
        anyhow::ensure!(list["items"][0].is_object());
        Ok(format!("/notifications/{}", id(&list["items"][0])))
    })
    .await?;
    let of_all = [
        "/",
        "/releases",
        &format!("/releases/{}", id(&release)),
        &format!("/tasks/{}", tasks[0]),
        &format!("/tasks/{}", tasks[2]),
        "/activity",
        "/assistant",
        "/notifications",
        &notification,
        "/preferences",
        "/profile",
        "/overview",
        "/releases?status=completed",
        "/tasks/none",
    ];
    let of_admins = [
        "/admin",
        "/releases?plan=1",
        "/admin/incidents",
        "/admin/dead-letters",
        &letter,
        "/admin/templates",
        "/admin/templates/task.assigned",
        "/admin/notifications",
        "/admin/users",
    ];
    let all: Vec<_> = of_all.into_iter().chain(of_admins).collect();
    let of_nobody = [
        "/sign-in",
        "/sign-up",
        "/password/forgot",
        "/password/reset?token=none",
        "/invitation?token=none",
        "/email/confirm?token=none",
    ];
    check(&server, &axe, None, &of_nobody).await?;
    check(&server, &axe, Some(("dev-0", PASSWORD)), &of_all).await?;
    check(&server, &axe, Some(("admin", ADMIN_PASSWORD)), &all).await
}

async fn check(
    server: &Process,
    axe: &str,
    user: Option<(&str, &str)>,
    paths: &[&str],
) -> anyhow::Result<()> {
    let Some(browser) = Browser::start(&server.http).await? else {
        return Ok(());
    };
    if let Some((name, password)) = user {
        browser.sign_in(name, password).await?;
    }
    let mut found = Vec::new();
    for path in paths {
        browser.open(path).await?;
        // What is closed is a part of the page too.
        browser
            .value("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            .await?;
        for scheme in ["light", "dark"] {
            browser.look(1280, scheme).await?;
            let violations = browser.audit(axe).await?;
            found.extend(
                violations
                    .iter()
                    .map(|one| format!("{user:?} {path} {scheme}: {one}")),
            );
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert_eq!(browser.errors(&[404]).await?, [""; 0]);
    Ok(())
}

/// The calls to services so far, by method.
async fn calls(server: &Process) -> anyhow::Result<BTreeMap<String, u64>> {
    let metrics = Client::new(&server.ops).get("/metrics").await?.text;
    let mut calls = BTreeMap::new();
    for line in metrics.lines() {
        let found = line.strip_prefix("slipway_rpc_calls_total{");
        let Some((labels, count)) = found.and_then(|line| line.rsplit_once("} ")) else {
            continue;
        };
        let method = labels.split('"').find(|part| part.contains('/'));
        let method = method.context("a method")?.to_owned();
        *calls.entry(method).or_default() += count.parse::<u64>()?;
    }
    Ok(calls)
}

#[tokio::test]
async fn a_page_costs_at_most_three_calls_to_services() -> anyhow::Result<()> {
    let (server, team) = start(2).await?;
    let release = team.release("Spring", &[0, 1, 0]).await?;
    let task = task_ids(&release).remove(0);
    let mut admin = PlainBrowser::new(&server.http);
    admin.sign_in("admin", ADMIN_PASSWORD).await?;
    for (path, most) in [
        ("/", 3),
        ("/releases", 3),
        (&*format!("/releases/{}", id(&release)), 3),
        (&*format!("/tasks/{task}"), 3),
        ("/activity", 3),
        ("/notifications", 3),
        ("/preferences", 3),
        ("/assistant", 3),
        ("/overview", 3),
        ("/admin", 3),
        ("/admin/incidents", 3),
        ("/admin/dead-letters", 3),
        ("/admin/templates", 3),
        ("/admin/templates/task.assigned", 3),
        ("/admin/notifications", 3),
        ("/admin/users", 3),
        // Account, time zone, ways to sign in, sessions and tokens, at the same time.
        ("/profile", 5),
    ] {
        // Services call each other in the background, so the calls of the best of some visits count.
        let mut best: Option<Vec<String>> = None;
        for _ in 0..5 {
            let before = calls(&server).await?;
            let page = admin.open(path).await?;
            assert_eq!(page.status, 200, "{path}: {}", page.text);
            let made = calls(&server)
                .await?
                .into_iter()
                .flat_map(|(method, count)| {
                    let count = count - before.get(&method).copied().unwrap_or_default();
                    (0..count).map(move |_| method.clone())
                });
            let made: Vec<_> = made.collect();
            if best.as_ref().is_none_or(|best| made.len() < best.len()) {
                best = Some(made);
            }
        }
        let best = best.unwrap_or_default();
        assert!(!best.is_empty(), "{path}: the calls are not counted");
        assert!(best.len() <= most, "{path}: {best:?}");
    }
    Ok(())
}

fn length(answer: &Answer) -> usize {
    assert_eq!(answer.header("content-encoding"), "gzip", "{}", answer.text);
    answer.header("content-length").parse().unwrap()
}

#[tokio::test]
async fn the_first_load_of_a_page_is_small() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let mut plan: Value = serde_json::from_str(PLAN)?;
    plan.as_object_mut().unwrap().remove("hotfix");
    for task in plan["tasks"].as_array_mut().unwrap() {
        task["assignee"] = "dev-0".into();
    }
    let release = team.admin.post("/releases", &plan).await?.expect(201);
    let mut admin = PlainBrowser::new(&server.http);
    admin.sign_in("admin", ADMIN_PASSWORD).await?;
    let gzip = ("accept-encoding", "gzip, br");
    for path in [
        "/",
        "/releases",
        &format!("/releases/{}", id(&release)),
        &format!("/tasks/{}", task_ids(&release)[0]),
        "/activity",
    ] {
        let page = admin.open_with(&[gzip, OWN_PAGE[0]], path).await?;
        let mut bytes = length(&page);
        let plain = admin.open(path).await?;
        let assets = plain.text.split('"');
        let assets =
            assets.filter(|part| part.ends_with("slipway.css") || part.ends_with("slipway.js"));
        let mut count = 0;
        for asset in assets {
            bytes += length(&admin.open_with(&[gzip], asset).await?);
            count += 1;
        }
        assert_eq!(count, 2, "{path}");
        assert!(bytes < FIRST_LOAD, "{path}: {bytes}");
    }
    // The length of a page tells nothing to another site that caused its load.
    for site in ["cross-site", "same-site"] {
        let page = admin
            .open_with(&[gzip, ("sec-fetch-site", site)], "/releases?q=guess")
            .await?;
        assert_eq!((page.status, page.header("content-encoding")), (200, ""));
        assert!(
            page.headers
                .get_all("vary")
                .iter()
                .any(|name| name == "accept-encoding")
        );
    }
    let programs = team.admin.request(reqwest::Method::GET, "/releases");
    let programs = team.admin.send(programs.header(gzip.0, gzip.1)).await?;
    assert_eq!(programs.header("content-encoding"), "");
    Ok(())
}
