//! Checks which version's data a database contains.
//!
//! A database of an old version that did not store documents has no mark. This is checked before
//! anything is created in it, so collections without a mark cannot come from another process that
//! is creating the database at the same moment.

use futures::TryStreamExt as _;
use mongodb::bson::{Document as Fields, doc};
use slipway_mongo::{Client, StorageError, bounded, malformed};

/// The version of the layout in which documents are stored.
const LAYOUT: i32 = 1_001;

/// The collection that contains the mark.
const MARK: &str = "layout";

/// Marks a new database, and checks the mark of one with data.
///
/// # Errors
/// If the database is of another version, or the server is unavailable.
pub(super) async fn ensure(client: &Client, name: &str) -> Result<(), StorageError> {
    let database = client.database(name);
    let names = async {
        database
            .list_collections()
            .await?
            .try_collect::<Vec<_>>()
            .await
    };
    let is_new = bounded(names).await?.is_empty();
    let marks = database.collection::<Fields>(MARK);
    let mark = doc! { "_id": "layout" };
    if is_new {
        let set = doc! { "$setOnInsert": { "version": LAYOUT } };
        let put = marks.update_one(mark.clone(), set).upsert(true);
        match bounded(put.into_future()).await {
            Err(error) if error.duplicate_key().is_none() && !error.gave_way() => {
                return Err(error);
            }
            // Another process has marked it.
            _ => {}
        }
    }
    let found = bounded(marks.find_one(mark).into_future()).await?;
    let version = found.map(|mark| mark.get_i32("version").map_err(malformed));
    match version.transpose()? {
        Some(LAYOUT) => Ok(()),
        _ => Err(StorageError::Unusable(format!(
            "the database {name} was made by another version, whose data this one cannot read: \
             use another server, or drop the database"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use slipway_mongo::testing::Scratch;

    use super::*;

    #[tokio::test]
    async fn a_database_of_a_version_without_documents_is_refused() {
        let Some(scratch) = Scratch::database().await else {
            return;
        };
        let old = scratch.client().database(scratch.name());
        let things = old.collection::<Fields>("things");
        things.insert_one(doc! { "_id": 1 }).await.unwrap();
        let refused = ensure(scratch.client(), scratch.name()).await.unwrap_err();
        assert!(refused.to_string().contains("another version"), "{refused}");
        assert!(refused.is_refusal());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn processes_that_start_at_once_share_a_new_database() {
        let Some(scratch) = Scratch::database().await else {
            return;
        };
        let starts = (0..4).map(|_| ensure(scratch.client(), scratch.name()));
        for started in futures::future::join_all(starts).await {
            started.unwrap();
        }
        ensure(scratch.client(), scratch.name()).await.unwrap();
    }
}
