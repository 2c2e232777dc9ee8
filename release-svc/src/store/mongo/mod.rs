//! The stores in one MongoDB database: a document for each release, with its tasks, and
//! for each account.
//!
//! A document holds all that is committed with it: its receipts and the events that are
//! yet to be published. So every commit is one write of one document, and no transaction
//! is needed.
//!
//! | what must be unique | because of |
//! | --- | --- |
//! | a developer among those at work, on the whole platform | `one_active` |
//! | a receipt's key | `release_receipt`, `user_receipt` |
//! | a username, an address | `username`, `email` |

mod documents;
#[cfg(test)]
mod plans;
mod receipts;
mod releases;
mod tasks;
mod users;

use std::sync::Arc;

use mongodb::Collection;
use slipway_mesh::{
    outbox::mongo::{MongoOutbox, index as outbox_index},
    store::mongo::{Client, Database, Index, StorageError},
};

use self::documents::{AccountDocument, FailureDocument, ReleaseDocument};
use super::{StoreError, Stores};

/// The database of this service.
pub const DATABASE: &str = "slipway_release";

const RELEASES: &str = "releases";
const USERS: &str = "users";
const FAILURES: &str = "loginFailures";

/// The indexes whose refusals mean something.
const ONE_ACTIVE: &str = "one_active";
const RELEASE_RECEIPT: &str = "release_receipt";
const USER_RECEIPT: &str = "user_receipt";
const USERNAME: &str = "username";
const EMAIL: &str = "email";

const INDEXES: &[Index] = &[
    // A developer works on one task at any moment, on the whole platform.
    Index::on(RELEASES, ONE_ACTIVE, &[("activeDevelopers", 1)])
        .unique()
        .having("activeDevelopers"),
    Index::on(RELEASES, RELEASE_RECEIPT, &[("receipts.key", 1)])
        .unique()
        .having("receipts.key"),
    Index::on(RELEASES, "by_receipt_time", &[("receipts.at", 1)]).having("receipts.key"),
    Index::on(RELEASES, "by_state", &[("isCompleted", 1), ("_id", -1)]),
    Index::on(RELEASES, "by_task", &[("tasks.id", 1)]),
    Index::on(
        RELEASES,
        "by_assignee",
        &[("tasks.assignee.id", 1), ("_id", -1)],
    ),
    Index::on(
        RELEASES,
        "by_assignee_and_status",
        &[("tasks.assignee.id", 1), ("tasks.status", 1), ("_id", -1)],
    ),
    outbox_index(RELEASES),
    Index::on(USERS, USERNAME, &[("usernameKey", 1)]).unique(),
    Index::on(USERS, EMAIL, &[("emailKey", 1)]).unique(),
    Index::on(USERS, "by_role", &[("role", 1)]),
    Index::on(USERS, USER_RECEIPT, &[("receipts.key", 1)])
        .unique()
        .having("receipts.key"),
    Index::on(USERS, "by_receipt_time", &[("receipts.at", 1)]).having("receipts.key"),
    outbox_index(USERS),
    Index::on(FAILURES, "by_subject", &[("subject", 1), ("at", -1)]),
    Index::on(FAILURES, "by_time", &[("at", 1)]),
];

/// One database, all stores. It keeps nothing in the process.
#[derive(Clone)]
struct MongoStore {
    releases: Collection<ReleaseDocument>,
    users: Collection<AccountDocument>,
    failures: Collection<FailureDocument>,
}

impl Stores {
    /// The stores in the MongoDB database `name`, usually [`DATABASE`]; its indexes are
    /// built if they are not there.
    ///
    /// # Errors
    /// If the server is away, or an index exists with another definition.
    pub async fn mongo(client: &Client, name: &str) -> Result<Self, StorageError> {
        let database = Database::open(client, name, INDEXES).await?;
        let store = Arc::new(MongoStore {
            releases: database.collection(RELEASES),
            users: database.collection(USERS),
            failures: database.collection(FAILURES),
        });
        Ok(Self {
            releases: store.clone(),
            users: store.clone(),
            receipts: store,
            outbox: Arc::new(MongoOutbox::new(database.clone(), &[RELEASES, USERS])),
            check: Arc::new(database),
        })
    }
}

impl From<StorageError> for StoreError {
    fn from(error: StorageError) -> Self {
        Self(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use slipway_mesh::store::mongo::testing::Scratch;

    use super::*;
    use crate::store::contract;

    contract::tests!({
        let Some(scratch) = Scratch::database().await else {
            return;
        };
        let stores = Stores::mongo(scratch.client(), scratch.name())
            .await
            .unwrap();
        // They keep nothing in the process: a clone is as good as another replica's.
        (scratch, move || stores.clone())
    });
}
