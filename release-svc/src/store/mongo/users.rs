//! Accounts in MongoDB.

use async_trait::async_trait;
use futures::TryStreamExt as _;
use jiff::Timestamp;
use mongodb::bson::{Document, doc};
use slipway_mongo::{StorageError, bounded, from_bson, to_bson};
use slipway_rpc::page::Page;
use slipway_store::receipts::mongo::make_room;

use super::{
    EMAIL, MongoStore, USER_RECEIPT, USERNAME,
    documents::{ADMIN, AccountDocument, FailureDocument},
};
use crate::{
    identity::{Account, User, UserId, credentials::key, quota::Hour, throttle::Subject},
    store::{Commit, InsertUserError, StoreError, UserKey, UserStore},
};

#[async_trait]
impl UserStore for MongoStore {
    async fn insert(&self, account: Account, with: Commit) -> Result<(), InsertUserError> {
        let document = AccountDocument::new(&account, &with);
        loop {
            let insert = bounded(self.users.insert_one(&document).into_future());
            let Err(error) = insert.await else {
                return Ok(());
            };
            match (error.duplicate_key(), &with.receipt) {
                (Some(USERNAME), _) => return Err(InsertUserError::UsernameTaken),
                (Some(EMAIL), _) => return Err(InsertUserError::EmailTaken),
                (Some(USER_RECEIPT), Some(receipt)) => {
                    if !make_room(&self.users, receipt).await? {
                        return Err(InsertUserError::Receipt);
                    }
                }
                _ if error.gave_way() => {}
                _ => return Err(error.into()),
            }
        }
    }

    async fn user(&self, id: UserId) -> Result<Option<Account>, StoreError> {
        self.account(doc! { "_id": id.to_string() }).await
    }

    async fn by_login(&self, login: String) -> Result<Option<Account>, StoreError> {
        // A username cannot hold an @, an address must.
        let field = if login.contains('@') {
            "emailKey"
        } else {
            "usernameKey"
        };
        self.account(doc! { field: key(&login) }).await
    }

    async fn find(&self, keys: Vec<UserKey>) -> Result<Vec<User>, StoreError> {
        let (mut ids, mut names) = (Vec::new(), Vec::new());
        for wanted in keys {
            match wanted {
                UserKey::Id(id) => ids.push(id.to_string()),
                UserKey::Username(name) => names.push(key(&name)),
            }
        }
        let mut found = Vec::new();
        for (field, wanted) in [("_id", ids), ("usernameKey", names)] {
            if !wanted.is_empty() {
                let users = self.users.find(doc! { field: { "$in": wanted } });
                let accounts: Vec<_> = bounded(async { users.await?.try_collect().await }).await?;
                found.extend(users_of(accounts)?);
            }
        }
        Ok(found)
    }

    async fn list(
        &self,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<Page<User, String>, StoreError> {
        // Names are ASCII: the greatest code point sorts behind every continuation.
        let end = format!("{prefix}\u{10FFFF}");
        let find = self
            .users
            .find(doc! { "usernameKey": {
                "$gte": prefix, "$lt": end, "$gt": after.unwrap_or_default(),
            } })
            .sort(doc! { "usernameKey": 1 })
            .limit(i64::from(limit) + 1);
        let accounts: Vec<_> = bounded(async { find.await?.try_collect().await }).await?;
        let found = users_of(accounts)?;
        Ok(Page::from_overfetch(found, limit, |last| {
            last.username.key()
        }))
    }

    async fn has_admin(&self) -> Result<bool, StoreError> {
        Ok(self.account(doc! { "role": ADMIN }).await?.is_some())
    }

    async fn failures(
        &self,
        subject: Subject,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<Timestamp>, StoreError> {
        let find = self
            .failures
            .find(doc! { "subject": subject.as_str(), "at": { "$gt": to_bson(since) } })
            .sort(doc! { "at": -1 })
            .limit(i64::from(limit));
        let failures: Vec<_> = bounded(async { find.await?.try_collect().await }).await?;
        let times = failures.into_iter().map(|failure| from_bson(failure.at));
        Ok(times.collect::<Result<_, _>>()?)
    }

    async fn record_failure(
        &self,
        subjects: Vec<Subject>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let failures = subjects.iter().map(|subject| FailureDocument {
            subject: subject.as_str().to_owned(),
            at: to_bson(at),
        });
        bounded(self.failures.insert_many(failures).into_future()).await?;
        Ok(())
    }

    async fn clear_failures(&self, subject: Subject) -> Result<(), StoreError> {
        let of_subject = doc! { "subject": subject.as_str() };
        bounded(self.failures.delete_many(of_subject).into_future()).await?;
        Ok(())
    }

    async fn count_registration(
        &self,
        subject: Subject,
        hour: Hour,
        limit: u32,
    ) -> Result<bool, StoreError> {
        let id = format!("{}@{}", subject.as_str(), hour.number());
        let below = doc! { "_id": id, "hour": hour.number(), "count": { "$lt": i64::from(limit) } };
        loop {
            let count = self
                .registrations
                .update_one(below.clone(), doc! { "$inc": { "count": 1_i64 } })
                .upsert(true);
            let Err(error) = bounded(count.into_future()).await else {
                return Ok(true);
            };
            if error.gave_way() {
                continue;
            }
            if error.duplicate_key().is_none() {
                return Err(error.into());
            }
            // It is at the limit; or another replica has just begun the hour's count.
            let find = self.registrations.find_one(below.clone());
            if bounded(find.into_future()).await?.is_none() {
                return Ok(false);
            }
        }
    }

    async fn purge_registrations(&self, before: Hour) -> Result<(), StoreError> {
        let old = doc! { "hour": { "$lt": before.number() } };
        bounded(self.registrations.delete_many(old).into_future()).await?;
        Ok(())
    }

    async fn purge_failures(&self, before: Timestamp) -> Result<(), StoreError> {
        let old = doc! { "at": { "$lt": to_bson(before) } };
        bounded(self.failures.delete_many(old).into_future()).await?;
        Ok(())
    }
}

impl MongoStore {
    async fn account(&self, condition: Document) -> Result<Option<Account>, StoreError> {
        let found = bounded(self.users.find_one(condition).into_future()).await?;
        Ok(found.map(Account::try_from).transpose()?)
    }
}

impl From<StorageError> for InsertUserError {
    fn from(error: StorageError) -> Self {
        Self::Store(error.into())
    }
}

fn users_of(accounts: Vec<AccountDocument>) -> Result<Vec<User>, StorageError> {
    let accounts = accounts.into_iter().map(Account::try_from);
    accounts
        .map(|account| Ok(account?.user))
        .collect::<Result<_, _>>()
}
