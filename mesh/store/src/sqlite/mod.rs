//! Documents in SQLite: a table for each collection, and one for each of its indexes.
//!
//! | table | columns |
//! | --- | --- |
//! | the collection's name | `id`, `revision`, `schema`, `body` and `summary` as JSON |
//! | `<collection>__<index>`, unique | `k` (the key), `id` |
//! | `<collection>__<index>`, list | `k`, `o` (the order), `id`; with summaries `schema`, `summary` |
//! | `<collection>__<index>`, view | `k`, `id`, `schema`, `v` (the value as JSON) |
//!
//! Events and receipts have their own tables. A write changes all of them in one transaction; many
//! writes share one `fsync`, see [`slipway_sqlite`].

mod read;
mod tables;
mod write;

use std::{path::Path, sync::Arc};

use crate::{
    outbox::{OutboxStore, sqlite::SqliteOutbox},
    receipts::{ReceiptStore, sqlite::SqliteReceipts},
};
use slipway_sqlite::{Database, StorageError};

use crate::{
    StoreError,
    document::{Collection, Document, Index},
    documents::Schema,
    query::Query,
    write::{Refusal, Write},
};

#[derive(Clone)]
pub(crate) struct Adapter {
    db: Database,
}

impl Adapter {
    pub(crate) fn open(
        path: &Path,
        name: &'static str,
        schema: Schema,
    ) -> Result<Self, StorageError> {
        let db = Database::open_with(path, name, |connection| tables::create(connection, schema))?;
        Ok(Self { db })
    }

    pub(crate) fn database(&self) -> &Database {
        &self.db
    }

    pub(crate) fn outbox(&self) -> Arc<dyn OutboxStore> {
        Arc::new(SqliteOutbox::new(self.db.clone()))
    }

    pub(crate) fn receipts(&self) -> Arc<dyn ReceiptStore> {
        Arc::new(SqliteReceipts::new(self.db.clone()))
    }

    pub(crate) async fn get<D: Document>(&self, ids: &[String]) -> Result<Vec<D>, StoreError> {
        let (of, ids) = (D::COLLECTION, ids.to_vec());
        let found = self.db.read(move |c| read::by_id(c, of, &ids)).await?;
        found.into_iter().map(read::Found::decode::<D, _>).collect()
    }

    pub(crate) async fn find<D: Document>(
        &self,
        index: &Index,
        keys: &[String],
    ) -> Result<Vec<D>, StoreError> {
        let (of, index, keys) = (D::COLLECTION, *index, keys.to_vec());
        let find = self.db.read(move |c| read::by_key(c, of, index, &keys));
        let found = find.await?;
        found.into_iter().map(read::Found::decode::<D, _>).collect()
    }

    pub(crate) async fn list<D: Document>(
        &self,
        index: &Index,
        query: &Query,
    ) -> Result<Vec<D>, StoreError> {
        let found = self
            .read_list(D::COLLECTION, read::BODY, index, query)
            .await?;
        found.into_iter().map(read::Found::decode::<D, _>).collect()
    }

    pub(crate) async fn summaries<D: Document>(
        &self,
        index: &Index,
        query: &Query,
    ) -> Result<Vec<D::Summary>, StoreError> {
        let read = self.read_list(D::COLLECTION, read::SUMMARY, index, query);
        let found = read.await?;
        found.into_iter().map(read::Found::decode::<D, _>).collect()
    }

    async fn read_list(
        &self,
        of: Collection,
        column: &'static str,
        index: &Index,
        query: &Query,
    ) -> Result<Vec<read::Found>, StoreError> {
        let (index, query) = (*index, query.clone());
        let read = self
            .db
            .read(move |c| read::list(c, of, column, index, &query));
        Ok(read.await?)
    }

    pub(crate) async fn view<D: Document, V: serde::de::DeserializeOwned>(
        &self,
        index: &Index,
        query: &Query,
        view: &Index,
        key: String,
    ) -> Result<Vec<V>, StoreError> {
        let (of, index, query, view) = (D::COLLECTION, *index, query.clone(), *view);
        let read = self
            .db
            .read(move |c| read::view(c, of, index, &query, view, &key));
        let found = read.await?;
        found.into_iter().map(read::Found::decode::<D, _>).collect()
    }

    pub(crate) async fn count<D: Document>(
        &self,
        index: &Index,
        query: &Query,
    ) -> Result<u64, StoreError> {
        let (of, index, query) = (D::COLLECTION, *index, query.clone());
        let count = self.db.read(move |c| read::count(c, of, index, &query));
        Ok(count.await?)
    }

    pub(crate) async fn write(
        &self,
        writes: Vec<Write<'_>>,
    ) -> Result<Vec<Result<(), Refusal>>, StoreError> {
        write::carry_out(&self.db, encoded(writes)?).await
    }

    pub(crate) async fn write_in_order(
        &self,
        writes: Vec<Write<'_>>,
    ) -> Result<(usize, Option<Refusal>), StoreError> {
        write::in_order(&self.db, encoded(writes)?).await
    }
}

fn encoded(writes: Vec<Write<'_>>) -> Result<Vec<write::Encoded>, StoreError> {
    writes.into_iter().map(write::Encoded::try_from).collect()
}
