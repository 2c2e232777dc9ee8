//! `/stats…`.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use slipway_tests::{
    Client,
    team::{id, task_ids},
    until,
};

use super::{begin, finish, invalid, start, unauthorized};

const PATHS: [&str; 3] = ["/stats/tasks", "/stats/events", "/stats/assistant"];

/// The sum of the counts of minutes.
fn sum(statistics: &Value) -> u64 {
    let minutes = statistics["minutes"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    minutes
        .iter()
        .filter_map(|minute| minute["count"].as_u64())
        .sum()
}

/// Statistics of tasks, once this many were completed.
async fn completed(by: &Client, count: u64) -> anyhow::Result<Value> {
    until(async || {
        let found = by.get("/stats/tasks?days=2").await?.expect(200);
        ensure!(found["total"]["completed"] == count, "{found:#}");
        Ok(found)
    })
    .await
}

#[tokio::test]
async fn everybody_who_is_signed_in_sees_the_statistics() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    for path in PATHS {
        for client in [&team.admin, &team.developers[0]] {
            client.get(path).await?.expect(200);
        }
        unauthorized(server.client().get(path).await?, "UNAUTHENTICATED");
    }
    let days = |found: Value| found["days"].as_array().map_or(0, Vec::len);
    assert_eq!(days(team.admin.get("/stats/tasks").await?.expect(200)), 30);
    assert_eq!(
        days(team.admin.get("/stats/tasks?days=366").await?.expect(200)),
        366
    );
    for (path, wrong) in [
        ("/stats/tasks", "days=0"),
        ("/stats/tasks", "days=367"),
        ("/stats/tasks", "days=-1"),
        ("/stats/tasks", "hours=1"),
        ("/stats/events", "hours=49"),
        ("/stats/assistant", "hours=x"),
    ] {
        let field = wrong.split('=').next().unwrap_or_default();
        invalid(team.admin.get(&format!("{path}?{wrong}")).await?, field);
    }
    Ok(())
}

#[tokio::test]
async fn statistics_count_what_was_done_and_survive_a_restart() -> anyhow::Result<()> {
    let (server, team) = start(2).await?;
    let none = team.admin.get("/stats/tasks?days=1").await?.expect(200);
    let nothing = json!({"count": 0, "meanMs": null, "medianMs": null, "p90Ms": null, "p99Ms": null, "maxMs": null});
    assert_eq!(none["total"]["leadTime"], nothing);
    let release = team.release("a", &[0, 1, 0]).await?;
    for (task, owner) in task_ids(&release).iter().zip([0, 1, 0]) {
        begin(&team.developers[owner], task).await?.expect(200);
        finish(&team.developers[owner], task).await?.expect(200);
    }
    let found = completed(&team.developers[0], 3).await?;
    assert_eq!(found["total"]["activeDevelopers"], 2);
    let lead = &found["total"]["leadTime"];
    assert_eq!(lead["count"], 3);
    let ms = |of: &Value, name: &str| of[name].as_u64().context("milliseconds");
    let (todo, work) = (
        &found["total"]["todoTime"],
        &found["total"]["inProcessTime"],
    );
    let parts = ms(todo, "meanMs")? + ms(work, "meanMs")?;
    assert!(ms(lead, "meanMs")?.abs_diff(parts) <= 1, "{found:#}");
    assert!(ms(lead, "medianMs")? <= ms(lead, "maxMs")?);

    let session = team.developers[0]
        .post("/chat/session", &json!({}))
        .await?
        .expect(201);
    let ask = format!("/chat/{}/message", id(&session));
    team.developers[0]
        .post(&ask, &json!({"message": "What is next?"}))
        .await?
        .expect(200);
    let answers = until(async || {
        let found = team
            .admin
            .get("/stats/assistant?hours=1")
            .await?
            .expect(200);
        ensure!(sum(&found) == 1, "{found:#}");
        Ok(found)
    });
    let answers = answers.await?;
    assert_eq!(answers["answerTime"]["count"], 1);
    assert_eq!(answers["minutes"].as_array().map(Vec::len), Some(60));

    let newest = team.admin.get("/activity?limit=1").await?.expect(200);
    let newest = newest["items"][0]["sequence"]
        .as_u64()
        .context("a number")?;
    let events =
        async |by: &Client| anyhow::Ok(sum(&by.get("/stats/events?hours=1").await?.expect(200)));
    until(async || {
        let counted = events(&team.admin).await?;
        ensure!(counted == newest, "{counted} of {newest}");
        Ok(())
    })
    .await?;

    let data = server.kill().await?;
    let server = slipway_tests::Process::start_on(data, &slipway_tests::Options::default()).await?;
    let admin = server.admin().await?;
    assert_eq!(
        completed(&admin, 3).await?,
        found,
        "the same after a restart"
    );
    assert_eq!(
        admin.get("/stats/assistant?hours=1").await?.expect(200)["answerTime"]["count"],
        1
    );
    assert!(events(&admin).await? >= newest);
    Ok(())
}
