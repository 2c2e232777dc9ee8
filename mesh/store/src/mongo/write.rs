//! Writing: each write is one change of one MongoDB document.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    outbox::mongo::Entry,
    receipts::{Receipt, mongo as receipts},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use mongodb::{
    Collection as Stored,
    bson::{Bson, Document as Fields, doc, serialize_to_bson},
};
use slipway_mongo::{Database, StorageError, bounded};

use super::indexes::{self, RECEIPT};
use crate::{
    StoreError,
    document::{BY_ID, Collection, Entries},
    write::{Change, New, Refusal, Write},
};

/// Writes of one call that run concurrently.
const AT_ONCE: usize = 16;

/// Maximum documents per insert: this many stay well within the timeout of an operation.
const INSERTED_AT_ONCE: usize = 500;

/// A write in the form that MongoDB needs, without references to the caller's data.
struct Prepared {
    of: Collection,
    command: Command,
    /// Matches the document at the revision that is changed or deleted.
    place: Fields,
    receipt: Option<Receipt>,
}

impl TryFrom<Write<'_>> for Prepared {
    type Error = StoreError;

    fn try_from(write: Write<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            of: write.collection,
            command: Command::of(&write)?,
            place: match &write.change {
                Change::Insert(_) => Fields::new(),
                Change::Replace(seen, ..) | Change::Delete(seen, _) => at(&write, *seen)?,
            },
            receipt: write.receipt,
        })
    }
}

pub(super) async fn carry_out(
    database: &Database,
    writes: Vec<Write<'_>>,
) -> Result<Vec<Result<(), Refusal>>, StoreError> {
    let prepared = prepared(writes)?.into_iter();
    let outcomes = prepared.map(|write| one(database, write));
    stream::iter(outcomes).buffered(AT_ONCE).try_collect().await
}

/// Executes writes up to the first that is refused; returns how many, and why the next one was
/// refused.
pub(super) async fn in_order(
    database: &Database,
    writes: Vec<Write<'_>>,
) -> Result<(usize, Option<Refusal>), StoreError> {
    let mut waiting = VecDeque::from(prepared(writes)?);
    let all = waiting.len();
    while let Some(first) = waiting.front() {
        let stored = database.collection::<Fields>(first.of.name);
        let inserts = inserts(&waiting);
        let count = inserts.len();
        if count > 1 {
            let insert = stored.insert_many(inserts).ordered(true);
            let done = match bounded(insert.into_future()).await {
                Ok(_) => count,
                Err(error) => error.inserted_before_refusal().ok_or(error)?,
            };
            waiting.drain(..done);
            if done == count {
                continue;
            }
        }
        // Executed alone, it returns its refusal, or succeeds if it only conflicted with another
        // write.
        let Some(next) = waiting.pop_front() else {
            break;
        };
        if let Err(refusal) = one(database, next).await? {
            return Ok((all - waiting.len() - 1, Some(refusal)));
        }
    }
    Ok((all, None))
}

fn prepared(writes: Vec<Write<'_>>) -> Result<Vec<Prepared>, StoreError> {
    writes.into_iter().map(Prepared::try_from).collect()
}

/// The longest run of new documents at the beginning that one command can insert.
fn inserts(waiting: &VecDeque<Prepared>) -> Vec<&Fields> {
    let collection = waiting.front().map(|first| first.of.name);
    let inserts = waiting.iter().map_while(|write| match &write.command {
        Command::Insert(document) if Some(write.of.name) == collection => {
            write.receipt.is_none().then_some(document)
        }
        _ => None,
    });
    inserts.take(INSERTED_AT_ONCE).collect()
}

async fn one(database: &Database, write: Prepared) -> Result<Result<(), Refusal>, StoreError> {
    let stored = database.collection::<Fields>(write.of.name);
    loop {
        let refused = match write.command.run(&stored).await {
            Ok(true) => return Ok(Ok(())),
            Ok(false) => None,
            Err(error) if error.gave_way() => continue,
            Err(error) => Some(refusal(write.of, error)?),
        };
        if matches!(write.command, Command::Delete(_)) {
            return Ok(Err(not_deleted(&stored, write.place).await?));
        }
        // A receipt has priority over other refusals of a repeated request.
        if let Some(receipt) = &write.receipt {
            // A unique index does not know that a receipt has expired.
            if receipts::make_room(&stored, receipt).await? {
                continue;
            }
            if refused == Some(Refusal::Receipt) || is_known(&stored, receipt).await? {
                return Ok(Err(Refusal::Receipt));
            }
        }
        return Ok(Err(refused.unwrap_or(Refusal::Revision)));
    }
}

/// The refusal behind an error: a unique index, or the maximum size of a document.
fn refusal(of: Collection, error: StorageError) -> Result<Refusal, StoreError> {
    if error.is_too_large() {
        return Ok(Refusal::Unpublished);
    }
    let Some(name) = error.duplicate_key() else {
        return Err(error.into());
    };
    if name == RECEIPT {
        return Ok(Refusal::Receipt);
    }
    if name == BY_ID.name {
        return Ok(Refusal::Taken(None));
    }
    let index = of.indexes.iter().find(|index| index.name == name);
    match index {
        Some(index) => Ok(Refusal::Taken(Some(index.name))),
        None => Err(error.into()),
    }
}

/// Why a document was not deleted.
async fn not_deleted(stored: &Stored<Fields>, place: Fields) -> Result<Refusal, StorageError> {
    let find = stored.find_one(place).projection(doc! { "_id": 1 });
    Ok(match bounded(find.into_future()).await? {
        Some(_) => Refusal::Unpublished,
        None => Refusal::Revision,
    })
}

