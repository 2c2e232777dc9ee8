//! Writing: one document with its entries, events and receipt, in one transaction.

use crate::{
    outbox::sqlite as outbox,
    receipts::{Receipt, sqlite as receipts},
};
use rusqlite::{Connection, params};
use slipway_bus::Record;
use slipway_sqlite::{Database, StorageError};
use uuid::Uuid;

use super::tables::of_index;
use crate::{
    StoreError,
    document::{Changed, Collection, Entries, ListEntry},
    write::{Change, New, Refusal, Write},
};

/// A write with its document as JSON: nothing of it belongs to the caller any more, and
/// nothing is left to the writer's thread but to write.
pub(super) struct Encoded {
    of: Collection,
    id: String,
    change: EncodedChange,
    entries: Changed,
    outbox: Vec<(Uuid, Record)>,
    aggregate: Option<String>,
    receipt: Option<Receipt>,
}

enum EncodedChange {
    Insert(EncodedNew),
    Replace(u64, EncodedNew),
    Delete(u64),
}

struct EncodedNew {
    revision: u64,
    body: String,
    summary: String,
    /// Its entries in lists that hold summaries.
    summarised: Vec<ListEntry>,
}

impl EncodedNew {
    fn of(new: &New<'_>, collection: Collection) -> Result<Self, StoreError> {
        let has_summaries = |entry: &&ListEntry| {
            let mut indexes = collection.indexes.iter();
            indexes.any(|index| index.has_summaries && index.name == entry.index)
        };
        Ok(Self {
            revision: new.revision,
            body: new.body.json()?,
            summary: new.summary.json()?,
            summarised: new
                .entries
                .lists
                .iter()
                .filter(has_summaries)
                .cloned()
                .collect(),
        })
    }
}

impl TryFrom<Write<'_>> for Encoded {
    type Error = StoreError;

    fn try_from(write: Write<'_>) -> Result<Self, StoreError> {
        let nothing = Entries::default();
        let (change, before, after) = match &write.change {
            Change::Insert(new) => {
                let change = EncodedChange::Insert(EncodedNew::of(new, write.collection)?);
                (change, &nothing, &new.entries)
            }
            Change::Replace(revision, before, new) => {
                let change =
                    EncodedChange::Replace(*revision, EncodedNew::of(new, write.collection)?);
                (change, before, &new.entries)
            }
            Change::Delete(revision, before) => {
                (EncodedChange::Delete(*revision), before, &nothing)
            }
        };
        Ok(Self {
            of: write.collection,
            id: write.id,
            entries: Changed::between(before, after),
            change,
            outbox: write.outbox,
            aggregate: write.aggregate,
            receipt: write.receipt,
        })
    }
}

/// Why a write left no trace.
enum Refused {
    ByRule(Refusal),
    ByStorage(StorageError),
}

impl From<StorageError> for Refused {
    fn from(error: StorageError) -> Self {
        Self::ByStorage(error)
    }
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        Self::ByStorage(error.into())
    }
}

pub(super) async fn carry_out(
    db: &Database,
    writes: Vec<Encoded>,
) -> Result<Vec<Result<(), Refusal>>, StoreError> {
    let outcomes = db.write(move |c| -> Result<_, StorageError> {
        let outcomes = writes.iter().map(|write| alone(c, write));
        outcomes.collect::<Result<Vec<_>, _>>()
    });
    Ok(outcomes.await?)
}

/// Up to the first that is refused: how many, and why the next one is.
pub(super) async fn in_order(
    db: &Database,
    writes: Vec<Encoded>,
) -> Result<(usize, Option<Refusal>), StoreError> {
    let done = db.write(move |c| -> Result<_, StorageError> {
        for (done, write) in writes.iter().enumerate() {
            if let Err(refusal) = alone(c, write)? {
                return Ok((done, Some(refusal)));
            }
        }
        Ok((writes.len(), None))
    });
    Ok(done.await?)
}

/// Carries out one write so that it leaves no trace when it is refused.
fn alone(c: &Connection, write: &Encoded) -> Result<Result<(), Refusal>, StorageError> {
    let run = |sql| -> Result<(), StorageError> {
        c.prepare_cached(sql)?.execute([])?;
        Ok(())
    };
    run("SAVEPOINT document")?;
    let outcome = match apply(c, write) {
        Ok(()) => Ok(()),
        Err(Refused::ByRule(refusal)) => {
            run("ROLLBACK TO document")?;
            Err(refusal)
        }
        Err(Refused::ByStorage(error)) => return Err(error),
    };
    run("RELEASE document")?;
    Ok(outcome)
}

fn apply(c: &Connection, write: &Encoded) -> Result<(), Refused> {
    if let Some(receipt) = &write.receipt
        && !receipts::insert(c, receipt)?
    {
        return Err(Refused::ByRule(Refusal::Receipt));
    }
    match &write.change {
        EncodedChange::Insert(new) => insert(c, write, new)?,
        EncodedChange::Replace(revision, new) => replace(c, write, *revision, new)?,
        EncodedChange::Delete(revision) => delete(c, write, *revision)?,
    }
    change_entries(c, write)?;
    if let EncodedChange::Insert(new) | EncodedChange::Replace(_, new) = &write.change {
        put_summaries(c, write, new)?;
    }
    if let Some(aggregate) = &write.aggregate {
        for (id, record) in &write.outbox {
            outbox::append_to(c, aggregate, *id, record)?;
        }
    }
    Ok(())
}

