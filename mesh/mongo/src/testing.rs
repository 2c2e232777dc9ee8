//! Databases for tests, on the server in `SLIPWAY_TEST_MONGODB`.

use std::{collections::BTreeSet, io::Write as _};

use mongodb::bson::{Bson, Document, doc};
use uuid::Uuid;

use super::{Client, connect};

/// The variable with the URL of the server for tests.
const URL: &str = "SLIPWAY_TEST_MONGODB";

/// If it is `1`, a test without its backend fails.
const REQUIRED: &str = "SLIPWAY_TEST_REQUIRED";

/// The URL of the server for tests. If there is none, prints that the test is skipped and returns
/// `None`.
///
/// # Panics
/// If there is none and backends are required.
#[must_use]
pub fn url() -> Option<String> {
    if let Ok(url) = std::env::var(URL) {
        return Some(url);
    }
    assert!(
        std::env::var(REQUIRED).as_deref() != Ok("1"),
        "{URL} is not set, and {REQUIRED} is"
    );
    // Not with a macro: the output of a test that passes would be hidden.
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("SKIPPED: {test}: {URL} is not set\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    None
}

/// A database for one test. It is deleted when this is dropped.
pub struct Scratch {
    client: Client,
    name: String,
}

impl Scratch {
    /// Creates a new database. If there is no server for tests, prints that the test is skipped and
    /// returns `None`.
    ///
    /// # Panics
    /// If there is none and backends are required, or it does not answer.
    pub async fn database() -> Option<Self> {
        let url = url()?;
        let client = connect(&url).await.expect("the server for tests answers");
        let name = format!("slipway_test_{}", Uuid::now_v7().simple());
        Some(Self { client, name })
    }

    /// A client of the server.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The indexes that the server would use for a command on the database: those in its chosen
    /// plan, not those that it only considered.
    ///
    /// # Panics
    /// If it would read a whole collection, or does not answer.
    pub async fn indexes(&self, command: &Document) -> BTreeSet<String> {
        let explain = doc! { "explain": command, "verbosity": "queryPlanner" };
        let database = self.client.database(&self.name);
        let plan = database.run_command(explain).await;
        let mut plan = plan.expect("the server for tests answers");
        // The plan contains the command itself.
        plan.remove("command");
        let text = plan.to_string();
        // The terms of MongoDB, and of a server on PostgreSQL.
        for scan in ["COLLSCAN", "Seq Scan"] {
            assert!(!text.contains(scan), "{command}: {text}");
        }
        let mut used = BTreeSet::new();
        collect_indexes(&Bson::Document(plan), &mut used);
        assert!(!used.is_empty(), "{command}: {text}");
        used
    }

    /// The database's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Collects the names of the indexes that a part of a plan uses.
fn collect_indexes(part: &Bson, used: &mut BTreeSet<String>) {
    match part {
        Bson::Array(parts) => parts.iter().for_each(|part| collect_indexes(part, used)),
        Bson::Document(parts) => {
            for (key, part) in parts {
                match (key.as_str(), part) {
                    // Rejected plans, in the terms of both servers.
                    ("rejectedPlans" | "IndexCosts", _) => {}
                    ("indexName", Bson::String(name)) => {
                        used.insert(name.clone());
                    }
                    _ => collect_indexes(part, used),
                }
            }
        }
        _ => {}
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let Ok(url) = std::env::var(URL) else { return };
        let name = std::mem::take(&mut self.name);
        // In another thread, because the test's runtime cannot be blocked here.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.map(|runtime| {
                runtime.block_on(async {
                    connect(&url)
                        .await?
                        .database(&name)
                        .drop()
                        .await
                        .map_err(Into::into)
                })
            })
        });
        match dropped.join() {
            Ok(Ok(Ok::<(), super::StorageError>(()))) => {}
            failed => eprintln!("a database of a test could not be dropped: {failed:?}"),
        }
    }
}
