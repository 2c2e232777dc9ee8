//! Shows that comments are read through an index: by what the server says it would do.

use jiff::Timestamp;
use mongodb::bson::{Document, doc};
use slipway_mongo::testing::Scratch;
use slipway_store::outbox::mongo::waiting;

use super::{
    COMMENTS,
    order::{by_number, first_of, replies_behind},
    posting::{fences, unsettled},
};
use crate::{
    comment::position::{Key, Ordinal, Stretch},
    store::{Stores, contract},
};

/// Enough that reading all of them would be worse.
const STORED: usize = 300;

#[tokio::test]
async fn comments_are_read_through_an_index() {
    let Some(scratch) = Scratch::database().await else {
        return;
    };
    let stores = Stores::mongo(scratch.client(), scratch.name())
        .await
        .unwrap();
    let root = contract::root(&stores).await;
    for _ in 0..STORED {
        contract::reply_to(&stores, root.comment.id).await;
    }
    let all = Stretch {
        block: root.position.block,
        after: Key::start(),
        before: Key::end(),
    };
    let find = |filter: Document, sort: Document| {
        doc! { "find": COMMENTS, "filter": filter, "sort": sort, "limit": 51 }
    };
    let commands = [
        (
            doc! { "aggregate": COMMENTS, "pipeline": first_of(&all, 51).to_vec(), "cursor": {} },
            "in_order",
        ),
        (
            find(
                replies_behind(root.comment.id, Some(Ordinal(7))),
                by_number(),
            ),
            "by_parent",
        ),
        (
            doc! { "find": COMMENTS, "filter": unsettled(Timestamp::now()) },
            "pending",
        ),
        (
            doc! { "find": COMMENTS, "filter": fences(Timestamp::now()) },
            "fences",
        ),
        (
            doc! { "find": COMMENTS, "filter": waiting("taskId", &[root.comment.task.to_string()]) },
            "outbox_by_task",
        ),
    ];
    for (command, index) in commands {
        let used = scratch.indexes(&command).await;
        assert!(used.iter().eq([index]), "{command}: {used:?}");
    }
}
