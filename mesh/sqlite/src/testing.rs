//! What SQLite would do for a query.

use rusqlite::Connection;

/// What SQLite would do for a query on a file with these migrations, a line for each step.
///
/// # Panics
/// If a migration or the query is no SQL.
#[must_use]
pub fn plan(migrations: &[&str], sql: &str) -> Vec<String> {
    let c = Connection::open_in_memory().expect("memory can be had");
    for migration in migrations {
        c.execute_batch(migration).expect("a migration is SQL");
    }
    // Its parameters need no values.
    let mut explain = c
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .expect("a query is SQL");
    let steps = explain.raw_query().mapped(|row| row.get(3));
    let steps: Result<_, _> = steps.collect();
    steps.expect("a step is a text")
}

/// The same for a query that searches indexes, reads nothing whole and sorts nothing.
///
/// # Panics
/// If it does not.
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
