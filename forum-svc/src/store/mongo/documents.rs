//! Between documents and the domain's types.

use mongodb::bson::{Bson, DateTime, Document, doc};
use serde::{Deserialize, Serialize};
use slipway_mongo::{StorageError, from_bson, malformed, to_bson};
use slipway_proto::events::UserRef;
use slipway_store::{outbox::mongo::Entry, receipts::mongo::ReceiptDocument};
use uuid::Uuid;

use crate::{
    comment::{
        Block, Body, Comment, CommentId, Content, Placed, Position, Revision, TaskId,
        position::{Key, Ordinal},
    },
    store::{Commit, Outline},
};

/// The version of the documents' schema.
const SCHEMA: i32 = 1;

/// A comment. What was committed with it is read along: leaving it out would cost the
/// server more than it saves.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CommentDocument {
    #[serde(rename = "_id")]
    id: String,
    schema: i32,
    task_id: String,
    parent_id: Option<String>,
    pub(super) ordinal: i64,
    root_id: String,
    depth: i64,
    block: String,
    key: String,
    reply_count: i64,
    /// The number that was given last. Unlike the count it never goes back.
    last_reply: i64,
    revision: i64,
    created_at: DateTime,
    edited_at: Option<DateTime>,
    deleted_at: Option<DateTime>,
    author: AuthorDocument,
    content: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    outbox: Vec<Entry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    receipts: Vec<ReceiptDocument>,
}

#[derive(Debug, Serialize, Deserialize)]
struct AuthorDocument {
    id: String,
    username: String,
}

/// A note on a reply that was begun.
#[derive(Debug, Deserialize)]
pub(super) struct PendingDocument {
    pub(super) id: String,
    pub(super) at: DateTime,
}

/// Outlines in one document.
#[derive(Debug, Deserialize)]
pub(super) struct OutlinesDocument {
    pub(super) outlines: Vec<OutlineDocument>,
}

/// A comment without what it says.
#[derive(Debug, Deserialize)]
pub(super) struct OutlineDocument {
    id: String,
    depth: i64,
    replies: i64,
    key: String,
}

/// Stands where a reply would have come that was given up. Nothing leads to it: its block
/// is that of the replies to the reply there never was. `begun` is when the reply was, and
/// decides how long the fence stays.
pub(super) fn fence(reply: &str, begun: DateTime) -> Document {
    doc! { "_id": reply, "schema": SCHEMA, "block": reply, "key": "", "fenceBegun": begun }
}

impl CommentDocument {
    pub(super) fn root(comment: &Comment, commit: &Commit) -> Self {
        let position = Position::of_root(comment.task, comment.id);
        Self::new(comment, Ordinal(0), &position, commit)
    }

    pub(super) fn reply(
        reply: &Comment,
        parent: &Placed,
        number: Ordinal,
        commit: &Commit,
    ) -> Self {
        let position = parent.position.of_reply(parent.comment.id, number);
        Self::new(reply, number, &position, commit)
    }

    /// As if it had been posted long ago: its event is published.
    #[cfg(test)]
    pub(super) fn planted((comment, number, position): &super::super::contract::Planted) -> Self {
        let document = Self::new(
            comment,
            *number,
            position,
            &super::super::contract::commit(comment),
        );
        Self {
            outbox: Vec::new(),
            ..document
        }
    }

    fn new(comment: &Comment, ordinal: Ordinal, position: &Position, commit: &Commit) -> Self {
        let (content, deleted_at) = body(&comment.body);
        Self {
            id: comment.id.to_string(),
            schema: SCHEMA,
            task_id: comment.task.to_string(),
            parent_id: comment.parent.map(|parent| parent.to_string()),
            ordinal: number(ordinal.0),
            root_id: comment.root.to_string(),
            depth: comment.depth.into(),
            block: position.block.0.to_string(),
            key: position.key.as_str().to_owned(),
            reply_count: number(comment.reply_count),
            last_reply: number(comment.reply_count),
            revision: number(comment.revision.0),
            created_at: to_bson(comment.created_at),
            edited_at: comment.edited_at.map(to_bson),
            deleted_at,
            author: AuthorDocument {
                id: comment.author.id.to_string(),
                username: comment.author.username.clone(),
            },
            content: content.to_owned(),
            outbox: vec![Entry::from(&commit.event)],
            receipts: commit.receipt.iter().map(ReceiptDocument::from).collect(),
        }
    }
}

/// What an edit or a deletion changes.
pub(super) fn changed(after: &Comment) -> Document {
    let (content, deleted_at) = body(&after.body);
    doc! { "$set": {
        "content": content,
        "editedAt": after.edited_at.map(|at| Bson::from(to_bson(at))),
        "deletedAt": deleted_at.map(Bson::from),
        "revision": number(after.revision.0),
    } }
}

fn body(body: &Body) -> (&str, Option<DateTime>) {
    match body {
        Body::Content(content) => (content.as_str(), None),
        Body::Deleted { at } => ("", Some(to_bson(*at))),
    }
}

impl TryFrom<CommentDocument> for Placed {
    type Error = StorageError;

    fn try_from(document: CommentDocument) -> Result<Self, StorageError> {
        let comment = Comment {
            id: CommentId(id(&document.id)?),
            task: TaskId(id(&document.task_id)?),
            parent: document
                .parent_id
                .map(|parent| id(&parent).map(CommentId))
                .transpose()?,
            root: CommentId(id(&document.root_id)?),
            depth: document.depth.try_into().map_err(malformed)?,
            author: UserRef {
                id: id(&document.author.id)?,
                username: document.author.username,
            },
            body: match document.deleted_at {
                None => Body::Content(Content::stored(document.content)),
                Some(at) => Body::Deleted { at: from_bson(at)? },
            },
            reply_count: document.reply_count.try_into().map_err(malformed)?,
            created_at: from_bson(document.created_at)?,
            edited_at: document.edited_at.map(from_bson).transpose()?,
            revision: Revision(document.revision.try_into().map_err(malformed)?),
        };
        let position = Position {
            block: Block(id(&document.block)?),
            key: Key::stored(document.key),
        };
        Ok(Self { comment, position })
    }
}

impl OutlineDocument {
    pub(super) fn outline(self, block: Block) -> Result<Outline, StorageError> {
        Ok(Outline {
            id: CommentId(id(&self.id)?),
            depth: self.depth.try_into().map_err(malformed)?,
            reply_count: self.replies.try_into().map_err(malformed)?,
            position: Position {
                block,
                key: Key::stored(self.key),
            },
        })
    }
}

fn id(text: &str) -> Result<Uuid, StorageError> {
    Uuid::try_parse(text).map_err(malformed)
}

/// A number as it is stored.
pub(super) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A stored number of a reply.
pub(super) fn ordinal(stored: i64) -> Ordinal {
    Ordinal(stored.unsigned_abs())
}
