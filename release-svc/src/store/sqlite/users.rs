//! Accounts in SQLite.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Params};
use slipway_rpc::{access::Role, page::Page};
use slipway_sqlite::{StorageError, from_column, to_column};

use super::{CommitError, SqliteStore, commit, rows};
use crate::{
    identity::{Account, User, UserId, credentials::key, quota::Hour, throttle::Subject},
    store::{Commit, InsertUserError, StoreError, UserKey, UserStore},
};

#[async_trait]
impl UserStore for SqliteStore {
    async fn insert(&self, account: Account, with: Commit) -> Result<(), InsertUserError> {
        let write = self.db.write(move |c| -> Result<(), InsertUserError> {
            insert(c, &account).map_err(|error| match error.unique_violation() {
                Some("users.username_key") => InsertUserError::UsernameTaken,
                Some("users.email_key") => InsertUserError::EmailTaken,
                _ => error.into(),
            })?;
            Ok(commit(c, &with)?)
        });
        write.await
    }

    async fn user(&self, id: UserId) -> Result<Option<Account>, StoreError> {
        let read = self.db.read(move |c| one(c, "id = ?1", [id.to_string()]));
        Ok(read.await?)
    }

    async fn by_login(&self, login: String) -> Result<Option<Account>, StoreError> {
        // A username cannot hold an @, an address must.
        let condition = if login.contains('@') {
            "email_key = ?1"
        } else {
            "username_key = ?1"
        };
        let read = self.db.read(move |c| one(c, condition, [key(&login)]));
        Ok(read.await?)
    }

    async fn find(&self, keys: Vec<UserKey>) -> Result<Vec<User>, StoreError> {
        let read = self.db.read(move |c| {
            let mut found = Vec::new();
            for wanted in keys {
                let account = match wanted {
                    UserKey::Id(id) => one(c, "id = ?1", [id.to_string()])?,
                    UserKey::Username(name) => one(c, "username_key = ?1", [key(&name)])?,
                };
                found.extend(account.map(|account| account.user));
            }
            Ok::<_, StorageError>(found)
        });
        Ok(read.await?)
    }

    async fn list(
        &self,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<Page<User, String>, StoreError> {
        let read = self.db.read(move |c| list(c, &prefix, after, limit + 1));
        let found = read.await?;
        Ok(Page::from_overfetch(found, limit, |last| {
            last.username.key()
        }))
    }

    async fn has_admin(&self) -> Result<bool, StoreError> {
        let read = self.db.read(|c| {
            c.query_row(
                "SELECT EXISTS (SELECT 1 FROM users WHERE role = 'ADMIN')",
                [],
                |row| row.get(0),
            )
            .map_err(StorageError::from)
        });
        Ok(read.await?)
    }

    async fn failures(
        &self,
        subject: Subject,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<Timestamp>, StoreError> {
        let read = self.db.read(move |c| {
            let mut query = c.prepare_cached(
                "SELECT at FROM login_failures WHERE subject = ?1 AND at > ?2
                 ORDER BY at DESC LIMIT ?3",
            )?;
            let rows = query.query_map((subject.as_str(), to_column(since), limit), |row| {
                from_column(row.get(0)?)
            })?;
            rows.collect::<Result<_, _>>().map_err(StorageError::from)
        });
        Ok(read.await?)
    }

    async fn record_failure(
        &self,
        subjects: Vec<Subject>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let write = self.db.write(move |c| {
            let mut insert =
                c.prepare_cached("INSERT INTO login_failures (subject, at) VALUES (?1, ?2)")?;
            for subject in subjects {
                insert.execute((subject.as_str(), to_column(at)))?;
            }
            Ok::<_, StorageError>(())
        });
        Ok(write.await?)
    }

    async fn clear_failures(&self, subject: Subject) -> Result<(), StoreError> {
        let write = self.db.write(move |c| {
            c.prepare_cached("DELETE FROM login_failures WHERE subject = ?1")?
                .execute([subject.as_str()])
                .map_err(StorageError::from)
        });
        write.await?;
        Ok(())
    }

    async fn count_registration(
        &self,
        subject: Subject,
        hour: Hour,
        limit: u32,
    ) -> Result<bool, StoreError> {
        let write = self.db.write(move |c| {
            c.prepare_cached(
                "INSERT INTO registration_counts (hour, subject, count) VALUES (?1, ?2, 1)
                 ON CONFLICT DO UPDATE SET count = count + 1 WHERE count < ?3",
            )?
            .execute((hour.number(), subject.as_str(), limit))
            .map_err(StorageError::from)
        });
        Ok(write.await? == 1)
    }

    async fn purge_registrations(&self, before: Hour) -> Result<(), StoreError> {
        let write = self.db.write(move |c| {
            c.execute(
                "DELETE FROM registration_counts WHERE hour < ?1",
                [before.number()],
            )
            .map_err(StorageError::from)
        });
        write.await?;
        Ok(())
    }

    async fn purge_failures(&self, before: Timestamp) -> Result<(), StoreError> {
        let write = self.db.write(move |c| {
            c.execute(
                "DELETE FROM login_failures WHERE at < ?1",
                [to_column(before)],
            )
            .map_err(StorageError::from)
        });
        write.await?;
        Ok(())
    }
}

impl From<StorageError> for InsertUserError {
    fn from(error: StorageError) -> Self {
        Self::Store(error.into())
    }
}

impl From<CommitError> for InsertUserError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Receipt => Self::Receipt,
            CommitError::Storage(error) => error.into(),
        }
    }
}

fn insert(c: &Connection, account: &Account) -> Result<(), StorageError> {
    let user = &account.user;
    let role = match user.role {
        Role::Admin => "ADMIN",
        Role::Developer | Role::Service => "DEVELOPER",
    };
    c.prepare_cached(
        "INSERT INTO users (id, username, username_key, email, email_key, role,
             password_hash, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute((
        user.id.to_string(),
        user.username.to_string(),
        user.username.key(),
        user.email.to_string(),
        user.email.key(),
        role,
        &account.password_hash,
        to_column(user.created_at),
    ))?;
    Ok(())
}

fn one(
    c: &Connection,
    condition: &str,
    params: impl Params,
) -> Result<Option<Account>, StorageError> {
    let sql = format!("SELECT {} FROM users WHERE {condition}", rows::USER);
    Ok(c.prepare_cached(&sql)?
        .query_row(params, rows::account)
        .optional()?)
}

fn list(
    c: &Connection,
    prefix: &str,
    after: Option<String>,
    rows: u32,
) -> Result<Vec<User>, StorageError> {
    // Names are ASCII: the greatest code point sorts behind every continuation.
    let end = format!("{prefix}\u{10FFFF}");
    let sql = format!(
        "SELECT {} FROM users WHERE username_key >= ?1 AND username_key < ?2
           AND username_key > ?3 ORDER BY username_key LIMIT ?4",
        rows::USER
    );
    let mut query = c.prepare_cached(&sql)?;
    let params = (prefix, end, after.unwrap_or_default(), rows);
    let found = query.query_map(params, |row| Ok(rows::account(row)?.user))?;
    Ok(found.collect::<Result<_, _>>()?)
}