async fn is_known(stored: &Stored<Fields>, receipt: &Receipt) -> Result<bool, StorageError> {
    let find = stored
        .find_one(doc! { "receipts.key": { "$eq": &receipt.key.0, "$exists": true } })
        .projection(doc! { "_id": 1 });
    Ok(bounded(find.into_future()).await?.is_some())
}

/// The MongoDB command of a write.
enum Command {
    Insert(Fields),
    /// The filter, and the change.
    Update(Fields, Fields),
    Delete(Fields),
}

impl Command {
    fn of(write: &Write<'_>) -> Result<Self, StoreError> {
        let mut outbox = Vec::new();
        for (id, record) in &write.outbox {
            outbox.push(bson(&Entry::new(*id, record.clone()))?);
        }
        let mut kept = Vec::new();
        if let Some(receipt) = &write.receipt {
            kept.push(bson(&receipts::ReceiptDocument::from(receipt))?);
        }
        match &write.change {
            Change::Insert(new) => {
                let mut document = doc! { "_id": &write.id };
                document.extend(fields(write, new)?);
                if !outbox.is_empty() {
                    document.insert("outbox", outbox);
                }
                if !kept.is_empty() {
                    document.insert("receipts", kept);
                }
                Ok(Self::Insert(document))
            }
            Change::Replace(revision, _, new) => {
                let mut guard = at(write, *revision)?;
                if let Some(receipt) = &write.receipt {
                    // A unique index does not detect a key that occurs twice in one document.
                    guard.insert("receipts.key", doc! { "$ne": &receipt.key.0 });
                }
                let mut set = fields(write, new)?;
                let mut change = Fields::new();
                let mut push = Fields::new();
                if !outbox.is_empty() {
                    push.insert("outbox", doc! { "$each": outbox });
                }
                if !kept.is_empty() {
                    push.insert("receipts", doc! { "$each": kept });
                }
                let mut unset = Fields::new();
                for field in ["u", "l", "v"] {
                    if set.get_document(field).is_ok_and(Fields::is_empty) {
                        set.remove(field);
                        unset.insert(field, "");
                    }
                }
                change.insert("$set", set);
                for (operator, of) in [("$push", push), ("$unset", unset)] {
                    if !of.is_empty() {
                        change.insert(operator, of);
                    }
                }
                Ok(Self::Update(guard, change))
            }
            Change::Delete(revision, _) => {
                let mut guard = at(write, *revision)?;
                if write.collection.has_events {
                    guard.insert("outbox.0", doc! { "$exists": false });
                }
                Ok(Self::Delete(guard))
            }
        }
    }

    /// Runs the command; returns whether a document matched the guard.
    async fn run(&self, stored: &Stored<Fields>) -> Result<bool, StorageError> {
        match self {
            Self::Insert(document) => {
                bounded(stored.insert_one(document).into_future()).await?;
                Ok(true)
            }
            Self::Update(guard, change) => {
                let update = stored.update_one(guard.clone(), change.clone());
                Ok(bounded(update.into_future()).await?.matched_count == 1)
            }
            Self::Delete(guard) => {
                let delete = stored.delete_one(guard.clone());
                Ok(bounded(delete.into_future()).await?.deleted_count == 1)
            }
        }
    }
}

/// Matches the document at this revision.
fn at(write: &Write<'_>, revision: u64) -> Result<Fields, StoreError> {
    Ok(doc! { "_id": &write.id, "revision": number(revision)? })
}

/// All fields of a document except its id.
fn fields(write: &Write<'_>, new: &New<'_>) -> Result<Fields, StoreError> {
    // Fields that are searched and sorted by come first: some servers scan each document for them.
    let mut fields = entries(&new.entries);
    fields.extend(doc! {
        "revision": number(new.revision)?,
        "schema": i32::try_from(write.collection.schema).map_err(unstorable)?,
        "body": new.body.bson()?,
        "summary": new.summary.bson()?,
    });
    if let Some(aggregate) = &write.aggregate {
        fields.insert("aggregate", aggregate);
    }
    Ok(fields)
}

/// The fields that the indexes are on.
fn entries(entries: &Entries) -> Fields {
    let mut unique: BTreeMap<&str, Vec<Bson>> = BTreeMap::new();
    for entry in &entries.unique {
        let keys = unique.entry(entry.index).or_default();
        keys.push(Bson::from(&entry.key));
    }
    let mut lists: BTreeMap<&str, (&str, Vec<Bson>)> = BTreeMap::new();
    for entry in &entries.lists {
        let (order, keys) = lists
            .entry(entry.index)
            .or_insert((&entry.order, Vec::new()));
        debug_assert_eq!(*order, entry.order, "a document has one place in a list");
        keys.push(Bson::from(&entry.key));
    }
    let mut views: BTreeMap<&str, Fields> = BTreeMap::new();
    for entry in &entries.views {
        let values = views.entry(entry.index).or_default();
        values.insert(indexes::value(&entry.key), &entry.value);
    }
    let lists = lists
        .into_iter()
        .map(|(index, (order, keys))| (index, doc! { "o": order, "k": keys }));
    doc! { "u": fields_of(unique), "l": fields_of(lists), "v": fields_of(views) }
}

fn fields_of<'a>(indexes: impl IntoIterator<Item = (&'a str, impl Into<Bson>)>) -> Fields {
    let indexes = indexes.into_iter();
    indexes
        .map(|(index, held)| (index.to_owned(), held.into()))
        .collect()
}

fn number(revision: u64) -> Result<i64, StoreError> {
    i64::try_from(revision).map_err(unstorable)
}

fn bson(value: &impl serde::Serialize) -> Result<Bson, StoreError> {
    serialize_to_bson(value).map_err(unstorable)
}

fn unstorable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unstorable(error.to_string())
}
