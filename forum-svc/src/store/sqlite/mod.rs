//! The stores in one SQLite file: a row a comment. A reply and its number are one
//! transaction, so nothing is ever left to settle.

mod rows;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};
use slipway_rpc::page::Page;
use slipway_sqlite::{Database, StorageError};
use slipway_store::{
    outbox::sqlite::{BY_AGGREGATE, OWN_IDS, SCHEMA as OUTBOX, SqliteOutbox, append},
    receipts::{
        sqlite as receipts,
        sqlite::{SCHEMA as RECEIPTS, SqliteReceipts},
    },
};

use super::{CommentStore, Commit, Outline, PostError, StoreError, Stores};
use crate::comment::{
    Comment, CommentId, Placed, Position,
    position::{Ordinal, Stretch},
};

const MIGRATIONS: &[&str] = &[
    "
    -- What it says comes last: what is in front of it is read without it.
    CREATE TABLE comments (
        id          TEXT    NOT NULL UNIQUE,
        task_id     TEXT    NOT NULL,
        parent_id   TEXT, -- none: it begins a thread
        ordinal     INTEGER NOT NULL, -- among the replies to the parent, from 1
        root_id     TEXT    NOT NULL,
        depth       INTEGER NOT NULL,
        block       TEXT    NOT NULL,
        key         TEXT    NOT NULL,
        reply_count INTEGER NOT NULL,
        revision    INTEGER NOT NULL,
        created_at  INTEGER NOT NULL,
        edited_at   INTEGER,
        deleted_at  INTEGER,
        author_id   TEXT    NOT NULL,
        author_name TEXT    NOT NULL,
        content     TEXT    NOT NULL -- empty if it is deleted
    ) STRICT;
    -- The reading order. Holds all that an outline is made of.
    CREATE INDEX comments_in_order ON comments (block, key, depth, id);
    -- A number is given once, and so is the key that is made of it.
    CREATE UNIQUE INDEX comments_by_parent ON comments (parent_id, ordinal)
        WHERE parent_id IS NOT NULL;
    ",
    OUTBOX,
    BY_AGGREGATE,
    OWN_IDS,
    RECEIPTS,
];

/// One database, all stores.
struct SqliteStore {
    db: Database,
}

impl Stores {
    /// The stores in the SQLite file at `path`, which is created if it is not there.
    /// Blocks: call it at start.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn sqlite(path: &Path) -> Result<Self, StorageError> {
        let db = Database::open(path, "forum", MIGRATIONS)?;
        Ok(Self {
            comments: Arc::new(SqliteStore { db: db.clone() }),
            receipts: Arc::new(SqliteReceipts::new(db.clone())),
            outbox: Arc::new(SqliteOutbox::new(db.clone())),
            check: Arc::new(db),
        })
    }
}

impl From<StorageError> for StoreError {
    fn from(error: StorageError) -> Self {
        Self(error.to_string())
    }
}

impl From<StorageError> for PostError {
    fn from(error: StorageError) -> Self {
        Self::Store(error.into())
    }
}

#[async_trait]
impl CommentStore for SqliteStore {
    async fn begin(&self, comment: Comment, commit: Commit) -> Result<(), PostError> {
        let write = self.db.write(move |c| {
            let position = Position::of_root(comment.task, comment.id);
            rows::insert(c, &comment, Ordinal(0), &position)?;
            finish(c, &commit)
        });
        write.await
    }

    async fn reply(&self, parent: Placed, reply: Comment, commit: Commit) -> Result<(), PostError> {
        let write = self.db.write(move |c| {
            let id = parent.comment.id;
            let number = count_reply(c, id)?.ok_or(PostError::ParentDeleted(id))?;
            let position = parent.position.of_reply(id, number);
            rows::insert(c, &reply, number, &position)?;
            finish(c, &commit)
        });
        write.await
    }

    async fn change(&self, before: Comment, after: Comment) -> Result<bool, StoreError> {
        let write = self.db.write(move |c| rows::update(c, &before, &after));
        Ok(write.await?)
    }

    async fn comment(&self, id: CommentId) -> Result<Option<Placed>, StoreError> {
        let read = self.db.read(move |c| {
            let sql = format!("SELECT {} FROM comments WHERE id = ?1", rows::PLACED);
            let found = c
                .prepare_cached(&sql)?
                .query_row([id.to_string()], rows::placed)
                .optional()?;
            Ok::<_, StorageError>(found)
        });
        Ok(read.await?)
    }

