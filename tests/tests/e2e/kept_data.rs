//! Data of earlier versions: see [`slipway_tests::kept`].

use std::{fs, path::Path, sync::Arc};

use anyhow::Context as _;
use bson::Document;
use serde_json::Value;
use slipway_mongo::Client as Mongo;
use slipway_tests::{
    Backbones, Options, Process,
    kept::{Answered, Kept, ask, copy, directory, forgetting_nothing, on_mongodb},
};

/// Whether all of the recorded answer is in the current one; the current one may have more.
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

/// The layouts with stored data.
fn layouts() -> Vec<String> {
    let kept = fs::read_dir(directory("")).unwrap();
    let names = kept.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_files_of_every_layout_can_be_opened() {
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
async fn mongodb_databases_of_every_layout_can_be_opened() {
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
        let options = on_mongodb(&backbones, keys.path()).unwrap();
        let server = Process::start_with(&options).await.unwrap();
        let answered = read(&kept.join("mongodb.json"));
        check(&server, serde_json::from_value(answered).unwrap()).await;
    }
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
