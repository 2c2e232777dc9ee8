//! The read model of the accounts in MongoDB: a document for each account.

use async_trait::async_trait;
use futures::TryStreamExt as _;
use mongodb::{
    Collection,
    bson::{Document, doc},
};
use serde::{Deserialize, Serialize};
use slipway_mesh::{
    life::{Check, Problem},
    store::mongo::{Client, Database, Index, StorageError, bounded, malformed},
};
use slipway_proto::events::Role;
use uuid::Uuid;

use super::RecipientStore;
use crate::{recipients::Recipient, store::StoreError};

const RECIPIENTS: &str = "recipients";

const INDEXES: &[Index] = &[
    Index::on(RECIPIENTS, "by_username", &[("usernameKey", 1)]),
    Index::on(RECIPIENTS, "by_role", &[("role", 1), ("_id", 1)]),
];

/// The version of the documents' schema.
const SCHEMA: i32 = 1;

/// The MongoDB backend. It keeps nothing in the process.
#[derive(Debug, Clone)]
pub(crate) struct MongoRecipientStore {
    database: Database,
    recipients: Collection<RecipientDocument>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecipientDocument {
    #[serde(rename = "_id")]
    id: String,
    schema: i32,
    username: String,
    /// In lower case.
    username_key: String,
    email: String,
    role: Role,
}

impl MongoRecipientStore {
    /// The accounts in the database `name`, usually [`crate::store::DATABASE`]; the
    /// indexes are built if they are not there.
    ///
    /// # Errors
    /// If the server is away, or an index exists with another definition.
    pub(crate) async fn open(client: &Client, name: &str) -> Result<Self, StorageError> {
        let database = Database::open(client, name, INDEXES).await?;
        Ok(Self {
            recipients: database.collection(RECIPIENTS),
            database,
        })
    }

    async fn find(&self, condition: Document) -> Result<Vec<Recipient>, StoreError> {
        let find = self.recipients.find(condition).sort(doc! { "_id": 1 });
        let found: Vec<_> = bounded(async { find.await?.try_collect().await }).await?;
        let recipients = found.into_iter().map(Recipient::try_from);
        Ok(recipients.collect::<Result<_, _>>()?)
    }

    async fn replace(&self, recipient: &Recipient) -> Result<(), StorageError> {
        let document = RecipientDocument::from(recipient);
        loop {
            let replace = self
                .recipients
                .replace_one(doc! { "_id": &document.id }, &document)
                .upsert(true);
            match bounded(replace.into_future()).await {
                Ok(_) => return Ok(()),
                // Two replicas met: one inserted it, or the server let one of them go first.
                Err(error) if error.gave_way() || error.duplicate_key().is_some() => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[async_trait]
impl Check for MongoRecipientStore {
    async fn check(&self) -> Result<(), Problem> {
        self.database.check().await
    }
}

#[async_trait]
impl RecipientStore for MongoRecipientStore {
    async fn put(&self, recipients: Vec<Recipient>) -> Result<(), StoreError> {
        for recipient in &recipients {
            self.replace(recipient).await?;
        }
        Ok(())
    }

    async fn by_ids(&self, ids: &[Uuid]) -> Result<Vec<Recipient>, StoreError> {
        let ids: Vec<_> = ids.iter().map(Uuid::to_string).collect();
        self.find(doc! { "_id": { "$in": ids } }).await
    }

    async fn by_usernames(&self, names: &[String]) -> Result<Vec<Recipient>, StoreError> {
        let keys: Vec<_> = names.iter().map(|name| Recipient::key(name)).collect();
        self.find(doc! { "usernameKey": { "$in": keys } }).await
    }

    async fn admins(&self) -> Result<Vec<Recipient>, StoreError> {
        self.find(doc! { "role": "ADMIN" }).await
    }
}

impl From<&Recipient> for RecipientDocument {
    fn from(recipient: &Recipient) -> Self {
        Self {
            id: recipient.id.to_string(),
            schema: SCHEMA,
            username: recipient.username.clone(),
            username_key: Recipient::key(&recipient.username),
            email: recipient.email.clone(),
            role: recipient.role,
        }
    }
}

impl TryFrom<RecipientDocument> for Recipient {
    type Error = StorageError;

    fn try_from(document: RecipientDocument) -> Result<Self, StorageError> {
        Ok(Self {
            id: document.id.parse().map_err(malformed)?,
            username: document.username,
            email: document.email,
            role: document.role,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use slipway_mesh::store::mongo::testing::Scratch;

    use super::*;
    use crate::store::recipients::contract;

    contract::tests!({
        let Some(scratch) = Scratch::database().await else {
            return;
        };
        let opened = MongoRecipientStore::open(scratch.client(), scratch.name()).await;
        let store: Arc<dyn RecipientStore> = Arc::new(opened.unwrap());
        (scratch, move || store.clone())
    });
}
