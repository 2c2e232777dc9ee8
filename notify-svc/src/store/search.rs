//! Searches of a MongoDB collection that examine a bounded number of documents.
//!
//! As in SQLite, the most selective condition chooses the index, the others are checked
//! on the candidates it yields in the order asked for, and a page examines so many of them
//! at most: a search that finds little goes on on the next page.

use futures::TryStreamExt as _;
use mongodb::{
    Collection,
    bson::{Document, doc},
};
use serde::{Deserialize, de::DeserializeOwned};
use slipway_mongo::{StorageError, bounded};

use super::{EXAMINED, PAGE_WEIGHT};

/// Documents fetched at a time: a page may end early by its weight.
const FETCHED: u32 = 100;

/// One page of a search.
pub(super) struct Search {
    /// Ranges of ids, which are searched one after the other.
    ranges: Vec<Document>,
    /// What an index is searched for besides; empty if that is nothing.
    indexed: Document,
    /// What is checked on what it yields; empty if that is nothing.
    checked: Document,
    order: Document,
    limit: u32,
}

/// What was found.
pub(super) struct Found<T, I> {
    pub(super) items: Vec<T>,
    /// Behind which one the next page goes on, if more may follow.
    pub(super) next: Option<I>,
}

/// A document's id.
#[derive(Debug, Deserialize)]
pub(super) struct Identified<I> {
    #[serde(rename = "_id")]
    pub(super) id: I,
}

impl Search {
    /// Of the documents in this range of ids that fit all `conditions`, the most selective
    /// one first; by id, rising (1) or falling (-1).
    pub(super) fn new(range: Document, conditions: Vec<Document>, order: i32, limit: u32) -> Self {
        let mut conditions = conditions.into_iter();
        Self {
            ranges: vec![range],
            indexed: conditions.next().unwrap_or_default(),
            checked: conditions.flatten().collect(),
            order: doc! { "_id": order },
            limit,
        }
    }

    /// Looks through the range in these parts, in the order asked for, until the page is
    /// full. There are servers that sort all that an index yields before they return the
    /// first of it: so they sort a part.
    pub(super) fn in_parts(mut self, ranges: Vec<Document>) -> Self {
        self.ranges = ranges;
        self
    }

    /// The stages for each part of the range.
    #[cfg(test)]
    pub(super) fn pipelines(&self) -> Vec<Vec<Document>> {
        let parts = self.ranges.iter();
        parts.map(|range| self.pipeline(range, 0)).collect()
    }

    /// What an index is searched for in a part of the range.
    fn candidates(&self, range: &Document) -> Document {
        let mut candidates = self.indexed.clone();
        candidates.insert("_id", range.clone());
        candidates
    }

    /// The stages that find the documents of a page that has `found` already, and one more.
    fn pipeline(&self, range: &Document, found: usize) -> Vec<Document> {
        let mut stages = vec![
            doc! { "$match": self.candidates(range) },
            doc! { "$sort": self.order.clone() },
        ];
        if !self.checked.is_empty() {
            stages.push(doc! { "$limit": EXAMINED as i64 });
            stages.push(doc! { "$match": self.checked.clone() });
        }
        let left = self.limit as usize - found;
        stages.push(doc! { "$limit": left as i64 + 1 });
        stages
    }

    /// Finds the page, which ends early when its items weigh too much.
    ///
    /// # Errors
    /// If the server is away, or a document is malformed.
    pub(super) async fn page<D, T, I>(
        &self,
        collection: &Collection<D>,
        id: impl Fn(&T) -> I,
        weight: impl Fn(&T) -> usize,
    ) -> Result<Found<T, I>, StorageError>
    where
        D: DeserializeOwned + Send + Sync,
        T: TryFrom<D, Error = StorageError>,
        I: DeserializeOwned + Send + Sync,
    {
        let (mut items, mut weighs) = (Vec::new(), 0);
        for range in &self.ranges {
            let found = collection
                .aggregate(self.pipeline(range, items.len()))
                .batch_size(FETCHED)
                .with_type::<D>();
            let more = bounded(async {
                let mut found = found.await?;
                while let Some(document) = found.try_next().await? {
                    if items.len() == self.limit as usize || weighs > PAGE_WEIGHT {
                        return Ok(Ok(true));
                    }
                    let item = match T::try_from(document) {
                        Ok(item) => item,
                        Err(malformed) => return Ok(Err(malformed)),
                    };
                    weighs += weight(&item);
                    items.push(item);
                }
                Ok(Ok(false))
            });
            let next = if more.await?? {
                items.last().map(&id)
            } else {
                self.examined(range, collection).await?
            };
            if next.is_some() {
                return Ok(Found { items, next });
            }
        }
        Ok(Found { items, next: None })
    }

    /// The last of the candidates that were examined, if there are others behind it.
    async fn examined<D, I>(
        &self,
        range: &Document,
        collection: &Collection<D>,
    ) -> Result<Option<I>, StorageError>
    where
        D: Send + Sync,
        I: DeserializeOwned + Send + Sync,
    {
        if self.checked.is_empty() {
            return Ok(None);
        }
        let documents = collection.clone_with_type::<Identified<I>>();
        let find = documents
            .find(self.candidates(range))
            .sort(self.order.clone())
            .skip(EXAMINED as u64 - 1)
            .limit(2)
            .projection(doc! { "_id": 1 });
        let mut found: Vec<_> = bounded(async { find.await?.try_collect().await }).await?;
        Ok((found.len() == 2).then(|| found.swap_remove(0).id))
    }
}
