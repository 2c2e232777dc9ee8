//! Receipts in MongoDB: in the array `receipts` of the documents whose change they prove.
//!
//! A unique index on `receipts.key` refuses a second receipt with the same key, except within one
//! document. Therefore the change of an existing document has a guard that the key is not among its
//! receipts.

use async_trait::async_trait;
use futures::future::try_join_all;
use jiff::Timestamp;
use mongodb::{
    Collection,
    bson::{Binary, DateTime, Document, doc, spec::BinarySubtype},
};
use serde::{Deserialize, Serialize};

use super::{RECEIPT_TTL, Receipt, ReceiptKey, ReceiptStore};
use crate::StoreError;
use slipway_mongo::{Database, Index, StorageError, bounded, from_bson, to_bson};

/// The index called `name` that refuses a second receipt of a key in `collection`.
#[must_use]
pub const fn index(collection: &'static str, name: &'static str) -> Index {
    Index::on(collection, name, &[("receipts.key", 1)])
        .unique()
        .having("receipts.key")
}

/// The index that finds expired receipts of `collection`.
#[must_use]
pub const fn time_index(collection: &'static str) -> Index {
    Index::on(collection, "by_receipt_time", &[("receipts.at", 1)]).having("receipts.key")
}

/// A receipt as it is stored in a document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReceiptDocument {
    /// The request's receipt key.
    pub key: String,
    fingerprint: Binary,
    response: Binary,
    at: DateTime,
}

impl From<&Receipt> for ReceiptDocument {
    fn from(receipt: &Receipt) -> Self {
        Self {
            key: receipt.key.0.clone(),
            fingerprint: binary(&receipt.fingerprint),
            response: binary(&receipt.response),
            at: to_bson(receipt.at),
        }
    }
}

impl TryFrom<ReceiptDocument> for Receipt {
    type Error = StorageError;

    fn try_from(receipt: ReceiptDocument) -> Result<Self, StorageError> {
        Ok(Self {
            key: ReceiptKey(receipt.key),
            fingerprint: receipt.fingerprint.bytes,
            response: receipt.response.bytes,
            at: from_bson(receipt.at)?,
        })
    }
}

fn binary(bytes: &[u8]) -> Binary {
    Binary {
        subtype: BinarySubtype::Generic,
        bytes: bytes.into(),
    }
}

/// The fields of a document that are needed here.
#[derive(Debug, Deserialize)]
struct Holder {
    receipts: Vec<ReceiptDocument>,
}

/// The receipts in the documents of some collections, which must have the [`index`] and the
/// [`time_index`].
#[derive(Debug, Clone)]
pub struct MongoReceipts {
    database: Database,
    collections: &'static [&'static str],
}

impl MongoReceipts {
    /// The receipts in `collections`.
    #[must_use]
    pub fn new(database: Database, collections: &'static [&'static str]) -> Self {
        Self {
            database,
            collections,
        }
    }

    /// The receipt of a request that was executed after `since`.
    ///
    /// # Errors
    /// If the server is unavailable.
    pub async fn find(
        &self,
        key: &ReceiptKey,
        since: Timestamp,
    ) -> Result<Option<Receipt>, StorageError> {
        let wanted = doc! { "$elemMatch": { "key": &key.0, "at": { "$gt": to_bson(since) } } };
        let mut searches = Vec::new();
        for name in self.collections {
            searches.push(find_in(self.database.collection(name), wanted.clone()));
        }
        let found = try_join_all(searches).await?;
        Ok(found.into_iter().flatten().next())
    }
}

#[async_trait]
impl ReceiptStore for MongoReceipts {
    async fn receipt(
        &self,
        key: ReceiptKey,
        since: Timestamp,
    ) -> Result<Option<Receipt>, StoreError> {
        Ok(self.find(&key, since).await?)
    }

    async fn purge_receipts(&self, before: Timestamp) -> Result<(), StoreError> {
        let old = doc! { "at": { "$lt": to_bson(before) } };
        let with_receipts = doc! { "receipts.key": { "$exists": true } };
        for name in self.collections {
            let documents = self.database.collection::<Document>(name);
            let purge = pull(&documents, with_receipts.clone(), &old);
            purge.await?;
        }
        Ok(())
    }
}

async fn find_in(
    documents: Collection<Holder>,
    wanted: Document,
) -> Result<Option<Receipt>, StorageError> {
    let find = documents
        .find_one(doc! { "receipts": wanted.clone() })
        .projection(doc! { "receipts": wanted });
    let found = bounded(find.into_future()).await?;
    let receipt = found.and_then(|holder| holder.receipts.into_iter().next());
    receipt.map(Receipt::try_from).transpose()
}

/// Removes the receipts that match `old` from the documents that match `of`; returns whether there
/// were any.
async fn pull<T: Send + Sync>(
    documents: &Collection<T>,
    mut of: Document,
    old: &Document,
) -> Result<bool, StorageError> {
    of.insert("receipts.at", old.get("at"));
    let update = documents.update_many(of, doc! { "$pull": { "receipts": old.clone() } });
    let result = bounded(update.into_future()).await?;
    Ok(result.modified_count > 0)
}

/// Removes expired receipts with this key; returns whether there were any. This is needed because a
/// unique index does not know that they have expired.
///
/// # Errors
/// If the server is unavailable.
pub async fn make_room<T: Send + Sync>(
    documents: &Collection<T>,
    receipt: &Receipt,
) -> Result<bool, StorageError> {
    let expired = doc! {
        "key": &receipt.key.0,
        "at": { "$lte": to_bson(receipt.at - RECEIPT_TTL) },
    };
    pull(documents, doc! { "receipts.key": &receipt.key.0 }, &expired).await
}
