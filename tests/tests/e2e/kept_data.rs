//! Data of an earlier version, kept in the repository: every later one opens it and answers
//! from it what that version answered.
//!
//! What is kept is in `tests/kept/`, a directory for each layout of the data: the SQLite files
//! of a process that was stopped, the documents of its MongoDB databases, and for each of the
//! two what the process answered. A new layout gets a directory of its own, which is written by
//!
//! ```console
//! $ cargo test --package slipway-tests --test e2e -- --ignored kept_data::write
//! ```

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, ensure};
use bson::{Bson, Document};
use futures::TryStreamExt as _;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use slipway_mongo::Client as Mongo;
use slipway_tests::{
    ADMIN_PASSWORD, Backbones, Client, Options, Process, Team,
    team::{PASSWORD, id, task_ids},
    until,
};

/// The layout of the data that this version writes.
const LAYOUT: &str = "1";

/// What comes of it that [`fill`] is done.
const NOTIFICATIONS: usize = 9;
const ENTRIES: usize = 27;

/// What is answered from the data.
#[derive(Serialize, Deserialize)]
struct Kept {
    answers: Vec<Answered>,
}

#[derive(Serialize, Deserialize)]
struct Answered {
    /// Whose question it was.
    by: String,
    path: String,
    answer: Value,
}

fn directory(layout: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("kept")
        .join(layout)
}

/// What is old is not deleted while it is looked at.
fn forgetting_nothing(options: Options) -> Options {
    options
        .env("SLIPWAY_ACTIVITY_RETENTION", "36500d")
        .env("SLIPWAY_NOTIFICATION_RETENTION", "36500d")
}

/// Does something of every kind; returns what to ask then.
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
    let said = json!({"content": "Is **this** done, @dev-1?"});
    let comment = dev.post(&comments, &said).await?.expect(201);
    let reply = format!("/comments/{}/reply", id(&comment));
    let said = json!({"content": "Yes 🚢"});
    let reply = team.developers[1].post(&reply, &said).await?.expect(201);

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

async fn ask(server: &Process, by: &str, path: &str) -> anyhow::Result<Value> {
    let password = match by {
        "admin" => ADMIN_PASSWORD,
        _ => PASSWORD,
    };
    let client: Client = server.client().login(by, password).await?;
    Ok(client.get(path).await?.expect(200))
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

/// Fills a process, and stops it when nothing is under way any more.
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
        let wall = ask(&server, "admin", "/activity?limit=200").await?;
        let wall = wall["items"].as_array().map_or(0, Vec::len);
        ensure!(wall == ENTRIES, "{wall} entries");
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

/// Whether everything that was answered is answered still; there may be more now.
fn holds(found: &Value, kept: &Value) -> bool {
    match (found, kept) {
        (Value::Object(found), Value::Object(kept)) => kept
            .iter()
            .all(|(name, kept)| found.get(name).is_some_and(|found| holds(found, kept))),
        (Value::Array(found), Value::Array(kept)) => {
            found.len() == kept.len() && found.iter().zip(kept).all(|(f, k)| holds(f, k))
        }
        (found, kept) => found == kept,
    }
}

async fn check(server: &Process, kept: Kept) {
    for Answered { by, path, answer } in kept.answers {
        let found = ask(server, &by, &path).await.unwrap();
        assert!(holds(&found, &answer), "{path}: {found:#}, not {answer:#}");
    }
}

/// Layouts of which data is kept.
fn layouts() -> Vec<String> {
    let kept = fs::read_dir(directory("")).unwrap();
    let names = kept.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn write(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    Ok(fs::write(
        path,
        serde_json::to_string_pretty(value)? + "\n",
    )?)
}

fn copy(from: &Path, to: &Path, is_wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if is_wanted(&name.to_string_lossy()) {
            fs::copy(entry.path(), to.join(name))?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_files_of_every_layout_are_opened() {
    for layout in layouts() {
        let kept = directory(&layout);
        let data = Arc::new(tempfile::tempdir().unwrap());
        copy(&kept.join("sqlite"), &data.path().join("data"), |_| true).unwrap();
        let options = forgetting_nothing(Options::default());
        let server = Process::start_on(data, &options).await.unwrap();
        let answered = read(&kept.join("sqlite.json"));
        check(&server, serde_json::from_value(answered).unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mongodb_databases_of_every_layout_are_opened() {
    for layout in layouts() {
        let Some(backbones) = Backbones::start().await.unwrap() else {
            return;
        };
        let kept = directory(&layout);
        let client = slipway_mongo::connect(&backbones.mongodb).await.unwrap();
        load(&client, read(&kept.join("mongodb-documents.json")))
            .await
            .unwrap();
        let keys = tempfile::tempdir().unwrap();
        let options = on(&backbones, keys.path());
        let server = Process::start_with(&options).await.unwrap();
        let answered = read(&kept.join("mongodb.json"));
        check(&server, serde_json::from_value(answered).unwrap()).await;
    }
}

/// A process on MongoDB, with a bus of its own.
fn on(backbones: &Backbones, keys: &Path) -> Options {
    let options = Options::default().signing(keys).unwrap();
    forgetting_nothing(options).env("SLIPWAY_MONGODB_URL", &backbones.mongodb)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes the data that is kept of this version"]
async fn write_sqlite() -> anyhow::Result<()> {
    let kept = directory(LAYOUT);
    let (answers, data) = filled(Process::start().await?).await?;
    // Not the key that signs tokens: nothing in the repository is to look like a secret.
    let is_wanted = |name: &str| name.ends_with(".db");
    copy(&data.path().join("data"), &kept.join("sqlite"), is_wanted)?;
    write(&kept.join("sqlite.json"), &answers)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes the data that is kept of this version"]
async fn write_mongodb() -> anyhow::Result<()> {
    let kept = directory(LAYOUT);
    let backbones = Backbones::start().await?.context("servers are needed")?;
    let keys = tempfile::tempdir()?;
    let options = on(&backbones, keys.path());
    let (answers, _data) = filled(Process::start_with(&options).await?).await?;
    let client = slipway_mongo::connect(&backbones.mongodb).await?;
    fs::create_dir_all(&kept)?;
    write(&kept.join("mongodb-documents.json"), &dump(&client).await?)?;
    write(&kept.join("mongodb.json"), &answers)
}

/// The documents of all databases of Slipway, as extended JSON.
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

async fn load(client: &Mongo, databases: Value) -> anyhow::Result<()> {
    for (name, collections) in databases.as_object().context("databases")? {
        for (collection, documents) in collections.as_object().context("collections")? {
            let documents = documents.as_array().context("documents")?;
            let documents = documents.iter().cloned().map(|document| match document {
                Value::Object(fields) => Ok(Document::try_from(fields)?),
                other => anyhow::bail!("{other} is no document"),
            });
            let documents: Vec<_> = documents.collect::<Result<_, _>>()?;
            if documents.is_empty() {
                continue;
            }
            let to = client.database(name).collection::<Document>(collection);
            to.insert_many(documents).await?;
        }
    }
    Ok(())
}
