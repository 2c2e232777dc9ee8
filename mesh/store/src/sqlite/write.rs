//! Writing: one document with its entries, events and receipt, in one transaction.

use crate::{
    outbox::sqlite as outbox,
    receipts::{Receipt, sqlite as receipts},
};
use rusqlite::{Connection, OptionalExtension as _, params};
use slipway_bus::Record;
use slipway_sqlite::{Database, StorageError};
use uuid::Uuid;

use super::tables::of_index;
use crate::{
    StoreError,
    document::{Changed, Collection, Entries, ListEntry},
    write::{Change, New, Refusal, Write},
};

/// A write with its document encoded as JSON. It has no references to the caller's data, and leaves
/// nothing but the writing to the writer's thread.
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

impl EncodedChange {
    /// The revision that the stored document must have.
    fn seen(&self) -> Option<u64> {
        match self {
            Self::Insert(_) => None,
            Self::Replace(seen, _) | Self::Delete(seen) => Some(*seen),
        }
    }

    /// The refusal if it has another revision.
    fn refused(&self) -> Refusal {
        match self {
            Self::Insert(_) => Refusal::Taken(None),
            Self::Replace(..) | Self::Delete(_) => Refusal::Revision,
        }
    }
}

struct EncodedNew {
    revision: u64,
    body: String,
    summary: String,
    /// Its entries in lists that contain summaries.
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

pub(super) async fn carry_out(
    db: &Database,
    writes: Vec<Encoded>,
) -> Result<Vec<Result<(), Refusal>>, StoreError> {
    let outcomes = db.write(move |c| -> Result<_, StorageError> {
        let outcomes = writes.iter().map(|write| apply(c, write));
        outcomes.collect::<Result<Vec<_>, _>>()
    });
    Ok(outcomes.await?)
}

/// Executes writes up to the first that is refused; returns how many, and why the next one was
/// refused.
pub(super) async fn in_order(
    db: &Database,
    writes: Vec<Encoded>,
) -> Result<(usize, Option<Refusal>), StoreError> {
    let done = db.write(move |c| -> Result<_, StorageError> {
        for (done, write) in writes.iter().enumerate() {
            if let Err(refusal) = apply(c, write)? {
                return Ok((done, Some(refusal)));
            }
        }
        Ok((writes.len(), None))
    });
    Ok(done.await?)
}

/// Executes one write. Everything that may refuse it is checked before anything is written, so that
/// a refused write leaves no trace without its own savepoint: SQLite copies each page that is
/// changed after a savepoint.
fn apply(c: &Connection, write: &Encoded) -> Result<Result<(), Refusal>, StorageError> {
    if let Some(refusal) = refusal(c, write)? {
        return Ok(Err(refusal));
    }
    let changed = match &write.change {
        EncodedChange::Insert(new) => insert(c, write, new)?,
        EncodedChange::Replace(revision, new) => replace(c, write, *revision, new)?,
        EncodedChange::Delete(revision) => delete(c, write, *revision)?,
    };
    if changed == 0 {
        return Ok(Err(write.change.refused()));
    }
    remove_entries(c, write, &write.entries.gone)?;
    add_entries(c, write, &write.entries.new)?;
    if let EncodedChange::Insert(new) | EncodedChange::Replace(_, new) = &write.change {
        put_summaries(c, write, new)?;
    }
    if let Some(aggregate) = &write.aggregate {
        for (id, record) in &write.outbox {
            outbox::append_to(c, aggregate, *id, record)?;
        }
    }
    if let Some(receipt) = &write.receipt {
        receipts::insert(c, receipt)?;
    }
    Ok(Ok(()))
}

/// Why a write must be refused, apart from the state of the document itself.
fn refusal(c: &Connection, write: &Encoded) -> Result<Option<Refusal>, StorageError> {
    if let Some(receipt) = &write.receipt
        && receipts::is_known(c, receipt)?
    {
        return Ok(Some(Refusal::Receipt));
    }
    for entry in &write.entries.new.unique {
        let table = of_index(write.of, entry.index);
        let sql = format!("SELECT 1 FROM {table} WHERE k = ?1");
        if c.prepare_cached(&sql)?.exists([&entry.key])? {
            return Ok(Some(match is_as_expected(c, write)? {
                true => Refusal::Taken(Some(entry.index)),
                false => write.change.refused(),
            }));
        }
    }
    Ok(None)
}

/// Whether the document is in the expected state: at the revision that is changed, or absent.
fn is_as_expected(c: &Connection, write: &Encoded) -> Result<bool, StorageError> {
    let sql = format!("SELECT revision FROM {} WHERE id = ?1", write.of.name);
    let found: Option<u64> = c
        .prepare_cached(&sql)?
        .query_row([&write.id], |row| row.get(0))
        .optional()?;
    Ok(found == write.change.seen())
}

fn insert(c: &Connection, write: &Encoded, new: &EncodedNew) -> Result<usize, StorageError> {
    let sql = format!(
        "INSERT INTO {} (id, revision, schema, body, summary) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO NOTHING",
        write.of.name
    );
    let (id, schema) = (&write.id, write.of.schema);
    let row = params![id, new.revision, schema, new.body, new.summary];
    Ok(c.prepare_cached(&sql)?.execute(row)?)
}

fn replace(
    c: &Connection,
    write: &Encoded,
    seen: u64,
    new: &EncodedNew,
) -> Result<usize, StorageError> {
    let sql = format!(
        "UPDATE {} SET revision = ?3, schema = ?4, body = ?5, summary = ?6
         WHERE id = ?1 AND revision = ?2",
        write.of.name
    );
    let (id, schema) = (&write.id, write.of.schema);
    let row = params![id, seen, new.revision, schema, new.body, new.summary];
    Ok(c.prepare_cached(&sql)?.execute(row)?)
}

fn delete(c: &Connection, write: &Encoded, seen: u64) -> Result<usize, StorageError> {
    let sql = format!(
        "DELETE FROM {} WHERE id = ?1 AND revision = ?2",
        write.of.name
    );
    Ok(c.prepare_cached(&sql)?.execute(params![write.id, seen])?)
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

fn add_entries(c: &Connection, write: &Encoded, new: &Entries) -> Result<(), StorageError> {
    for entry in &new.unique {
        let table = of_index(write.of, entry.index);
        c.prepare_cached(&format!("INSERT INTO {table} (k, id) VALUES (?1, ?2)"))?
            .execute([&entry.key, &write.id])?;
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

/// Writes the summary into the document's entries in lists that contain summaries.
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
