//! Receipts in MongoDB: inside the documents whose change they prove. Those that a release
//! has no more room for are moved, one way, to a collection of their own.

use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::{Collection, bson::doc};
use serde::Deserialize;
use slipway_mongo::{Database, StorageError, bounded, to_bson};
use slipway_store::receipts::{
    Receipt, ReceiptKey, ReceiptStore,
    mongo::{MongoReceipts, ReceiptDocument},
};

use super::{HOLDERS, RECEIPTS, RELEASES, documents::MovedReceipt};
use crate::release::ReleaseId;

/// A document, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Holder {
    receipts: Vec<ReceiptDocument>,
}

/// All receipts of this service.
#[derive(Clone)]
pub(super) struct Receipts {
    inside: MongoReceipts,
    moved: Collection<MovedReceipt>,
    releases: Collection<Holder>,
}

impl Receipts {
    pub(super) fn new(database: &Database) -> Self {
        Self {
            inside: MongoReceipts::new(database.clone(), HOLDERS),
            moved: database.collection(RECEIPTS),
            releases: database.collection(RELEASES),
        }
    }

    /// The receipt of a request carried out after `since`.
    pub(super) async fn find(
        &self,
        key: &ReceiptKey,
        since: Timestamp,
    ) -> Result<Option<Receipt>, StorageError> {
        if let Some(receipt) = self.inside.find(key, since).await? {
            return Ok(Some(receipt));
        }
        // Asked last: what is moved is there before it is gone from the release.
        let moved = doc! { "_id": &key.0, "at": { "$gt": to_bson(since) } };
        let found = bounded(self.moved.find_one(moved).into_future()).await?;
        found.map(|moved| moved.receipt.try_into()).transpose()
    }

    /// Moves the receipts of a release out of its document; says whether there were any. A
    /// crash on the way leaves some in both places, where they say the same.
    pub(super) async fn move_out(&self, release: ReleaseId) -> Result<bool, StorageError> {
        let of = doc! { "_id": release.to_string(), "receipts.key": { "$exists": true } };
        let find = self
            .releases
            .find_one(of.clone())
            .projection(doc! { "receipts": 1 });
        let Some(Holder { receipts }) = bounded(find.into_future()).await? else {
            return Ok(false);
        };
        let keys: Vec<_> = receipts.iter().map(|r| r.key.clone()).collect();
        for receipt in receipts {
            let moved = MovedReceipt::from(receipt);
            let put = self
                .moved
                .replace_one(doc! { "_id": &moved.receipt.key }, &moved)
                .upsert(true);
            bounded(put.into_future()).await?;
        }
        let pull = doc! { "$pull": { "receipts": { "key": { "$in": keys } } } };
        bounded(self.releases.update_one(of, pull).into_future()).await?;
        Ok(true)
    }
}

#[async_trait]
impl ReceiptStore for Receipts {
    async fn receipt(&self, key: ReceiptKey, since: Timestamp) -> Result<Option<Receipt>, String> {
        let found = self.find(&key, since).await;
        found.map_err(|error| error.to_string())
    }

    async fn purge_receipts(&self, before: Timestamp) -> Result<(), String> {
        self.inside.purge_receipts(before).await?;
        let old = doc! { "at": { "$lt": to_bson(before) } };
        let delete = bounded(self.moved.delete_many(old).into_future()).await;
        delete.map_err(|error| error.to_string())?;
        Ok(())
    }
}