fn insert(c: &Connection, write: &Encoded, new: &EncodedNew) -> Result<(), Refused> {
    let sql = format!(
        "INSERT INTO {} (id, revision, schema, body, summary) VALUES (?1, ?2, ?3, ?4, ?5)",
        write.of.name
    );
    c.prepare_cached(&sql)?
        .execute(params![
            write.id,
            new.revision,
            write.of.schema,
            new.body,
            new.summary
        ])
        .map_err(|error| taken(error, None))?;
    Ok(())
}

fn replace(c: &Connection, write: &Encoded, seen: u64, new: &EncodedNew) -> Result<(), Refused> {
    let sql = format!(
        "UPDATE {} SET revision = ?3, schema = ?4, body = ?5, summary = ?6
         WHERE id = ?1 AND revision = ?2",
        write.of.name
    );
    let changed = c.prepare_cached(&sql)?.execute(params![
        write.id,
        seen,
        new.revision,
        write.of.schema,
        new.body,
        new.summary
    ])?;
    at_revision(changed)
}

fn delete(c: &Connection, write: &Encoded, seen: u64) -> Result<(), Refused> {
    let sql = format!(
        "DELETE FROM {} WHERE id = ?1 AND revision = ?2",
        write.of.name
    );
    let changed = c.prepare_cached(&sql)?.execute(params![write.id, seen])?;
    at_revision(changed)
}

fn at_revision(changed: usize) -> Result<(), Refused> {
    match changed {
        0 => Err(Refused::ByRule(Refusal::Revision)),
        _ => Ok(()),
    }
}

/// A write that a unique index refused: that of the id, or this one.
fn taken(error: rusqlite::Error, index: Option<&'static str>) -> Refused {
    let error = StorageError::from(error);
    match error.unique_violation() {
        Some(_) => Refused::ByRule(Refusal::Taken(index)),
        None => error.into(),
    }
}

/// Removes the entries that the document has no more, and adds its new ones.
fn change_entries(c: &Connection, write: &Encoded) -> Result<(), Refused> {
    remove_entries(c, write, &write.entries.gone)?;
    add_entries(c, write, &write.entries.new)
}

fn remove_entries(c: &Connection, write: &Encoded, gone: &Entries) -> Result<(), StorageError> {
    for entry in &gone.unique {
        let table = of_index(write.of, entry.index);
        c.prepare_cached(&format!("DELETE FROM {table} WHERE k = ?1"))?
            .execute([&entry.key])?;
    }
    for entry in &gone.lists {
        let table = of_index(write.of, entry.index);
        let sql = format!("DELETE FROM {table} WHERE k = ?1 AND o = ?2 AND id = ?3");
        c.prepare_cached(&sql)?
            .execute([&entry.key, &entry.order, &write.id])?;
    }
    for entry in &gone.views {
        let table = of_index(write.of, entry.index);
        c.prepare_cached(&format!("DELETE FROM {table} WHERE k = ?1 AND id = ?2"))?
            .execute([&entry.key, &write.id])?;
    }
    Ok(())
}

fn add_entries(c: &Connection, write: &Encoded, new: &Entries) -> Result<(), Refused> {
    for entry in &new.unique {
        let table = of_index(write.of, entry.index);
        c.prepare_cached(&format!("INSERT INTO {table} (k, id) VALUES (?1, ?2)"))?
            .execute([&entry.key, &write.id])
            .map_err(|error| taken(error, Some(entry.index)))?;
    }
    for entry in &new.lists {
        let table = of_index(write.of, entry.index);
        let sql = format!("INSERT OR IGNORE INTO {table} (k, o, id) VALUES (?1, ?2, ?3)");
        c.prepare_cached(&sql)?
            .execute([&entry.key, &entry.order, &write.id])?;
    }
    for entry in &new.views {
        let table = of_index(write.of, entry.index);
        let sql = format!(
            "INSERT INTO {table} (k, id, schema, v) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (k, id) DO UPDATE SET schema = excluded.schema, v = excluded.v"
        );
        let row = params![entry.key, write.id, write.of.schema, entry.value];
        c.prepare_cached(&sql)?.execute(row)?;
    }
    Ok(())
}

/// Writes the summary into the document's entries in lists that hold summaries.
fn put_summaries(c: &Connection, write: &Encoded, new: &EncodedNew) -> Result<(), StorageError> {
    for entry in &new.summarised {
        let sql = format!(
            "UPDATE {} SET schema = ?4, summary = ?5 WHERE k = ?1 AND o = ?2 AND id = ?3",
            of_index(write.of, entry.index)
        );
        let (id, schema) = (&write.id, write.of.schema);
        let row = params![entry.key, entry.order, id, schema, new.summary];
        c.prepare_cached(&sql)?.execute(row)?;
    }
    Ok(())
}
