//! Query plans of SQLite, for tests.

use rusqlite::Connection;

/// The plan of a query on a file with these migrations, one line per step.
///
/// # Panics
/// If a migration or the query is not valid SQL.
#[must_use]
pub fn plan(migrations: &[&str], sql: &str) -> Vec<String> {
    let c = Connection::open_in_memory().expect("an in-memory database opens");
    for migration in migrations {
        c.execute_batch(migration).expect("a migration is SQL");
    }
    // The parameters need no values.
    let mut explain = c
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .expect("a query is SQL");
    let steps = explain.raw_query().mapped(|row| row.get(3));
    let steps: Result<_, _> = steps.collect();
    steps.expect("a step is a text")
}

/// The plan of a query that must search indexes, and neither scan a table nor sort.
///
/// # Panics
/// If the plan has a scan or a sort.
pub fn search(migrations: &[&str], sql: &str) -> Vec<String> {
    let plan = plan(migrations, sql);
    let refused = |step: &String| step.starts_with("SCAN") || step.contains("TEMP B-TREE");
    let searches = plan.iter().any(|step| step.starts_with("SEARCH"));
    assert!(
        searches && !plan.iter().any(refused),
        "{sql}: {}",
        plan.join("; ")
    );
    plan
}
