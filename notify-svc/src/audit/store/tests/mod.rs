//! Tests of the audit trail on each database.

mod appends;
mod lists;
mod verifies;

use jiff::Timestamp;
use uuid::Uuid;

use super::{AuditStore, Place};
use crate::audit::{Chain, Entry, Filter, chain::tests::entry};

/// The first entries, before they are chained.
fn entries(count: u128) -> Vec<Entry> {
    (1..=count).map(entry).collect()
}

/// All entries, in the order of the chain, which must be whole.
async fn whole(store: &AuditStore) -> Vec<Entry> {
    let mut found = listed(store, &Filter::default(), 50).await;
    found.sort_by_key(|entry| entry.number);
    let mut chain = Chain::new(None);
    for entry in &found {
        chain.follow(entry).unwrap();
    }
    assert_eq!(chain.end().unwrap(), store.head().await.unwrap());
    found
}

/// All pages of a list, joined.
async fn listed(store: &AuditStore, filter: &Filter, limit: u32) -> Vec<Entry> {
    let mut all = Vec::new();
    let mut after: Option<Place> = None;
    loop {
        let page = store.list(filter, after, limit).await.unwrap();
        assert!(page.items.len() <= limit as usize);
        all.extend(page.items);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

fn release(n: u128) -> Uuid {
    Uuid::from_u128(0xe1_0000 + n)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}
