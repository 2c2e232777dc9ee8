//! Verification of the stored chain.

use slipway_sqlite::Database;

use super::{AuditStore, entries};
use crate::{
    audit::{Head, store::Verdict},
    store::testing::on_each,
};

on_each!(AuditStore:
    a_chain_that_nobody_has_touched_is_whole
    a_head_that_was_noted_must_be_in_the_chain
);

async fn a_chain_that_nobody_has_touched_is_whole(open: impl Fn() -> AuditStore) {
    let store = open();
    assert_eq!(
        store.verify(None).await.unwrap(),
        Verdict::Whole(Head::none())
    );
    // More than are read at a time.
    store.append(entries(1_100)).await.unwrap();
    let head = store.head().await.unwrap();
    assert_eq!(store.verify(None).await.unwrap(), Verdict::Whole(head));
}

async fn a_head_that_was_noted_must_be_in_the_chain(open: impl Fn() -> AuditStore) {
    let store = open();
    store.append(entries(9)).await.unwrap();
    let noted = store.head().await.unwrap();
    store.append(entries(12)).await.unwrap();
    let head = store.head().await.unwrap();
    let verdict = store.verify(Some(noted.clone())).await.unwrap();
    assert_eq!(verdict, Verdict::Whole(head.clone()));
    for (noted, at) in [
        (Head { number: 8, ..noted }, 8),
        (Head { number: 13, ..head }, 13),
    ] {
        match store.verify(Some(noted)).await.unwrap() {
            Verdict::Broken(broken) => assert_eq!(broken.number, at),
            Verdict::Whole(head) => panic!("whole until {head}"),
        }
    }
}

/// Runs SQL on a file with a trail of twelve entries, and returns where the chain is broken then.
async fn broken_by(sql: &str) -> u64 {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify.db");
    let store = AuditStore::new(crate::store::open(&path).unwrap());
    store.append(entries(12)).await.unwrap();
    let tampering = Database::open_with(&path, "notify", |c| Ok(c.execute_batch(sql)?));
    drop(tampering.unwrap());
    let store = AuditStore::read_only(&path).unwrap();
    match store.verify(None).await.unwrap() {
        Verdict::Broken(broken) => broken.number,
        Verdict::Whole(head) => panic!("{sql}: whole until {head}"),
    }
}

#[tokio::test]
async fn tampering_with_the_file_is_found_where_it_was_done() {
    let set = |id: &str, body: &str| format!("UPDATE audit SET body = {body} WHERE id = '{id}';");
    let id = crate::store::sequence::place;
    let body = |n| format!("(SELECT body FROM audit WHERE id = '{}')", id(n));
    let rename =
        |from: &str, to: &str| format!("UPDATE audit SET id = '{to}' WHERE id = '{from}';");
    let swapped_bodies = [
        "CREATE TEMP TABLE kept AS SELECT body FROM audit WHERE id = '".to_owned() + &id(3) + "';",
        set(&id(3), &body(9)),
        set(&id(9), "(SELECT body FROM kept)"),
    ];
    let swapped_ids = [
        rename(&id(2), "x"),
        rename(&id(8), &id(2)),
        rename("x", &id(8)),
    ];
    for (sql, number) in [
        (set(&id(7), "replace(body, 'user 1', 'user 0')"), 7),
        (format!("DELETE FROM audit WHERE id = '{}'", id(4)), 4),
        (set(&id(5), "'nonsense'"), 5),
        (set(&id(6), "json_set(body, '$.note', 'added')"), 6),
        (swapped_bodies.concat(), 3),
        (swapped_ids.concat(), 2),
        (
            format!(
                "INSERT INTO audit SELECT '{}x', revision, schema, body, summary FROM audit
                 WHERE id = '{}'",
                id(10),
                id(1)
            ),
            11,
        ),
    ] {
        assert_eq!(broken_by(&sql).await, number, "{sql}");
    }
}