    async fn range(&self, stretch: Stretch, limit: u32) -> Result<Vec<Placed>, StoreError> {
        let read = self.db.read(move |c| {
            let sql = format!(
                "SELECT {} FROM comments INDEXED BY comments_in_order
                 WHERE block = ?1 AND key > ?2 AND key < ?3 ORDER BY key LIMIT ?4",
                rows::PLACED
            );
            let mut query = c.prepare_cached(&sql)?;
            let params = rows::between(&stretch, limit);
            let found = query.query_map(params, rows::placed)?;
            Ok::<_, StorageError>(found.collect::<Result<_, _>>()?)
        });
        Ok(read.await?)
    }

    async fn outline(&self, stretch: Stretch, limit: u32) -> Result<Vec<Outline>, StoreError> {
        let read = self.db.read(move |c| {
            let sql = format!(
                "SELECT {} FROM comments INDEXED BY comments_in_order
                 WHERE block = ?1 AND key > ?2 AND key < ?3 ORDER BY key LIMIT ?4",
                rows::OUTLINE
            );
            let mut query = c.prepare_cached(&sql)?;
            let params = rows::between(&stretch, limit);
            let found = query.query_map(params, |row| rows::outline(stretch.block, row))?;
            Ok::<_, StorageError>(found.collect::<Result<_, _>>()?)
        });
        Ok(read.await?)
    }

    async fn comments(&self, ids: Vec<CommentId>) -> Result<Vec<Comment>, StoreError> {
        let read = self.db.read(move |c| {
            let sql = format!("SELECT {} FROM comments WHERE id = ?1", rows::COMMENT);
            let mut query = c.prepare_cached(&sql)?;
            let mut comments = Vec::with_capacity(ids.len());
            for id in ids {
                comments.extend(
                    query
                        .query_row([id.to_string()], rows::comment)
                        .optional()?,
                );
            }
            Ok::<_, StorageError>(comments)
        });
        Ok(read.await?)
    }

    async fn replies(
        &self,
        parent: CommentId,
        after: Option<Ordinal>,
        limit: u32,
    ) -> Result<Page<Comment, Ordinal>, StoreError> {
        let read = self.db.read(move |c| {
            let sql = format!(
                "SELECT {}, ordinal FROM comments WHERE parent_id = ?1 AND ordinal > ?2
                 ORDER BY ordinal LIMIT ?3",
                rows::COMMENT
            );
            let mut query = c.prepare_cached(&sql)?;
            let after = after.map_or(0, |after| after.0);
            let found = query.query_map((parent.to_string(), after, limit + 1), rows::numbered)?;
            Ok::<_, StorageError>(found.collect::<Result<Vec<_>, _>>()?)
        });
        let page = Page::from_overfetch(read.await?, limit, |(_, number)| *number);
        Ok(Page {
            items: page.items.into_iter().map(|(comment, _)| comment).collect(),
            next: page.next,
        })
    }

    async fn settle(&self, _before: Timestamp) -> Result<u64, StoreError> {
        Ok(0)
    }
}

/// Counts one more reply to a comment and gives it its number; `None` if it is deleted.
fn count_reply(c: &Connection, id: CommentId) -> Result<Option<Ordinal>, StorageError> {
    Ok(c.prepare_cached(
        "UPDATE comments SET reply_count = reply_count + 1
         WHERE id = ?1 AND deleted_at IS NULL RETURNING reply_count",
    )?
    .query_row([id.to_string()], |row| Ok(Ordinal(row.get(0)?)))
    .optional()?)
}

/// Stores what is committed along with a comment, within its transaction.
fn finish(c: &Connection, commit: &Commit) -> Result<(), PostError> {
    append(c, std::slice::from_ref(&commit.event))?;
    match &commit.receipt {
        Some(receipt) if !receipts::insert(c, receipt)? => Err(PostError::Receipt),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract;

    contract::tests!({
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("forum.db");
        let db = Database::open(&path, "forum", MIGRATIONS).unwrap();
        let plant = async move |planted: Vec<contract::Planted>| {
            let write = db.write(move |c| {
                for (comment, number, position) in &planted {
                    rows::insert(c, comment, *number, position)?;
                }
                Ok::<_, StorageError>(())
            });
            write.await.unwrap();
        };
        (dir, move || Stores::sqlite(&path).unwrap(), plant)
    });
}
