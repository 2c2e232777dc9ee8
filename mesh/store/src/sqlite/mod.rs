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
use serde::de::DeserializeOwned;
use slipway_sqlite::{Database, StorageError};

use crate::{
    StoreError,
    document::{Document, Index},
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

    pub(crate) fn open_read_only(path: &Path, name: &'static str) -> Result<Self, StorageError> {
        let db = Database::open_read_only(path, name)?;
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
        let ids = ids.to_vec();
        self.db.read(move |c| read::by_id(c, &ids)).await
    }

    pub(crate) async fn find<D: Document>(
        &self,
        index: &Index,
        keys: &[String],
    ) -> Result<Vec<D>, StoreError> {
        let (index, keys) = (*index, keys.to_vec());
        self.db.read(move |c| read::by_key(c, index, &keys)).await
    }

    pub(crate) async fn list<D: Document>(
        &self,
        index: &Index,
        query: &Query,
    ) -> Result<Vec<D>, StoreError> {
        self.read_list::<D, D>(read::BODY, index, query).await
    }

    pub(crate) async fn list_each<D: Document>(
        &self,
        index: &Index,
        query: &Query,
    ) -> Result<Vec<Result<D, StoreError>>, StoreError> {
        let (index, query) = (*index, query.clone());
        self.db
            .read(move |c| read::list_each(c, index, &query))
            .await
    }

    pub(crate) async fn summaries<D: Document>(
        &self,
        index: &Index,
        query: &Query,
    ) -> Result<Vec<D::Summary>, StoreError> {
        self.read_list::<D, _>(read::SUMMARY, index, query).await
    }

    async fn read_list<D: Document, T: DeserializeOwned + Send + 'static>(
        &self,
        column: &'static str,
        index: &Index,
        query: &Query,
    ) -> Result<Vec<T>, StoreError> {
        let (index, query) = (*index, query.clone());
        self.db
            .read(move |c| read::list::<D, T>(c, column, index, &query))
            .await
    }

    pub(crate) async fn view<D: Document, V: DeserializeOwned + Send + 'static>(
        &self,
        index: &Index,
        query: &Query,
        view: &Index,
        key: String,
    ) -> Result<Vec<V>, StoreError> {
        let (index, query, view) = (*index, query.clone(), *view);
        self.db
            .read(move |c| read::view::<D, V>(c, index, &query, view, &key))
            .await
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

    pub(crate) async fn count_keys<D: Document>(&self, index: &Index) -> Result<u64, StoreError> {
        let (of, index) = (D::COLLECTION, *index);
        let count = self.db.read(move |c| read::count_keys(c, of, index));
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
