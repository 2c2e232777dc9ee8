//! The log in the SQLite file: its tables and the statements on them.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension as _};
use sha2::{Digest as _, Sha256};

use crate::{BusError, Outcome, Record, TopicSpec, publication::InOrder};
use slipway_sqlite::{StorageError, malformed};

pub(super) const MIGRATIONS: &[&str] = &["
    CREATE TABLE partitions (
        topic       TEXT    NOT NULL,
        partition   INTEGER NOT NULL,
        next_offset INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (topic, partition)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE records (
        topic        TEXT    NOT NULL,
        partition    INTEGER NOT NULL,
        offset       INTEGER NOT NULL,
        key          TEXT    NOT NULL,
        headers      TEXT    NOT NULL, -- JSON: [[name, value], ...]
        value        BLOB    NOT NULL,
        published_at INTEGER NOT NULL, -- ms since the epoch
        PRIMARY KEY (topic, partition, offset)
    ) STRICT;

    CREATE TABLE group_offsets (
        group_name  TEXT    NOT NULL,
        topic       TEXT    NOT NULL,
        partition   INTEGER NOT NULL,
        next_offset INTEGER NOT NULL,
        PRIMARY KEY (group_name, topic, partition)
    ) STRICT, WITHOUT ROWID;
"];

/// One partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Partition {
    pub(super) topic: String,
    pub(super) number: u32,
}

/// The next offset of each partition.
pub(super) type Heads = HashMap<Partition, u64>;

/// The names of all topics, sorted.
pub(super) fn topics(c: &Connection) -> Result<Vec<String>, StorageError> {
    // The primary key begins with `topic`.
    let mut query = c.prepare_cached("SELECT DISTINCT topic FROM partitions ORDER BY topic")?;
    let names = query.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

pub(super) fn create_topics(c: &Connection, topics: &[TopicSpec]) -> Result<(), BusError> {
    let run = || -> Result<Option<String>, rusqlite::Error> {
        for topic in topics {
            let exists = partition_count(c, &topic.name)?;
            if exists != 0 && exists != topic.partitions {
                return Ok(Some(format!(
                    "topic {} has {exists} partitions, not {}",
                    topic.name, topic.partitions
                )));
            }
            let mut insert = c.prepare_cached(
                "INSERT OR IGNORE INTO partitions (topic, partition) VALUES (?1, ?2)",
            )?;
            for number in 0..topic.partitions {
                insert.execute((&topic.name, number))?;
            }
        }
        Ok(None)
    };
    match run().map_err(StorageError::from)? {
        None => Ok(()),
        Some(refusal) => Err(BusError::Refused(refusal)),
    }
}

fn partition_count(c: &Connection, topic: &str) -> Result<u32, rusqlite::Error> {
    c.prepare_cached("SELECT count(*) FROM partitions WHERE topic = ?1")?
        .query_row([topic], |row| row.get(0))
}

fn unknown_topic(topic: &str) -> BusError {
    BusError::Refused(format!("there is no topic {topic}"))
}

/// Appends records in order; returns the outcome of each, and the next offset of each partition.
///
/// # Errors
/// If the file cannot be written: then nothing is appended.
pub(super) fn append(
    c: &Connection,
    records: &[Record],
    now: i64,
) -> Result<(Vec<Outcome>, BTreeMap<Partition, u64>), BusError> {
    let mut appending = Appending::default();
    let (mut order, mut outcomes) = (InOrder::default(), Vec::with_capacity(records.len()));
    for record in records {
        let outcome = order.put(record, || appending.append(c, record, now));
        if let Err(error) = &outcome
            && error.is_passing()
        {
            return Err(error.clone());
        }
        outcomes.push(outcome);
    }
    for (partition, end) in &appending.ends {
        c.prepare_cached(
            "UPDATE partitions SET next_offset = ?3 WHERE topic = ?1 AND partition = ?2",
        )
        .and_then(|mut update| update.execute((&partition.topic, partition.number, end)))
        .map_err(StorageError::from)?;
    }
    Ok((outcomes, appending.ends))
}

/// Cache of the partition counts and next offsets that one append needs.
#[derive(Default)]
struct Appending {
    partitions: HashMap<String, u32>,
    ends: BTreeMap<Partition, u64>,
}

impl Appending {
    fn append(&mut self, c: &Connection, record: &Record, now: i64) -> Result<(), BusError> {
        let partition = self.partition(c, record)?;
        let end = match self.ends.get_mut(&partition) {
            Some(end) => end,
            None => {
                let offset = next_offset(c, &partition).map_err(StorageError::from)?;
                self.ends.entry(partition.clone()).or_insert(offset)
            }
        };
        insert(c, record, &partition, *end, now).map_err(StorageError::from)?;
        *end += 1;
        Ok(())
    }

    fn partition(&mut self, c: &Connection, record: &Record) -> Result<Partition, BusError> {
        let count = match self.partitions.get(&record.topic) {
            Some(count) => *count,
            None => {
                let count = partition_count(c, &record.topic).map_err(StorageError::from)?;
                self.partitions.insert(record.topic.clone(), count);
                count
            }
        };
        if count == 0 {
            return Err(unknown_topic(&record.topic));
        }
        Ok(Partition {
            topic: record.topic.clone(),
            number: partition_of(&record.key, count),
        })
    }
}

/// The partition of a key. It must never change, or records of one key would be in two partitions.
fn partition_of(key: &str, partitions: u32) -> u32 {
    let digest = Sha256::digest(key.as_bytes());
    let [a, b, c, d, ..] = digest.as_slice() else {
        return 0;
    };
    u32::from_be_bytes([*a, *b, *c, *d]) % partitions
}

fn next_offset(c: &Connection, partition: &Partition) -> Result<u64, rusqlite::Error> {
    c.prepare_cached("SELECT next_offset FROM partitions WHERE topic = ?1 AND partition = ?2")?
        .query_row((&partition.topic, partition.number), |row| row.get(0))
}

fn insert(
    c: &Connection,
    record: &Record,
    partition: &Partition,
    offset: u64,
    now: i64,
) -> Result<(), rusqlite::Error> {
    let headers = serde_json::to_string(&record.headers)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    c.prepare_cached(
        "INSERT INTO records (topic, partition, offset, key, headers, value, published_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute((
        &partition.topic,
        partition.number,
        offset,
        &record.key,
        headers,
        record.value.as_ref(),
        now,
    ))?;
    Ok(())
}

/// The partitions of topics, all of which must exist.
pub(super) fn partitions(c: &Connection, topics: &[String]) -> Result<Vec<Partition>, BusError> {
    let mut all = Vec::new();
    for topic in topics {
        let count = partition_count(c, topic).map_err(StorageError::from)?;
        if count == 0 {
            return Err(unknown_topic(topic));
        }
        all.extend((0..count).map(|number| Partition {
            topic: topic.clone(),
            number,
        }));
    }
    Ok(all)
}

pub(super) fn heads(c: &Connection, topics: &[String]) -> Result<Heads, StorageError> {
    let mut heads = Heads::new();
    for topic in topics {
        let mut query =
            c.prepare_cached("SELECT partition, next_offset FROM partitions WHERE topic = ?1")?;
        let mut rows = query.query([topic])?;
        while let Some(row) = rows.next()? {
            let partition = Partition {
                topic: topic.clone(),
                number: row.get(0)?,
            };
            heads.insert(partition, row.get(1)?);
        }
    }
    Ok(heads)
}

/// At most `max` records of one partition, starting at `offset`, with their offsets.
pub(super) fn read(
    c: &Connection,
    partition: &Partition,
    offset: u64,
    max: usize,
) -> Result<Vec<(u64, Record)>, StorageError> {
    let mut query = c.prepare_cached(
        "SELECT offset, key, headers, value FROM records
         WHERE topic = ?1 AND partition = ?2 AND offset >= ?3 ORDER BY offset LIMIT ?4",
    )?;
    let rows = query.query_map((&partition.topic, partition.number, offset, max), |row| {
        let headers: String = row.get(2)?;
        let value: Vec<u8> = row.get(3)?;
        let record = Record {
            topic: partition.topic.clone(),
            key: row.get(1)?,
            headers: serde_json::from_str(&headers).map_err(malformed)?,
            value: value.into(),
        };
        Ok((row.get(0)?, record))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The offset at which a group continues in a partition.
pub(super) fn committed(
    c: &Connection,
    group: &str,
    partition: &Partition,
) -> Result<u64, StorageError> {
    let offset = c
        .prepare_cached(
            "SELECT next_offset FROM group_offsets
             WHERE group_name = ?1 AND topic = ?2 AND partition = ?3",
        )?
        .query_row((group, &partition.topic, partition.number), |row| {
            row.get(0)
        })
        .optional()?;
    Ok(offset.unwrap_or(0))
}

pub(super) fn commit(
    c: &Connection,
    group: &str,
    offsets: &BTreeMap<Partition, u64>,
) -> Result<(), StorageError> {
    let mut upsert = c.prepare_cached(
        "INSERT INTO group_offsets (group_name, topic, partition, next_offset)
         VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET next_offset = max(next_offset, excluded.next_offset)",
    )?;
    for (partition, next) in offsets {
        upsert.execute((group, &partition.topic, partition.number, next))?;
    }
    Ok(())
}

/// How many retained records of a topic a group has not committed yet.
pub(super) fn lag(c: &Connection, group: &str, topic: &str) -> Result<u64, StorageError> {
    let mut lag = c.prepare_cached(
        "SELECT coalesce(sum(p.next_offset - coalesce(
             o.next_offset,
             (SELECT min(r.offset) FROM records r
              WHERE r.topic = p.topic AND r.partition = p.partition),
             p.next_offset)), 0)
         FROM partitions p LEFT JOIN group_offsets o
           ON o.group_name = ?1 AND o.topic = p.topic AND o.partition = p.partition
         WHERE p.topic = ?2",
    )?;
    Ok(lag.query_row([group, topic], |row| row.get(0))?)
}

/// Deletes the records published before `before` that every group of their topic has consumed.
pub(super) fn prune(c: &Connection, before: i64) -> Result<usize, StorageError> {
    Ok(c.execute(
        "DELETE FROM records WHERE published_at < ?1 AND offset < coalesce(
             (SELECT min(coalesce(o.next_offset, 0))
              FROM (SELECT DISTINCT group_name, topic FROM group_offsets) g
              LEFT JOIN group_offsets o
                ON o.group_name = g.group_name AND o.topic = g.topic
               AND o.partition = records.partition
              WHERE g.topic = records.topic),
             offset + 1)",
        [before],
    )?)
}
