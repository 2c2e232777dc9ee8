//! The stores in one MongoDB database: a document for each release, with its tasks, and
//! for each account.
//!
//! A document may have 16 MB. What people write in a release is bounded by its rules; a
//! write that would make the document larger than [`MAX_DOCUMENT`] moves its receipts to
//! a collection of their own, and is refused if what is left, events that wait for the
//! bus, is still too much.
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

use mongodb::{Collection, bson::Document};
use slipway_mongo::{Client, Database, Index, StorageError};
use slipway_store::{
    outbox::mongo::{MongoOutbox, index as outbox_index},
    receipts::mongo::{index as receipt_index, time_index},
};

use self::{
    documents::{AccountDocument, FailureDocument, ReleaseDocument},
    receipts::Receipts,
};
use super::{StoreError, Stores};

/// The database of this service.
pub const DATABASE: &str = "slipway_release";

const RELEASES: &str = "releases";
const USERS: &str = "users";
const FAILURES: &str = "loginFailures";
const REGISTRATIONS: &str = "registrationCounts";
/// Receipts that a release had no more room for.
const RECEIPTS: &str = "receipts";

/// Bytes that a release's document may have, well below what the server takes.
const MAX_DOCUMENT: usize = 12 * 1024 * 1024;

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
    receipt_index(RELEASES, RELEASE_RECEIPT),
    time_index(RELEASES),
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
    receipt_index(USERS, USER_RECEIPT),
    time_index(USERS),
    outbox_index(USERS),
    Index::on(RECEIPTS, "by_time", &[("at", 1)]),
    Index::on(FAILURES, "by_subject", &[("subject", 1), ("at", -1)]),
    Index::on(FAILURES, "by_time", &[("at", 1)]),
    Index::on(REGISTRATIONS, "by_hour", &[("hour", 1)]),
];

/// One database, all stores. It keeps nothing in the process.
#[derive(Clone)]
struct MongoStore {
    releases: Collection<ReleaseDocument>,
    users: Collection<AccountDocument>,
    failures: Collection<FailureDocument>,
    registrations: Collection<Document>,
    receipts: Receipts,
}

impl Stores {
    /// The stores in the MongoDB database `name`, usually [`DATABASE`]; its indexes are
    /// built if they are not there.
    ///
    /// # Errors
    /// If the server is away, or an index exists with another definition.
    pub async fn mongo(client: &Client, name: &str) -> Result<Self, StorageError> {
        let database = Database::open(client, name, INDEXES).await?;
        let receipts = Receipts::new(&database);
        let store = Arc::new(MongoStore {
            releases: database.collection(RELEASES),
            users: database.collection(USERS),
            failures: database.collection(FAILURES),
            registrations: database.collection(REGISTRATIONS),
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
    use jiff::{SignedDuration, Timestamp};
    use slipway_bus::{Actor, Event, event::Origin};
    use slipway_mongo::testing::Scratch;
    use slipway_proto::events::UserRegisteredEvent;
    use slipway_runtime::clock::{Clock as _, SystemClock};
    use slipway_store::receipts::{Receipt, ReceiptKey};

    use super::*;
    use crate::{
        identity::{UserId, UserRef},
        release::{Release, ReleaseDraft, TaskDraft, Text},
        store::{Commit, SaveError, contract},
    };

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

    /// Adds a task with so many bytes of text in its events, and a receipt as large.
    async fn add(
        stores: &Stores,
        release: &Release,
        events: usize,
        key: &str,
        receipt: usize,
    ) -> Result<(), SaveError> {
        let current = stores.releases.release(release.id).await.unwrap().unwrap();
        let person = current.created_by.clone();
        let draft = TaskDraft {
            title: Text::title("a task").unwrap(),
            description: Text::description("").unwrap(),
            assignee: person,
            order_index: None,
            due_at: None,
            hotfix: None,
        };
        let after = current.add_task(draft, SystemClock.now()).unwrap().release;
        let payload = UserRegisteredEvent {
            user_id: release.id.0,
            username: "x".repeat(events),
            email: "a@example.com".into(),
            role: slipway_proto::events::Role::Developer,
        };
        let origin = Origin {
            service: "test",
            key: release.id.0,
            subject: release.id.0,
            actor: &Actor::System,
            time: SystemClock.now(),
        };
        let commit = Commit {
            events: vec![Event::new(&payload, &origin)],
            receipt: Some(Receipt {
                key: ReceiptKey(key.into()),
                fingerprint: b"f".to_vec(),
                response: vec![0; receipt],
                at: SystemClock.now(),
            }),
        };
        stores.releases.save(current, after, commit).await
    }

    #[tokio::test]
    async fn a_release_with_too_large_a_backlog_is_refused_until_it_is_published() {
        const MIB: usize = 1024 * 1024;
        let Some(scratch) = Scratch::database().await else {
            return;
        };
        let stores = Stores::mongo(scratch.client(), scratch.name())
            .await
            .unwrap();
        let creator = UserRef {
            id: UserId::generate(),
            username: "ada".into(),
        };
        let draft = ReleaseDraft {
            name: Text::title("r").unwrap(),
            description: Text::description("").unwrap(),
            version: Text::version("1").unwrap(),
            tasks: Vec::new(),
        };
        let release = Release::plan(draft, creator, SystemClock.now());
        let release = release.unwrap().release;
        let insert = stores.releases.insert(release.clone(), Commit::default());
        insert.await.unwrap();

        // Receipts make room for each other, and all of them are still found.
        for n in 0..5 {
            let key = format!("k{n}");
            add(&stores, &release, 1, &key, 4 * MIB).await.unwrap();
        }
        for n in 0..5 {
            let key = ReceiptKey(format!("k{n}"));
            let since = Timestamp::UNIX_EPOCH;
            let found = stores.receipts.receipt(key, since).await.unwrap();
            assert_eq!(found.unwrap().response.len(), 4 * MIB);
        }
        // Events do not: nobody has heard of them yet.
        let mut accepted = 0;
        let refused = loop {
            let key = format!("e{accepted}");
            match add(&stores, &release, 3 * MIB, &key, 1).await {
                Ok(()) => accepted += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, SaveError::Backlog), "{refused}");
        assert_eq!(accepted, 3);
        loop {
            let pending = stores.outbox.pending(&[release.id.0], 10).await.unwrap();
            if pending.is_empty() {
                break;
            }
            stores.outbox.remove(&pending).await.unwrap();
        }
        add(&stores, &release, 3 * MIB, "later", 1).await.unwrap();

        stores
            .receipts
            .purge_receipts(SystemClock.now() + SignedDuration::from_secs(1))
            .await
            .unwrap();
        let key = ReceiptKey("k0".into());
        let found = stores.receipts.receipt(key, Timestamp::UNIX_EPOCH).await;
        assert!(found.unwrap().is_none());
    }
}
