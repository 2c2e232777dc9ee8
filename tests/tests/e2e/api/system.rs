//! `/admin/health`, `/admin/metrics` and `/admin/logs`.

use anyhow::{Context as _, ensure};
use notify_svc::testing::{Reaction, SmtpServer};
use serde_json::{Value, json};
use slipway_tests::{Client, Options, Process, Team, team::id, until};

use super::{invalid, items, pluck, start, unauthorized};

const SECRET: &str = "a-secret-of-webhooks";

/// A process whose mails go to this server.
async fn on(mails: &SmtpServer) -> anyhow::Result<(Process, Team)> {
    let options = Options::default()
        .env("SLIPWAY_WEBHOOK_SECRET", SECRET)
        .env("SLIPWAY_SMTP_URL", mails.url());
    let server = Process::start_with(&options).await?;
    let team = Team::new(&server, 2).await?;
    Ok((server, team))
}

/// Reports a fault.
async fn report(server: &Process, name: &str) -> anyhow::Result<()> {
    let alert = json!({
        "status": "firing",
        "labels": {"alertname": name, "job": "node"},
        "annotations": {"summary": format!("{name} on node-1")},
        "startsAt": "2026-03-01T10:00:00Z",
        "fingerprint": name,
    });
    let client = server.client();
    let request = client.request(reqwest::Method::POST, "/hooks/alerts");
    let request = request
        .bearer_auth(SECRET)
        .json(&json!({"alerts": [alert]}));
    client.send(request).await?.expect(204);
    Ok(())
}

/// The page of the log once it has this many entries.
async fn log(admin: &Client, query: &str, count: usize) -> anyhow::Result<Vec<Value>> {
    until(async || {
        let page = admin.get(&format!("/admin/logs{query}")).await?.expect(200);
        let found = items(&page)?;
        ensure!(found.len() == count, "{query} has not {count}: {page:#}");
        Ok(found.to_vec())
    })
    .await
}

#[tokio::test]
async fn only_admins_see_how_the_system_is_doing() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    for path in ["/admin/health", "/admin/metrics", "/admin/logs"] {
        team.admin.get(path).await?.expect(200);
        team.developers[0]
            .get(path)
            .await?
            .refused(403, "ADMIN_REQUIRED");
        unauthorized(server.client().get(path).await?, "UNAUTHENTICATED");
        invalid(team.admin.get(&format!("{path}?x=1")).await?, "x");
    }
    Ok(())
}

#[tokio::test]
async fn health_names_every_dependency_with_its_state_and_what_it_means() -> anyhow::Result<()> {
    let mails = SmtpServer::start().await;
    let (_server, team) = on(&mails).await?;
    let health = team.admin.get("/admin/health").await?.expect(200);
    assert_eq!(health["state"], "UP", "{health:#}");
    let [process] = health["processes"]
        .as_array()
        .context("processes")?
        .as_slice()
    else {
        panic!("one process: {health:#}");
    };
    assert_eq!(
        (&process["name"], &process["problem"]),
        (&json!("slipway"), &Value::Null)
    );
    let dependencies = process["dependencies"].as_array().context("dependencies")?;
    let named = |name: &str| dependencies.iter().find(|one| one["name"] == name);
    for name in [
        "database",
        "event bus",
        "mail server",
        "assistant's model",
        "consumer group activity",
    ] {
        let one = named(name).with_context(|| format!("{name} in {health:#}"))?;
        assert_eq!(
            (&one["state"], &one["problem"]),
            (&json!("UP"), &Value::Null),
            "{name}"
        );
        let since: jiff::Timestamp = one["since"].as_str().unwrap_or_default().parse()?;
        let started: jiff::Timestamp = process["startedAt"].as_str().unwrap_or_default().parse()?;
        assert!(
            (started - since).abs().total(jiff::Unit::Second)? < 60.0,
            "{name}"
        );
        assert!(
            one["meaning"]
                .as_str()
                .is_some_and(|meaning| meaning.len() > 20),
            "{name}"
        );
    }
    assert_eq!(
        named("database").map(|one| &one["required"]),
        Some(&json!(true))
    );
    let services = named("database").and_then(|one| one["services"].as_array());
    assert!(
        services.is_some_and(|services| services.len() > 10),
        "{health:#}"
    );
    Ok(())
}

#[tokio::test]
async fn a_mail_server_that_refuses_everything_is_down_with_its_reason() -> anyhow::Result<()> {
    let options = Options::default().env("SLIPWAY_SMTP_URL", "smtp://127.0.0.1:1");
    let server = Process::start_with(&options).await?;
    let team = Team::new(&server, 1).await?;
    team.release("Spring", &[0]).await?;
    let health = until(async || {
        let health = team.admin.get("/admin/health").await?.expect(200);
        ensure!(health["state"] == "DEGRADED", "{health:#}");
        Ok(health)
    });
    let first = health.await?["processes"][0]["dependencies"][0].clone();
    assert_eq!(
        (&first["name"], &first["state"]),
        (&json!("mail server"), &json!("DOWN"))
    );
    assert_eq!(first["required"], false);
    assert!(first["problem"].is_string(), "{first:#}");
    Ok(())
}

