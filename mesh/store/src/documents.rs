//! The port: what stores ask of a database, whichever it is.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use slipway_mesh::{
    life::Check, outbox::OutboxStore, receipts::ReceiptStore, store::mongo::Client,
};

use crate::{
    StoreError,
    document::{Collection, Document, Index},
    mongo, query::Query, sqlite,
    write::{Refusal, Write},
};

/// The collections of a service.
pub type Schema = &'static [Collection];

/// A service's documents.
#[derive(Clone)]
pub struct Documents(Backend);

#[derive(Clone)]
enum Backend {
    Sqlite(sqlite::Adapter),
    Mongo(mongo::Adapter),
}

/// Runs the same method of whichever adapter it is.
macro_rules! on {
    ($documents:expr, $adapter:ident => $call:expr) => {
        match &$documents.0 {
            Backend::Sqlite($adapter) => $call,
            Backend::Mongo($adapter) => $call,
        }
    };
}

impl Documents {
    /// The documents in the SQLite file at `path`, which is created if it is not there.
    /// `name` stands in metrics. Blocks: call it at start.
    ///
    /// # Errors
    /// If the file cannot be used, or is of a version without documents.
    pub fn sqlite(path: &Path, name: &'static str, schema: Schema) -> Result<Self, StoreError> {
        let adapter = sqlite::Adapter::open(path, name, schema)?;
        Ok(Self(Backend::Sqlite(adapter)))
    }

    /// The documents in the MongoDB database `name`; missing indexes are built.
    ///
    /// # Errors
    /// If the server is away, an index exists with another definition, or the database is
    /// of a version without documents.
    pub async fn mongo(
        client: &Client,
        name: &str,
        schema: Schema,
    ) -> Result<Self, StoreError> {
        let adapter = mongo::Adapter::open(client, name, schema).await?;
        Ok(Self(Backend::Mongo(adapter)))
    }

    /// Whether no other process can work on them at the same time.
    #[must_use]
    pub fn sole_owner(&self) -> bool {
        matches!(self.0, Backend::Sqlite(_))
    }

    /// The events that are yet to be published.
    #[must_use]
    pub fn outbox(&self) -> Arc<dyn OutboxStore> {
        on!(self, adapter => adapter.outbox())
    }

    /// The receipts of the requests that changed documents.
    #[must_use]
    pub fn receipts(&self) -> Arc<dyn ReceiptStore> {
        on!(self, adapter => adapter.receipts())
    }

    /// One document.
    ///
    /// # Errors
    /// If the database is away, or the document cannot be read.
    pub async fn get<D: Document>(&self, id: impl ToString) -> Result<Option<D>, StoreError> {
        Ok(self.get_many(&[id.to_string()]).await?.pop())
    }

    /// Those of these documents that there are, in no order.
    ///
    /// # Errors
    /// If the database is away, or a document cannot be read.
    pub async fn get_many<D: Document>(&self, ids: &[String]) -> Result<Vec<D>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        on!(self, adapter => adapter.get(ids).await)
    }

    /// The document with this key in a unique index.
    ///
    /// # Errors
    /// If the database is away, or the document cannot be read.
    pub async fn find<D: Document>(
        &self,
        index: &Index,
        key: impl ToString,
    ) -> Result<Option<D>, StoreError> {
        Ok(self.find_many(index, &[key.to_string()]).await?.pop())
    }

    /// The documents with one of these keys in a unique index, in no order; each once.
    ///
    /// # Errors
    /// If the database is away, or a document cannot be read.
    pub async fn find_many<D: Document>(
        &self,
        index: &Index,
        keys: &[String],
    ) -> Result<Vec<D>, StoreError> {
        declared::<D>(index);
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        on!(self, adapter => adapter.find(index, keys).await)
    }

    /// A part of a list.
    ///
    /// # Errors
    /// If the database is away, or a document cannot be read.
    pub async fn list<D: Document>(
        &self,
        index: &Index,
        query: &Query,
    ) -> Result<Vec<D>, StoreError> {
        declared::<D>(index);
        on!(self, adapter => adapter.list(index, query).await)
    }

    /// The summaries of the documents in a part of a list.
    ///
    /// # Errors
    /// If the database is away, or a document cannot be read.
    pub async fn summaries<D: Document>(
        &self,
        index: &Index,
        query: &Query,
    ) -> Result<Vec<D::Summary>, StoreError> {
        declared::<D>(index);
        on!(self, adapter => adapter.summaries::<D>(index, query).await)
    }

    /// The values in a part of a view: those of one document in their order, behind those
    /// of the documents before it. The limit counts documents.
    ///
    /// # Errors
    /// If the database is away, or a value cannot be read.
    pub async fn view<D: Document, V: serde::de::DeserializeOwned + Send + 'static>(
        &self,
        index: &Index,
        query: &Query,
    ) -> Result<Vec<V>, StoreError> {
        declared::<D>(index);
        on!(self, adapter => adapter.view::<D, V>(index, query).await)
    }

    /// How many documents are in a part of a list, counted up to its limit.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn count<D: Document>(
        &self,
        index: &Index,
        query: &Query,
    ) -> Result<u64, StoreError> {
        declared::<D>(index);
        on!(self, adapter => adapter.count::<D>(index, query).await)
    }

    /// Carries out one write.
    ///
    /// # Errors
    /// If the database is away: then it is not known whether the write is stored.
    pub async fn write(&self, write: Write<'_>) -> Result<Result<(), Refusal>, StoreError> {
        let outcomes = self.write_many(vec![write]).await?;
        Ok(outcomes.into_iter().next().unwrap_or(Ok(())))
    }

    /// Carries out these writes of different documents, each for itself: one that is
    /// refused does not disturb the others. The answers are in the same order.
    ///
    /// # Errors
    /// If the database is away: then it is not known which of them are stored.
    pub async fn write_many(
        &self,
        writes: Vec<Write<'_>>,
    ) -> Result<Vec<Result<(), Refusal>>, StoreError> {
        // Of one document, not every database sees that it has a key twice.
        let (mut refused, mut sound) = (Vec::new(), Vec::new());
        for (place, write) in writes.into_iter().enumerate() {
            match write.repeated() {
                Some(index) => refused.push((place, Err(Refusal::Taken(Some(index))))),
                None => sound.push(write),
            }
        }
        if sound.is_empty() {
            return Ok(refused.into_iter().map(|(_, refused)| refused).collect());
        }
        let outcomes = on!(self, adapter => adapter.write(sound).await);
        let mut outcomes = outcomes?;
        for (place, refused) in refused {
            outcomes.insert(place, refused);
        }
        Ok(outcomes)
    }
}

/// A query is by an index of its collection: anything else would read all of it.
fn declared<D: Document>(index: &Index) {
    debug_assert!(
        D::COLLECTION.indexes.contains(index),
        "{} is no index of {}",
        index.name,
        D::COLLECTION.name
    );
}

#[async_trait]
impl Check for Documents {
    async fn check(&self) -> Result<(), String> {
        on!(self, adapter => adapter.database().check().await)
    }
}
