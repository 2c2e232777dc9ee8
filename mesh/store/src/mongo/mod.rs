//! Documents in MongoDB: one MongoDB collection for each collection, one MongoDB document for each
//! document. Everything that belongs to a document is stored inside it, so that every write changes
//! one MongoDB document:
//!
//! | field | content |
//! | --- | --- |
//! | `_id`, `revision`, `schema` | |
//! | `body`, `summary` | the document, and its summary for lists |
//! | `u.<index>` | its keys in a unique index |
//! | `l.<index>` | `k`: its keys in a list; `o`: its position in the order |
//! | `v.<index>.<key>` | its values in a view, as JSON |
//! | `outbox`, `aggregate` | events that are not published yet, and their aggregate |
//! | `receipts` | receipts of the requests that changed it, of the last 24 hours |
//!
//! The collection `layout` contains the version of the data in the database.

mod indexes;
mod layout;
mod read;
mod write;

use std::sync::Arc;

use crate::{
    outbox::{OutboxStore, mongo::MongoOutbox},
    receipts::{ReceiptStore, mongo::MongoReceipts},
};
use mongodb::{Collection as Stored, bson::Document as Fields};
use slipway_mongo::{Client, Database, StorageError};

use crate::{
    StoreError,
    document::{Collection, Document, Index},
    documents::Schema,
    query::Query,
    write::{Refusal, Write},
};

#[derive(Clone)]
pub(crate) struct Adapter {
    database: Database,
    schema: Schema,
}

impl Adapter {
    pub(crate) async fn open(
        client: &Client,
        name: &str,
        schema: Schema,
    ) -> Result<Self, StorageError> {
        layout::ensure(client, name).await?;
        let indexes: Vec<_> = schema.iter().flat_map(indexes::of).collect();
        let database = Database::open(client, name, &indexes).await?;
        Ok(Self { database, schema })
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) fn outbox(&self) -> Arc<dyn OutboxStore> {
        let holders = self.names(|collection| collection.has_events);
        Arc::new(MongoOutbox::by(self.database.clone(), holders, "aggregate"))
    }

    pub(crate) fn receipts(&self) -> Arc<dyn ReceiptStore> {
        let holders = self.names(|collection| collection.has_receipts);
        Arc::new(MongoReceipts::new(self.database.clone(), holders))
    }

    /// The names of some collections. Leaked, because they live as long as the process, which asks
    /// once.
    fn names(&self, wanted: impl Fn(&Collection) -> bool) -> &'static [&'static str] {
        let wanted = self.schema.iter().filter(|collection| wanted(collection));
        let names: Vec<_> = wanted.map(|collection| collection.name).collect();
        names.leak()
    }

    fn stored<D: Document>(&self) -> Stored<Fields> {
        self.database.collection(D::COLLECTION.name)
    }

    pub(crate) async fn get<D: Document>(&self, ids: &[String]) -> Result<Vec<D>, StoreError> {
        let (stored, by_id) = (self.stored::<D>(), read::by_id(ids));
        read::documents(&stored, by_id, ids.len(), D::COLLECTION).await
    }

    pub(crate) async fn find<D: Document>(
        &self,
        index: &Index,
        keys: &[String],
    ) -> Result<Vec<D>, StoreError> {
        let (stored, by_key) = (self.stored::<D>(), read::by_key(index, keys));
        read::documents(&stored, by_key, keys.len(), D::COLLECTION).await
    }

    pub(crate) async fn list<D: Document>(
        &self,
        index: &Index,
        query: &Query,
    ) -> Result<Vec<D>, StoreError> {
        read::list(&self.stored::<D>(), read::BODY, D::COLLECTION, index, query).await
    }

    pub(crate) async fn list_each<D: Document>(
        &self,
        index: &Index,
        query: &Query,
    ) -> Result<Vec<Result<D, StoreError>>, StoreError> {
        read::list_each(&self.stored::<D>(), D::COLLECTION, index, query).await
    }

    pub(crate) async fn summaries<D: Document>(
        &self,
        index: &Index,
        query: &Query,
    ) -> Result<Vec<D::Summary>, StoreError> {
        let stored = self.stored::<D>();
        read::list(&stored, read::SUMMARY, D::COLLECTION, index, query).await
    }

    pub(crate) async fn view<D: Document, V: serde::de::DeserializeOwned>(
        &self,
        index: &Index,
        query: &Query,
        view: &Index,
        key: String,
    ) -> Result<Vec<V>, StoreError> {
        let stored = self.stored::<D>();
        read::view(&stored, D::COLLECTION, index, query, view, &key).await
    }

    pub(crate) async fn count<D: Document>(
        &self,
        index: &Index,
        query: &Query,
    ) -> Result<u64, StoreError> {
        read::count(&self.stored::<D>(), index, query).await
    }

    pub(crate) async fn count_keys<D: Document>(&self, index: &Index) -> Result<u64, StoreError> {
        read::count_keys(&self.stored::<D>(), index).await
    }

    pub(crate) async fn write(
        &self,
        writes: Vec<Write<'_>>,
    ) -> Result<Vec<Result<(), Refusal>>, StoreError> {
        write::carry_out(&self.database, writes).await
    }

    pub(crate) async fn write_in_order(
        &self,
        writes: Vec<Write<'_>>,
    ) -> Result<(usize, Option<Refusal>), StoreError> {
        write::in_order(&self.database, writes).await
    }
}

/// The queries, so that tests can examine their plans.
#[cfg(test)]
pub(crate) mod testing {
    pub(crate) use super::read::{BODY, by_key, part};
}
