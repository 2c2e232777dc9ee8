//! Writes data in this version's layout. Later versions must return the same answers from it (see
//! [`slipway_tests::kept`]). Has the same requirements as tests on real servers.

use std::{fs, path::Path, sync::Arc};

use anyhow::ensure;
use bson::{Bson, Document};
use futures::TryStreamExt as _;
use reqwest::Method;
use serde::Serialize;
use serde_json::{Map, Value, json};
use slipway_mongo::Client as Mongo;
use slipway_tests::{
    Backbones, Options, Process, Team,
    kept::{Answered, Kept, ask, copy, directory, on_mongodb},
    team::{id, task_ids},
    until,
};

/// The layout of this version's data.
const LAYOUT: &str = "1";

/// How many notifications and entries [`fill`] causes.
const NOTIFICATIONS: usize = 9;
const ENTRIES: usize = 27;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let kept = directory(LAYOUT);
    let (answers, data) = filled(Process::start_with(&Options::default()).await?).await?;
    // Without the key that signs tokens: the repository must not contain anything that looks like a
    // secret.
    let is_wanted = |name: &str| name.ends_with(".db");
    copy(&data.path().join("data"), &kept.join("sqlite"), is_wanted)?;
    write(&kept.join("sqlite.json"), &answers)?;

    let backbones = Backbones::run().await?;
    let keys = tempfile::tempdir()?;
    let options = on_mongodb(&backbones, keys.path())?;
    let (answers, _data) = filled(Process::start_with(&options).await?).await?;
    let client = slipway_mongo::connect(&backbones.mongodb).await?;
    write(&kept.join("mongodb-documents.json"), &dump(&client).await?)?;
    write(&kept.join("mongodb.json"), &answers)
}

/// Does something of every kind; returns the requests whose answers are recorded.
async fn fill(server: &Process) -> anyhow::Result<Vec<(String, String)>> {
    let team = Team::new(server, 2).await?;
    let (admin, dev) = (&team.admin, &team.developers[0]);

    let release = team.release("Payments 2.4", &[0, 1]).await?;
    let tasks = task_ids(&release);
    for (developer, step) in [(0, "start"), (0, "complete")] {
        let path = format!("/tasks/{}/{step}", tasks[0]);
        team.developers[developer].patch(&path).await?.expect(200);
    }
    let start = format!("/tasks/{}/start", tasks[1]);
    team.developers[1].patch(&start).await?.expect(200);

    let reopened = team.release("Search 1.0", &[0]).await?;
    let task = &task_ids(&reopened)[0];
    for step in ["start", "complete"] {
        let path = format!("/tasks/{task}/{step}");
        dev.patch(&path).await?.expect(200);
    }
    let path = format!("/releases/{}", id(&reopened));
    admin.patch(&format!("{path}/complete")).await?.expect(200);
    let hotfix = json!({"title": "Repair the index", "assignee": "dev-0",
        "dueAt": "2030-01-01T12:00:00Z"});
    admin
        .post(&format!("{path}/tasks"), &hotfix)
        .await?
        .expect(201);

    let comments = format!("/tasks/{}/comments", tasks[0]);
    let body = json!({"content": "Is **this** done, @dev-1?"});
    let comment = dev.post(&comments, &body).await?.expect(201);
    let reply = format!("/comments/{}/reply", id(&comment));
    let body = json!({"content": "Yes 🚢"});
    let reply = team.developers[1].post(&reply, &body).await?.expect(201);

    let session = dev.post("/chat/session", &json!({})).await?.expect(201);
    let chat = format!("/chat/{}", id(&session));
    let question = json!({"message": "What is next?"});
    dev.post(&format!("{chat}/message"), &question)
        .await?
        .expect(200);

    let wanted = json!({"timeZone": "Europe/Berlin",
        "quietHours": {"start": "22:00", "end": "07:00"}});
    let put = dev.request(Method::PUT, "/preferences").json(&wanted);
    dev.send(put).await?.expect(200);
    let template = json!({"subject": "Order {{ orderId }}", "text": "Your order {{ orderId }}.",
        "html": "<p>Your order</p>", "sample": {"orderId": "A-7"}});
    let put = admin.request(Method::PUT, "/admin/templates/order-placed");
    admin.send(put.json(&template)).await?.expect(200);
    let event = json!({"data": {"orderId": "A-7"}});
    admin
        .post("/events/order-placed", &event)
        .await?
        .expect(202);

    let of_everybody = |path: &str| ("dev-0".to_owned(), path.to_owned());
    let of_admins = |path: &str| ("admin".to_owned(), path.to_owned());
    Ok(vec![
        of_everybody("/auth/me"),
        of_everybody("/users?limit=200"),
        of_everybody("/releases?limit=200"),
        of_everybody(&format!("/releases/{}", id(&release))),
        of_everybody(&path),
        of_everybody("/tasks/my?limit=200"),
        of_everybody(&format!("/tasks/{}", tasks[1])),
        of_everybody(&format!("{comments}?view=tree")),
        of_everybody(&format!("/comments/{}", id(&reply))),
        of_everybody("/activity?limit=200"),
        of_everybody("/chat/sessions?limit=200"),
        of_everybody(&format!("{chat}/history?limit=200")),
        of_everybody("/notifications?limit=200"),
        of_everybody("/preferences"),
        of_admins("/admin/notifications?limit=200"),
        of_admins("/admin/templates/order-placed"),
    ])
}

async fn answers(
    server: &Process,
    questions: &[(String, String)],
) -> anyhow::Result<Vec<Answered>> {
    let mut answers = Vec::new();
    for (by, path) in questions {
        answers.push(Answered {
            by: by.clone(),
            path: path.clone(),
            answer: ask(server, by, path).await?,
        });
    }
    Ok(answers)
}

/// Fills a process, and stops it when it has no more work.
async fn filled(server: Process) -> anyhow::Result<(Kept, Arc<tempfile::TempDir>)> {
    let questions = fill(&server).await?;
    until(async || {
        let all = ask(&server, "admin", "/admin/notifications?limit=200").await?;
        let all = all["items"].as_array().cloned().unwrap_or_default();
        let is_sent = |item: &Value| item["status"] == "SENT";
        ensure!(
            all.len() == NOTIFICATIONS && all.iter().all(is_sent),
            "{all:#?}"
        );
        let entries = ask(&server, "admin", "/activity?limit=200").await?;
        let entries = entries["items"].as_array().map_or(0, Vec::len);
        ensure!(entries == ENTRIES, "{entries} entries");
        Ok(())
    })
    .await?;
    let kept = Kept {
        answers: answers(&server, &questions).await?,
    };
    let data = Arc::clone(&server.data);
    server.signal("TERM").await?;
    server.ended().await?;
    Ok((kept, data))
}

fn write(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    Ok(fs::write(
        path,
        serde_json::to_string_pretty(value)? + "\n",
    )?)
}

/// The documents of all Slipway databases, as extended JSON.
async fn dump(client: &Mongo) -> anyhow::Result<Value> {
    let mut databases = Map::new();
    for name in client.list_database_names().await? {
        if !name.starts_with("slipway_") {
            continue;
        }
        let database = client.database(&name);
        let mut collections = Map::new();
        for collection in database.list_collection_names().await? {
            let found = database.collection::<Document>(&collection);
            let found: Vec<_> = found.find(Document::new()).await?.try_collect().await?;
            let found = found.into_iter().map(Bson::Document);
            let found = found.map(Bson::into_canonical_extjson).collect();
            collections.insert(collection, found);
        }
        databases.insert(name, collections.into());
    }
    Ok(databases.into())
}
