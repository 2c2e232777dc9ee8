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
mod releases;
mod tasks;
mod users;

use std::sync::Arc;

use mongodb::Collection;
use slipway_mesh::{
    outbox::mongo::{MongoOutbox, index as outbox_index},
    receipts::mongo::{self as receipts, MongoReceipts},
    store::mongo::{Client, Database, Index, StorageError},
};

use self::documents::{AccountDocument, FailureDocument, ReleaseDocument};
use super::{StoreError, Stores};

/// The database of this service.
pub const DATABASE: &str = "slipway_release";

const RELEASES: &str = "releases";
const USERS: &str = "users";
const FAILURES: &str = "loginFailures";

/// Where events and receipts are.
const HOLDERS: &[&str] = &[RELEASES, USERS];

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
    receipts::index(RELEASES, RELEASE_RECEIPT),
    receipts::time_index(RELEASES),
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
    receipts::index(USERS, USER_RECEIPT),
    receipts::time_index(USERS),
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
    receipts: MongoReceipts,
}

impl Stores {
    /// The stores in the MongoDB database `name`, usually [`DATABASE`]; its indexes are
    /// built if they are not there.
    ///
    /// # Errors
    /// If the server is away, or an index exists with another definition.
    pub async fn mongo(client: &Client, name: &str) -> Result<Self, StorageError> {
        let database = Database::open(client, name, INDEXES).await?;
        let receipts = MongoReceipts::new(database.clone(), HOLDERS);
        let store = Arc::new(MongoStore {
            releases: database.collection(RELEASES),
            users: database.collection(USERS),
            failures: database.collection(FAILURES),
            receipts: receipts.clone(),
        });
        Ok(Self {
            releases: store.clone(),
            users: store,
            receipts: Arc::new(receipts),
            outbox: Arc::new(MongoOutbox::new(database.clone(), HOLDERS)),
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
