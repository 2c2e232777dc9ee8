//! Shows that the queue and the lists are read through an index: by what the server says
//! it would do.

use mongodb::bson::{Document, doc};
use slipway_mesh::store::mongo::{Database, testing::Scratch};

use super::{COLLECTION, INDEXES, MongoNotificationStore, list::search};
use crate::store::notifications::{NotificationStore as _, contract};

/// Enough that reading all of them would be worse.
const STORED: u128 = 300;

fn commands() -> Vec<Document> {
    let find = |filter: Document, order: Document| {
        doc! { "find": COLLECTION, "filter": filter, "sort": order, "limit": 16 }
    };
    let now = mongodb::bson::DateTime::from_millis(1_000);
    let mut commands = vec![
        find(
            doc! { "state": "QUEUED", "dueAt": { "$lte": now } },
            doc! { "dueAt": 1 },
        ),
        find(
            doc! { "claimedUntil": { "$lte": now } },
            doc! { "claimedUntil": 1 },
        ),
        find(
            slipway_mesh::outbox::mongo::overdue(jiff::Timestamp::UNIX_EPOCH),
            doc! { "outbox.id": 1 },
        ),
    ];
    for query in contract::every_shape_of_query() {
        let pipeline = search(&query).pipeline();
        commands.push(doc! { "aggregate": COLLECTION, "pipeline": pipeline, "cursor": {} });
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
    for command in commands() {
        scratch.plan(&command).await;
    }
}
