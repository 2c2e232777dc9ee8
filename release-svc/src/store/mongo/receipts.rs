//! Receipts in MongoDB: inside the documents whose change they prove. Those that a release
//! has no more room for are moved, one way, to a collection of their own.

use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::{
    Collection,
    bson::{Document, doc},
};
use serde::Deserialize;
use slipway_mesh::store::mongo::{StorageError, bounded, to_bson};

use super::{
    MongoStore,
    documents::{MovedReceipt, ReceiptDocument},
};
use crate::{
    release::ReleaseId,
    store::{RECEIPT_TTL, Receipt, ReceiptKey, ReceiptStore, StoreError},
};

/// A document, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Holder {
    receipts: Vec<ReceiptDocument>,
}

#[async_trait]
impl ReceiptStore for MongoStore {
    async fn receipt(
        &self,
        key: ReceiptKey,
        since: Timestamp,
    ) -> Result<Option<Receipt>, StoreError> {
        let wanted = doc! { "$elemMatch": { "key": &key.0, "at": { "$gt": to_bson(since) } } };
        let (of_release, of_user) = tokio::try_join!(
            find(self.releases.clone_with_type(), &wanted),
            find(self.users.clone_with_type(), &wanted),
        )?;
        if let Some(receipt) = of_release.or(of_user) {
            return Ok(Some(receipt));
        }
        // Asked last: what is moved is there before it is gone from the release.
        let moved = doc! { "_id": key.0, "at": { "$gt": to_bson(since) } };
        let found = bounded(self.receipts.find_one(moved).into_future()).await?;
        let receipt = found.map(|moved| moved.receipt.try_into()).transpose()?;
        Ok(receipt)
    }

    async fn purge_receipts(&self, before: Timestamp) -> Result<(), StoreError> {
        let old = doc! { "at": { "$lt": to_bson(before) } };
        tokio::try_join!(
            pull(
                &self.releases,
                doc! { "receipts.key": { "$exists": true } },
                &old
            ),
            pull(
                &self.users,
                doc! { "receipts.key": { "$exists": true } },
                &old
            ),
        )?;
        bounded(self.receipts.delete_many(old).into_future()).await?;
        Ok(())
    }
}

/// Moves the receipts of a release out of its document; says whether there were any. A
/// crash on the way leaves some in both places, where they say the same.
pub(super) async fn move_out(store: &MongoStore, release: ReleaseId) -> Result<bool, StorageError> {
    let holders: Collection<Holder> = store.releases.clone_with_type();
    let of = doc! { "_id": release.to_string(), "receipts.key": { "$exists": true } };
    let find = holders
        .find_one(of.clone())
        .projection(doc! { "receipts": 1 });
    let Some(Holder { receipts }) = bounded(find.into_future()).await? else {
        return Ok(false);
    };
    let keys: Vec<_> = receipts.iter().map(|r| r.key.clone()).collect();
    for receipt in receipts {
        let moved = MovedReceipt::from(receipt);
        let put = store
            .receipts
            .replace_one(doc! { "_id": &moved.receipt.key }, &moved)
            .upsert(true);
        bounded(put.into_future()).await?;
    }
    let pull = doc! { "$pull": { "receipts": { "key": { "$in": keys } } } };
    bounded(holders.update_one(of, pull).into_future()).await?;
    Ok(true)
}

async fn find(
    documents: Collection<Holder>,
    wanted: &Document,
) -> Result<Option<Receipt>, StorageError> {
    let find = documents
        .find_one(doc! { "receipts": wanted.clone() })
        .projection(doc! { "receipts": wanted.clone() });
    let found = bounded(find.into_future()).await?;
    let receipt = found.and_then(|holder| holder.receipts.into_iter().next());
    receipt.map(Receipt::try_from).transpose()
}

/// Removes the receipts that are `old`, of those documents; says whether there were any.
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

/// Removes the receipts of this key that have expired; says whether there were any. A
/// unique index does not know that they no longer count.
pub(super) async fn make_room<T: Send + Sync>(
    documents: &Collection<T>,
    receipt: &Receipt,
) -> Result<bool, StorageError> {
    let expired = doc! {
        "key": &receipt.key.0,
        "at": { "$lte": to_bson(receipt.at - RECEIPT_TTL) },
    };
    pull(documents, doc! { "receipts.key": &receipt.key.0 }, &expired).await
}
