//! The port between stores and a database: the operations that both adapters offer.

use std::{path::Path, sync::Arc};

use crate::{outbox::OutboxStore, receipts::ReceiptStore};
use async_trait::async_trait;
use serde::de::DeserializeOwned;
use slipway_bus::Event;
use slipway_mongo::{Client, StorageError as MongoError};
use slipway_runtime::{
    contention::{MAX_ATTEMPTS, back_off},
    life::{Check, Problem},
    telemetry::spans::STEPS,
};
use slipway_sqlite::StorageError;
use tracing::{Instrument as _, Span};

use crate::{
    StoreError,
    document::{Collection, Document, Index},
    metrics::{Calls, Operation},
    mongo,
    query::Query,
    sqlite,
    write::{Refusal, Write},
};

/// The collections of a service.
pub type Schema = &'static [Collection];

/// The documents of a service. Cheap to clone.
#[derive(Clone)]
pub struct Documents {
    backend: Backend,
    calls: Arc<Calls>,
    /// For tests: whether the database should appear unavailable.
    #[cfg(feature = "testing")]
    away: Arc<std::sync::atomic::AtomicBool>,
}

#[derive(Clone)]
enum Backend {
    Sqlite(sqlite::Adapter),
    Mongo(mongo::Adapter),
}

/// The span of a commit.
fn commit_span(writes: &[Write<'_>]) -> Span {
    let collection = writes.first().map(|write| write.collection.name);
    tracing::debug_span!(target: STEPS, "commit", collection, writes = writes.len())
}

/// Calls the same method on either adapter; with an operation, waits for the call and measures it.
macro_rules! on {
    ($documents:expr, $adapter:ident => $call:expr) => {
        match &$documents.backend {
            Backend::Sqlite($adapter) => $call,
            Backend::Mongo($adapter) => $call,
        }
    };
    ($documents:expr, $operation:ident, $adapter:ident => $call:expr) => {
        match &$documents.backend {
            Backend::Sqlite($adapter) => {
                $documents
                    .calls
                    .measured(Operation::$operation, $call)
                    .await
            }
            Backend::Mongo($adapter) => {
                $documents
                    .calls
                    .measured(Operation::$operation, $call)
                    .await
            }
        }
    };
}

impl Documents {
    fn of(backend: Backend, name: &str) -> Self {
        Self {
            backend,
            calls: Arc::new(Calls::of(name)),
            #[cfg(feature = "testing")]
            away: Arc::default(),
        }
    }

    /// For tests: makes the database appear unavailable, for all clones of this.
    #[cfg(feature = "testing")]
    pub fn seem_away(&self, away: bool) {
        self.away.store(away, std::sync::atomic::Ordering::SeqCst);
    }

    fn reachable(&self) -> Result<(), StoreError> {
        #[cfg(feature = "testing")]
        if self.away.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(StoreError::Mongo(MongoError::Away));
        }
        Ok(())
    }

    /// Opens the documents in the SQLite file at `path`, which is created if it does not exist.
    /// `name` is used in metrics. Blocks: call it at startup.
    ///
    /// # Errors
    /// If the file cannot be used, or is of an old version that did not store documents.
    pub fn sqlite(path: &Path, name: &'static str, schema: Schema) -> Result<Self, StorageError> {
        let adapter = sqlite::Adapter::open(path, name, schema)?;
        Ok(Self::of(Backend::Sqlite(adapter), name))
    }

    /// Opens the documents in the existing SQLite file at `path` for reading only, also while another
    /// process writes to it. Blocks.
    ///
    /// # Errors
    /// If there is no such file, or it cannot be used.
    pub fn sqlite_read_only(path: &Path, name: &'static str) -> Result<Self, StorageError> {
        let adapter = sqlite::Adapter::open_read_only(path, name)?;
        Ok(Self::of(Backend::Sqlite(adapter), name))
    }

    /// Opens the documents in the MongoDB database `name`; builds missing indexes.
    ///
    /// # Errors
    /// If the server is unavailable, an index exists with another definition, or the database is of
    /// an old version that did not store documents.
    pub async fn mongo(client: &Client, name: &str, schema: Schema) -> Result<Self, MongoError> {
        let adapter = mongo::Adapter::open(client, name, schema).await?;
        // The same name in metrics as that of the file of the embedded mode.
        let name = name.strip_prefix("slipway_").unwrap_or(name);
        Ok(Self::of(Backend::Mongo(adapter), name))
    }

    /// Whether this process is the only one that can access the documents.
    #[must_use]
    pub fn sole_owner(&self) -> bool {
        matches!(self.backend, Backend::Sqlite(_))
    }

    /// The outbox: events that are not published yet.
    #[must_use]
    pub fn outbox(&self) -> Arc<dyn OutboxStore> {
        on!(self, adapter => adapter.outbox())
    }

    /// The receipts of requests that changed documents.
    #[must_use]
    pub fn receipts(&self) -> Arc<dyn ReceiptStore> {
        on!(self, adapter => adapter.receipts())
    }

    /// Reads one document.
    ///
    /// # Errors
    /// If the database is unavailable, or the document cannot be decoded.
    pub async fn get<D: Document>(&self, id: impl ToString) -> Result<Option<D>, StoreError> {
        Ok(self.get_many(&[id.to_string()]).await?.pop())
    }

    /// Reads the documents with these ids that exist, in no particular order.
    ///
    /// # Errors
    /// If the database is unavailable, or a document cannot be decoded.
    pub async fn get_many<D: Document>(&self, ids: &[String]) -> Result<Vec<D>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.reachable()?;
        on!(self, Get, adapter => adapter.get(ids))
    }

    /// Finds the document with this key in a unique index.
    ///
    /// # Errors
    /// If the database is unavailable, or the document cannot be decoded.
    pub async fn find<D: Document>(
        &self,
        index: &Index,
        key: impl ToString,
    ) -> Result<Option<D>, StoreError> {
        Ok(self.find_many(index, &[key.to_string()]).await?.pop())
    }

    /// Finds the documents with any of these keys in a unique index, in no particular order and
    /// each only once.
    ///
    /// # Errors
    /// If the database is unavailable, or a document cannot be decoded.
    pub async fn find_many<D: Document>(
        &self,
        index: &Index,
        keys: &[String],
    ) -> Result<Vec<D>, StoreError> {
        declared::<D>(index);
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.reachable()?;
        on!(self, Get, adapter => adapter.find(index, keys))
    }

    /// Reads the documents in a part of a list.
    ///
    /// # Errors
    /// If the database is unavailable, or a document cannot be decoded.
    pub async fn list<D: Document>(
        &self,
        index: &Index,
        query: &Query,
    ) -> Result<Vec<D>, StoreError> {
        declared::<D>(index);
        self.reachable()?;
        on!(self, List, adapter => adapter.list(index, query))
    }

    /// Reads the documents in a part of a list; for one that cannot be decoded there is the error.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub(crate) async fn list_each<D: Document>(
        &self,
        index: &Index,
        query: &Query,
    ) -> Result<Vec<Result<D, StoreError>>, StoreError> {
        declared::<D>(index);
        self.reachable()?;
        on!(self, List, adapter => adapter.list_each(index, query))
    }

    /// Reads the summaries of the documents in a part of a list.
    ///
    /// # Errors
    /// If the database is unavailable, or a summary cannot be decoded.
    pub async fn summaries<D: Document>(
        &self,
        index: &Index,
        query: &Query,
    ) -> Result<Vec<D::Summary>, StoreError> {
        declared::<D>(index);
        self.reachable()?;
        on!(self, List, adapter => adapter.summaries::<D>(index, query))
    }

    /// Reads the values under `key` in a view, for the documents in a part of a list and in their
    /// order. Documents without such a value are skipped.
    ///
    /// # Errors
    /// If the database is unavailable, or a value cannot be decoded.
    pub async fn view<D: Document, V: DeserializeOwned + Send + 'static>(
        &self,
        index: &Index,
        query: &Query,
        view: &Index,
        key: impl ToString,
    ) -> Result<Vec<V>, StoreError> {
        declared::<D>(index);
        declared::<D>(view);
        self.reachable()?;
        let key = key.to_string();
        on!(self, List, adapter => adapter.view::<D, V>(index, query, view, key))
    }

    /// Counts the documents in a part of a list, up to its limit.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn count<D: Document>(
        &self,
        index: &Index,
        query: &Query,
    ) -> Result<u64, StoreError> {
        declared::<D>(index);
        self.reachable()?;
        on!(self, Count, adapter => adapter.count::<D>(index, query))
    }

    /// Counts the keys of all documents in a unique index.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn count_keys<D: Document>(&self, index: &Index) -> Result<u64, StoreError> {
        declared::<D>(index);
        self.reachable()?;
        on!(self, Count, adapter => adapter.count_keys::<D>(index))
    }

    /// Executes one write.
    ///
    /// # Errors
    /// If the database is unavailable: then it is unknown whether the write is stored.
    pub async fn write(&self, write: Write<'_>) -> Result<Result<(), Refusal>, StoreError> {
        let outcomes = self.write_many(vec![write]).await?;
        Ok(outcomes.into_iter().next().unwrap_or(Ok(())))
    }

    /// Reads the document with this id, calls `decide` for its new value, and stores that. Starts
    /// again if another writer has changed the document in the meantime. If `decide` returns
    /// `None`, nothing is changed and the result is `None`.
    ///
    /// # Errors
    /// If the database is unavailable: then it is unknown whether the change is stored. If another
    /// document has one of the new unique keys. If other writers were faster [`MAX_ATTEMPTS`]
    /// times.
    pub async fn update<D: Document>(
        &self,
        id: impl ToString,
        decide: impl FnMut(Option<&D>) -> Option<D>,
    ) -> Result<Option<D>, StoreError> {
        self.update_with(id, &[], decide).await
    }

    /// Like [`Self::update`], with events to publish, which are stored in the same write.
    ///
    /// # Errors
    /// See [`Self::update`].
    pub async fn update_with<D: Document>(
        &self,
        id: impl ToString,
        events: &[Event],
        mut decide: impl FnMut(Option<&D>) -> Option<D>,
    ) -> Result<Option<D>, StoreError> {
        let id = id.to_string();
        for attempt in 0..MAX_ATTEMPTS {
            let before: Option<D> = self.get(&id).await?;
            let Some(after) = decide(before.as_ref()) else {
                return Ok(None);
            };
            let write = match &before {
                Some(before) => Write::replace(before, &after),
                None => Write::insert(&after),
            };
            match self.write(write.with_events(events)).await? {
                Ok(()) => return Ok(Some(after)),
                Err(Refusal::Revision | Refusal::Taken(None)) => back_off(attempt).await,
                Err(refusal) => return Err(refusal.into()),
            }
        }
        Err(StoreError::contended::<D>(&id))
    }

    /// Executes these writes of different documents independently: a refused one does not affect
    /// the others. The results are in the same order.
    ///
    /// # Errors
    /// If the database is unavailable: then it is unknown which of them are stored.
    pub async fn write_many(
        &self,
        writes: Vec<Write<'_>>,
    ) -> Result<Vec<Result<(), Refusal>>, StoreError> {
        // Not every database detects that a single document has a key twice.
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
        self.reachable()?;
        let span = commit_span(&sound);
        let outcomes = on!(self, Write, adapter => adapter.write(sound).instrument(span));
        let mut outcomes = outcomes?;
        for (place, refused) in refused {
            outcomes.insert(place, refused);
        }
        Ok(outcomes)
    }

    /// Executes these writes one after the other, up to the first that is refused. A concurrent
    /// reader never sees a write without those before it. Returns the number of executed writes,
    /// and why the next one was refused.
    ///
    /// # Errors
    /// If the database is unavailable: then it is unknown how many of them are stored; those that
    /// are stored are the first ones.
    pub async fn write_in_order(
        &self,
        mut writes: Vec<Write<'_>>,
    ) -> Result<(usize, Option<Refusal>), StoreError> {
        // Not every database detects that a single document has a key twice.
        let repeated = |(place, write): (usize, &Write<'_>)| Some((place, write.repeated()?));
        let repeated = writes.iter().enumerate().find_map(repeated);
        if let Some((place, _)) = repeated {
            writes.truncate(place);
        }
        let (mut done, mut refused) = (0, None);
        if !writes.is_empty() {
            self.reachable()?;
            let span = commit_span(&writes);
            let written =
                on!(self, Write, adapter => adapter.write_in_order(writes).instrument(span));
            (done, refused) = written?;
        }
        let repeated = repeated.map(|(_, index)| Refusal::Taken(Some(index)));
        Ok((done, refused.or(repeated)))
    }
}

/// A query must use a declared index of its collection: any other would read the whole collection.
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
    async fn check(&self) -> Result<(), Problem> {
        self.reachable()
            .map_err(|error| Problem::Away(error.to_string()))?;
        on!(self, adapter => adapter.database().check().await)
    }
}