#[tokio::test]
async fn metrics_are_the_figures_of_todays_notifications() -> anyhow::Result<()> {
    let mails = SmtpServer::start().await;
    mails.will(
        "dev-1@example.com",
        [Reaction::Recipient("550 5.1.1 no such user")],
    );
    let (_server, team) = on(&mails).await?;
    let empty = team.admin.get("/admin/metrics").await?.expect(200);
    assert_eq!(
        (&empty["total"], &empty["successRate"]),
        (&json!(0), &Value::Null)
    );
    assert_eq!(
        empty["latency"],
        json!({"measured": 0, "meanMs": null, "p99Ms": null})
    );
    team.release("Spring", &[0, 1]).await?;
    let figures = until(async || {
        let figures = team.admin.get("/admin/metrics").await?.expect(200);
        ensure!(
            figures["failed"] == 1 && figures["counts"]["sent"] == 1,
            "{figures:#}"
        );
        Ok(figures)
    });
    let figures = figures.await?;
    assert_eq!(
        (&figures["total"], &figures["successRate"]),
        (&json!(2), &json!(0.5))
    );
    assert_eq!(
        (&figures["timeZone"], &figures["counts"]["failed"]),
        (&json!("UTC"), &json!(1))
    );
    assert_eq!(figures["latency"]["measured"], 1);
    let mean = figures["latency"]["meanMs"].as_u64().context("a mean")?;
    assert!(
        mean < 60_000 && figures["latency"]["p99Ms"] == mean,
        "{figures:#}"
    );
    let today: jiff::Timestamp = figures["from"].as_str().unwrap_or_default().parse()?;
    assert_eq!(today.as_second() % 86_400, 0, "midnight in UTC");
    Ok(())
}

#[tokio::test]
async fn the_log_has_what_failed_and_what_admins_did_in_the_order_of_time() -> anyhow::Result<()> {
    let mails = SmtpServer::start().await;
    mails.will(
        "dev-1@example.com",
        [Reaction::Recipient("550 5.1.1 no such user")],
    );
    let (server, team) = on(&mails).await?;
    report(&server, "DiskFull").await?;
    log(&team.admin, "?kind=INCIDENT", 1).await?;
    let release = team.release("Spring", &[1]).await?;
    log(&team.admin, "?kind=FAILED_NOTIFICATION", 1).await?;
    let path = format!("/releases/{}", id(&release));
    let request = team.admin.request(reqwest::Method::PATCH, &path);
    team.admin
        .send(request.json(&json!({"version": "2"})))
        .await?
        .expect(200);

    // The release and its task were planned, then the release was changed.
    let acts = log(&team.admin, "?kind=ACT", 3).await?;
    assert_eq!(acts[0]["summary"], "admin changed the release “Spring”");
    assert_eq!(
        (&acts[0]["detail"], &acts[0]["releaseId"]),
        (&json!("changed: version"), &release["id"])
    );
    assert_eq!(acts[0]["actor"]["username"], "admin");
    let failed = log(&team.admin, "?kind=FAILED_NOTIFICATION", 1).await?;
    assert!(
        failed[0]["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("no such user"))
    );
    let incident = log(&team.admin, "?kind=INCIDENT", 1).await?;
    assert_eq!(
        (&incident[0]["summary"], &incident[0]["open"]),
        (&json!("DiskFull on node-1"), &json!(true))
    );

    let all = log(&team.admin, "", 5).await?;
    let times: Vec<jiff::Timestamp> = all
        .iter()
        .map(|entry| entry["time"].as_str().unwrap_or_default().parse())
        .collect::<Result<_, _>>()?;
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    let kinds = pluck(&all, "kind").into_iter().filter_map(Value::as_str);
    let mut kinds: Vec<_> = kinds.collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        ["ACT", "ACT", "ACT", "FAILED_NOTIFICATION", "INCIDENT"]
    );
    // Pages joined are the same.
    let mut joined = Vec::new();
    let mut next = String::new();
    loop {
        let page = team
            .admin
            .get(&format!("/admin/logs?limit=2{next}"))
            .await?
            .expect(200);
        joined.extend_from_slice(items(&page)?);
        match page["nextCursor"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(joined, all);
    // The time of an entry divides them.
    let at = all[0]["time"].as_str().context("a time")?;
    let before = log(&team.admin, &format!("?to={at}"), 4).await?;
    assert_eq!(before, all[1..]);
    let since = log(&team.admin, &format!("?from={at}"), 1).await?;
    assert_eq!(since, all[..1]);
    for (query, count) in [
        ("?q=diskfull", 1),
        ("?q=SPRING&kind=ACT,INCIDENT", 2),
        ("?q=nothing%20has%20this", 0),
        ("?kind=DEAD_LETTER", 0),
        ("?kind=INCIDENT&kind=DEAD_LETTER", 1),
    ] {
        let page = team
            .admin
            .get(&format!("/admin/logs{query}"))
            .await?
            .expect(200);
        assert_eq!(items(&page)?.len(), count, "{query}: {page:#}");
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_filter_of_the_log_is_refused() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    let long = "x".repeat(201);
    for (query, field) in [
        ("kind=ERROR", "kind"),
        ("from=yesterday", "from"),
        ("from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z", "from"),
        (&format!("q={long}"), "q"),
        ("limit=201", "limit"),
        ("cursor=abc", "cursor"),
    ] {
        invalid(
            team.admin.get(&format!("/admin/logs?{query}")).await?,
            field,
        );
    }
    Ok(())
}
