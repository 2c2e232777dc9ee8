//! Shows that lists are read through an index: by what the server says it would do.

use jiff::Timestamp;
use mongodb::bson::{Document, doc};
use slipway_mongo::testing::Scratch;
use slipway_store::outbox::mongo::overdue;

use super::{RELEASES, releases::listed, tasks::assigned_pipeline};
use crate::{
    identity::{UserId, UserRef},
    release::{Release, ReleaseDraft, ReleaseId, TaskDraft, Text},
    store::{Commit, ReleaseFilter, Stores, TaskFilter},
};

/// Enough that reading all of them would be worse.
const STORED: usize = 300;

fn release(developer: UserId) -> Release {
    let text = |text: &str| Text::title(text).unwrap();
    let person = UserRef {
        id: developer,
        username: "ada".into(),
    };
    let task = TaskDraft {
        title: text("t"),
        description: text("d"),
        assignee: person.clone(),
        order_index: None,
        due_at: None,
        hotfix: None,
    };
    let draft = ReleaseDraft {
        name: text("r"),
        description: text("r"),
        version: text("1"),
        tasks: vec![task; 2],
    };
    let planned = Release::plan(draft, person.clone(), Timestamp::UNIX_EPOCH);
    planned.unwrap().release
}

/// Each list's command, with the indexes that serve it.
fn commands(developer: UserId) -> Vec<(Document, &'static [&'static str])> {
    let aggregate = |filter, after| {
        let pipeline = assigned_pipeline(developer, filter, after, 51);
        doc! { "aggregate": RELEASES, "pipeline": pipeline, "cursor": {} }
    };
    let find = |filter: Document, order: Document| {
        doc! { "find": RELEASES, "filter": filter, "sort": order, "limit": 51 }
    };
    let after = Some(ReleaseId::generate());
    let by_assignee: &[_] = &["by_assignee", "by_assignee_and_status"];
    let by_state: &[_] = &["by_state", "_id_"];
    let newest = doc! { "_id": -1 };
    vec![
        (aggregate(None, None), by_assignee),
        (aggregate(None, after.map(|id| (id, 1))), by_assignee),
        (aggregate(Some(TaskFilter::Todo), None), by_assignee),
        (find(listed(None, after), newest.clone()), by_state),
        (
            find(listed(Some(ReleaseFilter::Open), after), newest),
            by_state,
        ),
        (
            find(overdue(Timestamp::now()), doc! { "outbox.id": 1 }),
            &["outbox"],
        ),
    ]
}

#[tokio::test]
async fn lists_are_read_through_an_index() {
    let Some(scratch) = Scratch::database().await else {
        return;
    };
    let stores = Stores::mongo(scratch.client(), scratch.name())
        .await
        .unwrap();
    let mut developer = UserId::generate();
    for _ in 0..STORED {
        developer = UserId::generate();
        let insert = stores
            .releases
            .insert(release(developer), Commit::default());
        insert.await.unwrap();
    }
    for (command, indexes) in commands(developer) {
        let used = scratch.indexes(&command).await;
        let one_of = |index: &&str| used.iter().eq([*index]);
        assert!(indexes.iter().any(one_of), "{command}: {used:?}");
    }
}
