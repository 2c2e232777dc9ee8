//! Shows that the queue and the lists are read through an index: by what the server says
//! it would do.

use jiff::Timestamp;
use mongodb::bson::{Document, doc};
use slipway_mongo::{Database, testing::Scratch};
use slipway_store::outbox::mongo::overdue;

use super::{
    COLLECTION, INDEXES, MongoNotificationStore, abandoned,
    claims::{is_due, queued},
    list::search,
    of_digests,
};
use crate::{
    notification::Filter,
    store::notifications::{NotificationStore as _, contract},
};

/// Enough that reading all of them would be worse.
const STORED: u128 = 300;

/// What is asked of the collection, each with the index that serves it.
fn commands() -> Vec<(Document, &'static str)> {
    let find = |filter: Document, order: Document| {
        doc! { "find": COLLECTION, "filter": filter, "sort": order, "limit": 16 }
    };
    let now = Timestamp::UNIX_EPOCH;
    let group = ("ada".to_owned(), "release:1".to_owned());
    let mut commands = vec![
        (find(is_due(now), doc! { "dueAt": 1 }), "due"),
        (find(queued(&group), doc! { "_id": 1 }), "gathered"),
        (
            find(of_digests(&["7".to_owned()]), doc! { "_id": 1 }),
            "by_digest",
        ),
        (find(abandoned(now), doc! { "claimedUntil": 1 }), "claimed"),
        (find(overdue(now), doc! { "outbox.id": 1 }), "outbox"),
    ];
    for query in contract::every_shape_of_query() {
        let index = match &query.filter {
            Filter { to: Some(_), .. } => "by_recipient",
            Filter { kind: Some(_), .. } => "by_kind",
            Filter { state: Some(_), .. } => "by_state",
            _ => "_id_",
        };
        for pipeline in search(&query).pipelines() {
            let list = doc! { "aggregate": COLLECTION, "pipeline": pipeline, "cursor": {} };
            commands.push((list, index));
        }
    }
    commands
}

#[tokio::test]
async fn the_queue_and_the_lists_are_read_through_an_index() {
    let Some(scratch) = Scratch::database().await else {
        return;
    };
    let database = Database::open(scratch.client(), scratch.name(), INDEXES)
        .await
        .unwrap();
    let stored = contract::notifications(STORED);
    let store = MongoNotificationStore::new(&database);
    store.enqueue(stored).await.unwrap();
    for (command, index) in commands() {
        let used = scratch.indexes(&command).await;
        assert!(used.iter().eq([index]), "{command}: {used:?}");
    }
}
