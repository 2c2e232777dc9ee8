//! Between rows and the domain's types.

use rusqlite::{Connection, Row};
use slipway_proto::events::UserRef;
use slipway_sqlite::{StorageError, from_column, malformed, to_column};
use uuid::Uuid;

use crate::{
    comment::{
        Block, Body, Comment, CommentId, Content, Placed, Position, Revision, TaskId,
        position::{Key, Ordinal, Stretch},
    },
    store::Outline,
};

/// The columns that [`comment`] reads.
pub(super) const COMMENT: &str = "id, task_id, parent_id, root_id, depth, reply_count, revision,
    created_at, edited_at, deleted_at, author_id, author_name, content";

/// The columns that [`placed`] reads.
pub(super) const PLACED: &str = "id, task_id, parent_id, root_id, depth, reply_count, revision,
    created_at, edited_at, deleted_at, author_id, author_name, content, block, key";

pub(super) fn comment(row: &Row<'_>) -> Result<Comment, rusqlite::Error> {
    let edited_at: Option<i64> = row.get(8)?;
    let deleted_at: Option<i64> = row.get(9)?;
    Ok(Comment {
        id: CommentId(id(row, 0)?),
        task: TaskId(id(row, 1)?),
        parent: match row.get_ref(2)? {
            rusqlite::types::ValueRef::Null => None,
            _ => Some(CommentId(id(row, 2)?)),
        },
        root: CommentId(id(row, 3)?),
        depth: row.get(4)?,
        reply_count: row.get(5)?,
        revision: Revision(row.get(6)?),
        created_at: from_column(row.get(7)?)?,
        edited_at: edited_at.map(from_column).transpose()?,
        author: UserRef {
            id: id(row, 10)?,
            username: row.get(11)?,
        },
        body: match deleted_at {
            None => Body::Content(Content::stored(row.get(12)?)),
            Some(at) => Body::Deleted {
                at: from_column(at)?,
            },
        },
    })
}

pub(super) fn placed(row: &Row<'_>) -> Result<Placed, rusqlite::Error> {
    Ok(Placed {
        comment: comment(row)?,
        position: Position {
            block: Block(id(row, 13)?),
            key: Key::stored(row.get(14)?),
        },
    })
}

/// A comment with its number, which is the column behind [`COMMENT`].
pub(super) fn numbered(row: &Row<'_>) -> Result<(Comment, Ordinal), rusqlite::Error> {
    Ok((comment(row)?, Ordinal(row.get(13)?)))
}

/// The parameters of a query for the first `limit` comments of a stretch.
pub(super) fn between(stretch: &Stretch, limit: u32) -> (String, &str, &str, u32) {
    let (after, before) = (stretch.after.as_str(), stretch.before.as_str());
    (stretch.block.0.to_string(), after, before, limit)
}

/// The columns that [`outline`] reads.
pub(super) const OUTLINE: &str = "id, depth, reply_count, key";

pub(super) fn outline(block: Block, row: &Row<'_>) -> Result<Outline, rusqlite::Error> {
    Ok(Outline {
        id: CommentId(id(row, 0)?),
        depth: row.get(1)?,
        reply_count: row.get(2)?,
        position: Position {
            block,
            key: Key::stored(row.get(3)?),
        },
    })
}

fn id(row: &Row<'_>, column: usize) -> Result<Uuid, rusqlite::Error> {
    let text = row.get_ref(column)?.as_str()?;
    Uuid::try_parse(text).map_err(malformed)
}

pub(super) fn insert(
    c: &Connection,
    comment: &Comment,
    number: Ordinal,
    position: &Position,
) -> Result<(), StorageError> {
    let (content, deleted_at) = body(&comment.body);
    c.prepare_cached(
        "INSERT INTO comments (id, task_id, parent_id, ordinal, root_id, depth, block, key,
             reply_count, revision, created_at, edited_at, deleted_at, author_id, author_name,
             content)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?
    .execute((
        comment.id.to_string(),
        comment.task.to_string(),
        comment.parent.map(|parent| parent.to_string()),
        number.0,
        comment.root.to_string(),
        comment.depth,
        position.block.0.to_string(),
        position.key.as_str(),
        comment.reply_count,
        comment.revision.0,
        to_column(comment.created_at),
        comment.edited_at.map(to_column),
        deleted_at,
        comment.author.id.to_string(),
        &comment.author.username,
        content,
    ))?;
    Ok(())
}

/// Whether the stored revision was that of `before`.
pub(super) fn update(
    c: &Connection,
    before: &Comment,
    after: &Comment,
) -> Result<bool, StorageError> {
    let (content, deleted_at) = body(&after.body);
    let rows = c
        .prepare_cached(
            "UPDATE comments SET content = ?1, edited_at = ?2, deleted_at = ?3, revision = ?4
             WHERE id = ?5 AND revision = ?6",
        )?
        .execute((
            content,
            after.edited_at.map(to_column),
            deleted_at,
            after.revision.0,
            after.id.to_string(),
            before.revision.0,
        ))?;
    Ok(rows == 1)
}

fn body(body: &Body) -> (&str, Option<i64>) {
    match body {
        Body::Content(content) => (content.as_str(), None),
        Body::Deleted { at } => ("", Some(to_column(*at))),
    }
}
