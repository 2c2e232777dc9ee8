//! The port: what stores ask of a database, whichever it is.

use std::{path::Path, sync::Arc};

use crate::{outbox::OutboxStore, receipts::ReceiptStore};
use async_trait::async_trait;
use serde::de::DeserializeOwned;
use slipway_bus::Event;
use slipway_mongo::{Client, StorageError as MongoError};
use slipway_runtime::{
    contention::{MAX_ATTEMPTS, back_off},
    life::{Check, Problem},
};
use slipway_sqlite::StorageError;

use crate::{
    StoreError,
    document::{Collection, Document, Index},
    mongo,
    query::Query,
    sqlite,
    write::{Refusal, Write},
};

/// The collections of a service.
pub type Schema = &'static [Collection];

/// A service's documents.
#[derive(Clone)]
pub struct Documents {
    backend: Backend,
    /// For tests: whether the database is to seem away.
    #[cfg(feature = "testing")]
    away: Arc<std::sync::atomic::AtomicBool>,
}

#[derive(Clone)]
enum Backend {
    Sqlite(sqlite::Adapter),
    Mongo(mongo::Adapter),
}

/// Runs the same method of whichever adapter it is.
macro_rules! on {
    ($documents:expr, $adapter:ident => $call:expr) => {
        match &$documents.backend {
            Backend::Sqlite($adapter) => $call,
            Backend::Mongo($adapter) => $call,
        }
    };
}

impl Documents {
    fn of(backend: Backend) -> Self {
        Self {
            backend,
            #[cfg(feature = "testing")]
            away: Arc::default(),
        }
    }

    /// For tests: lets the database seem away, for all clones of this.
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

    /// The documents in the SQLite file at `path`, which is created if it is not there.
    /// `name` stands in metrics. Blocks: call it at start.
    ///
    /// # Errors
    /// If the file cannot be used, or is of a version without documents.
    pub fn sqlite(path: &Path, name: &'static str, schema: Schema) -> Result<Self, StorageError> {
        let adapter = sqlite::Adapter::open(path, name, schema)?;
        Ok(Self::of(Backend::Sqlite(adapter)))
    }

    /// The documents in the MongoDB database `name`; missing indexes are built.
    ///
    /// # Errors
    /// If the server is away, an index exists with another definition, or the database is
    /// of a version without documents.
    pub async fn mongo(client: &Client, name: &str, schema: Schema) -> Result<Self, MongoError> {
        let adapter = mongo::Adapter::open(client, name, schema).await?;
        Ok(Self::of(Backend::Mongo(adapter)))
    }

    /// Whether no other process can work on them at the same time.
    #[must_use]
    pub fn sole_owner(&self) -> bool {
        matches!(self.backend, Backend::Sqlite(_))
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
        self.reachable()?;
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
        self.reachable()?;
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
        self.reachable()?;
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
        self.reachable()?;
        on!(self, adapter => adapter.summaries::<D>(index, query).await)
    }

    /// The values under `key` in a view, of the documents in a part of a list: one of each
    /// that has one, in their order.
    ///
    /// # Errors
    /// If the database is away, or a value cannot be read.
    pub async fn view<D: Document, V: DeserializeOwned>(
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
        on!(self, adapter => adapter.view::<D, V>(index, query, view, key).await)
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
        self.reachable()?;
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

    /// Reads the document with this id, has `decide` say what it is to be, and stores that;
    /// once more from the start if somebody else was faster. `None`, from `decide` and as
    /// the answer: nothing is to be changed.
    ///
    /// # Errors
    /// If the database is away: then it is not known whether the change is stored. If
    /// another document has one of the new one's unique keys. If others are faster
    /// [`MAX_ATTEMPTS`] times.
    pub async fn update<D: Document>(
        &self,
        id: impl ToString,
        decide: impl FnMut(Option<&D>) -> Option<D>,
    ) -> Result<Option<D>, StoreError> {
        self.update_with(id, &[], decide).await
    }

    /// As [`Self::update`], with events to be published, which are stored along with the
    /// change.
    ///
    /// # Errors
    /// As [`Self::update`].
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
        self.reachable()?;
        let outcomes = on!(self, adapter => adapter.write(sound).await);
        let mut outcomes = outcomes?;
        for (place, refused) in refused {
            outcomes.insert(place, refused);
        }
        Ok(outcomes)
    }

    /// Carries out these writes one after the other, up to the first that is refused:
    /// whoever reads meanwhile sees none without those before it. Returns how many are
    /// done, and why the next one is not.
    ///
    /// # Errors
    /// If the database is away: then it is not known how many of them, from the first on,
    /// are stored.
    pub async fn write_in_order(
        &self,
        mut writes: Vec<Write<'_>>,
    ) -> Result<(usize, Option<Refusal>), StoreError> {
        // Of one document, not every database sees that it has a key twice.
        let repeated = |(place, write): (usize, &Write<'_>)| Some((place, write.repeated()?));
        let repeated = writes.iter().enumerate().find_map(repeated);
        if let Some((place, _)) = repeated {
            writes.truncate(place);
        }
        let (mut done, mut refused) = (0, None);
        if !writes.is_empty() {
            self.reachable()?;
            (done, refused) = on!(self, adapter => adapter.write_in_order(writes).await)?;
        }
        let repeated = repeated.map(|(_, index)| Refusal::Taken(Some(index)));
        Ok((done, refused.or(repeated)))
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
    async fn check(&self) -> Result<(), Problem> {
        self.reachable()
            .map_err(|error| Problem::Away(error.to_string()))?;
        on!(self, adapter => adapter.database().check().await)
    }
}
