//! Dead letters in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter, types::Value};
use slipway_mesh::{
    bus::{
        Record,
        consumer::{Attempt, DeadLetter},
    },
    outbox,
    page::Page,
    store::sqlite::{Database, StorageError, from_column, malformed, to_column},
};
use uuid::Uuid;

use super::{DeadLetterStore, identity};
use crate::{
    dead_letter::{Act, DeadLetterId, Filed, Filter, State, Summary},
    store::{EXAMINED, PAGE_WEIGHT, StoreError},
};

/// Its tables.
pub(crate) const SCHEMA: &str = "
    CREATE TABLE dead_letters (
        id            TEXT    NOT NULL PRIMARY KEY,
        identity      BLOB    NOT NULL UNIQUE,
        received_at   INTEGER NOT NULL, -- ms since the epoch
        consumer      TEXT    NOT NULL, -- the group
        topic         TEXT    NOT NULL,
        partition     INTEGER NOT NULL,
        offset        INTEGER NOT NULL,
        event_id      TEXT,
        event_type    TEXT,
        subject       TEXT,
        key           TEXT    NOT NULL,
        cause         TEXT    NOT NULL,
        reason        TEXT    NOT NULL,
        attempts      INTEGER NOT NULL,
        first_failure INTEGER,          -- ms since the epoch
        replay_of     TEXT,
        state         TEXT    NOT NULL,
        acts          TEXT    NOT NULL, -- JSON: [act, ...]
        headers       TEXT    NOT NULL, -- JSON: [[name, value], ...]
        history       TEXT    NOT NULL, -- JSON: [attempt, ...]
        payload       BLOB    NOT NULL
    ) STRICT;

    CREATE INDEX dead_letters_by_consumer ON dead_letters (consumer, id);
    CREATE INDEX dead_letters_by_type ON dead_letters (event_type, id);
    CREATE INDEX dead_letters_by_cause ON dead_letters (cause, id);
    CREATE INDEX dead_letters_by_state ON dead_letters (state, id);
    CREATE INDEX dead_letters_by_origin ON dead_letters (replay_of) WHERE replay_of IS NOT NULL;
";

/// What a summary is read from, in this order.
const SUMMARY: &str = "id, received_at, consumer, topic, event_id, event_type, subject, key,
    cause, reason, attempts, first_failure, replay_of, state";

/// The SQLite backend.
#[derive(Clone)]
pub(crate) struct SqliteDeadLetterStore {
    db: Database,
}

impl SqliteDeadLetterStore {
    /// The desk in `db`.
    pub(crate) fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl DeadLetterStore for SqliteDeadLetterStore {
    async fn file(&self, letters: Vec<Filed>) -> Result<usize, StoreError> {
        let file = self.db.write(move |c| {
            let mut new = 0;
            for letter in &letters {
                new += insert(c, letter)?;
            }
            Ok::<_, StorageError>(new)
        });
        Ok(file.await?)
    }

    async fn list(
        &self,
        filter: &Filter,
        after: Option<DeadLetterId>,
        limit: u32,
    ) -> Result<Page<Summary, DeadLetterId>, StoreError> {
        let filter = filter.clone();
        let read = self.db.read(move |c| page(c, &filter, after, limit));
        Ok(read.await?)
    }

    async fn get(&self, id: DeadLetterId) -> Result<Option<Filed>, StoreError> {
        Ok(self.db.read(move |c| get(c, id)).await?)
    }

    async fn replay(&self, id: DeadLetterId, act: Act, record: Record) -> Result<bool, StoreError> {
        let replay = self.db.write(move |c| {
            let replayed = c
                .prepare_cached(
                    "UPDATE dead_letters SET state = ?2, acts = json_insert(acts, '$[#]', json(?3))
                     WHERE id = ?1 AND state = ?4",
                )?
                .execute(params![
                    id.to_string(),
                    State::Replayed.as_str(),
                    to_json(&act)?,
                    State::Waiting.as_str(),
                ])?;
            if replayed == 1 {
                outbox::sqlite::append_record(c, id.0, Uuid::now_v7(), &record)?;
            }
            Ok::<_, StorageError>(replayed == 1)
        });
        Ok(replay.await?)
    }
}

/// How many were not there before: 0 or 1.
fn insert(c: &Connection, filed: &Filed) -> Result<usize, StorageError> {
    let (summary, letter) = (filed.summary(), &filed.letter);
    let inserted = c
        .prepare_cached(&format!(
            "INSERT INTO dead_letters ({SUMMARY}, identity, partition, offset, acts, headers,
                 history, payload)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
                 ?18, ?19, ?20, ?21)
             ON CONFLICT (identity) DO NOTHING"
        ))?
        .execute(params![
            summary.id.to_string(),
            to_column(summary.received_at),
            summary.group,
            summary.topic,
            summary.event_id,
            summary.event_type,
            summary.subject,
            summary.key,
            summary.cause,
            summary.reason,
            summary.attempts,
            summary.first_failure.map(to_column),
            summary.replay_of.map(|id| id.to_string()),
            summary.state.as_str(),
            identity(letter),
            letter.partition,
            // Offsets of a broker are 63 bits long.
            i64::try_from(letter.offset).unwrap_or(i64::MAX),
            to_json(&filed.acts)?,
            to_json(&letter.record.headers)?,
            to_json(&letter.history)?,
            letter.record.value.as_ref(),
        ])?;
    Ok(inserted)
}

/// The most selective condition chooses the index; all are checked on what it yields, row
/// by row until the page is full, so that a page reads a bounded number of rows.
fn page(
    c: &Connection,
    filter: &Filter,
    after: Option<DeadLetterId>,
    limit: u32,
) -> Result<Page<Summary, DeadLetterId>, StorageError> {
    let (sql, params) = candidates(filter, after);
    let mut query = c.prepare_cached(&sql)?;
    let mut rows = query.query(params_from_iter(params))?;
    let mut page = Page {
        items: Vec::new(),
        next: None,
    };
    let (mut examined, mut weight, mut last) = (0, 0, None);
    while let Some(row) = rows.next()? {
        if examined == EXAMINED {
            page.next = last;
            break;
        }
        examined += 1;
        let found = summary(row)?;
        let id = found.id;
        if filter.admits(&found) {
            if page.items.len() == limit as usize || weight > PAGE_WEIGHT {
                page.next = last;
                break;
            }
            weight += found.weight();
            page.items.push(found);
        }
        last = Some(id);
    }
    Ok(page)
}

/// The statement that yields the dead letters that may stand on a list behind `after`.
fn candidates(filter: &Filter, after: Option<DeadLetterId>) -> (String, Vec<Value>) {
    let (least, end) = filter.range(after);
    let mut params = vec![least.to_string().into(), end.to_string().into()];
    let indexed = [
        ("event_type", filter.event_type.as_deref()),
        ("consumer", filter.group.as_deref()),
        ("cause", filter.cause.as_deref()),
        ("state", filter.state.map(State::as_str)),
    ];
    let mut condition = String::new();
    let wanted = indexed
        .into_iter()
        .find_map(|(column, wanted)| Some((column, wanted?)));
    if let Some((column, wanted)) = wanted {
        condition = format!("{column} = ?3 AND");
        params.push(wanted.to_owned().into());
    }
    let sql = format!(
        "SELECT {SUMMARY} FROM dead_letters
         WHERE {condition} id >= ?1 AND id < ?2 ORDER BY id DESC"
    );
    (sql, params)
}

fn summary(row: &Row<'_>) -> Result<Summary, rusqlite::Error> {
    let first_failure: Option<i64> = row.get(11)?;
    let replay_of: Option<String> = row.get(12)?;
    let state: String = row.get(13)?;
    Ok(Summary {
        id: id(&row.get::<_, String>(0)?)?,
        received_at: from_column(row.get(1)?)?,
        group: row.get(2)?,
        topic: row.get(3)?,
        event_id: row.get(4)?,
        event_type: row.get(5)?,
        subject: row.get(6)?,
        key: row.get(7)?,
        cause: row.get(8)?,
        reason: row.get(9)?,
        attempts: row.get(10)?,
        first_failure: first_failure.map(from_column).transpose()?,
        replay_of: replay_of.as_deref().map(id).transpose()?,
        state: State::parse(&state).ok_or(rusqlite::Error::InvalidQuery)?,
    })
}

fn get(c: &Connection, wanted: DeadLetterId) -> Result<Option<Filed>, StorageError> {
    let filed = c
        .prepare_cached(&format!(
            "SELECT {SUMMARY}, partition, offset, acts, headers, history, payload
             FROM dead_letters WHERE id = ?1"
        ))?
        .query_row([wanted.to_string()], filed)
        .optional()?;
    let Some(mut filed) = filed else {
        return Ok(None);
    };
    let returned: Option<String> = c
        .prepare_cached("SELECT id FROM dead_letters WHERE replay_of = ?1")?
        .query_row([wanted.to_string()], |row| row.get(0))
        .optional()?;
    filed.returned_as = returned.as_deref().map(id).transpose()?;
    Ok(Some(filed))
}

fn filed(row: &Row<'_>) -> Result<Filed, rusqlite::Error> {
    let summary = summary(row)?;
    let history: Vec<Attempt> = from_json(&row.get::<_, String>(18)?)?;
    Ok(Filed {
        id: summary.id,
        received_at: summary.received_at,
        letter: DeadLetter {
            group: summary.group,
            record: Record {
                topic: summary.topic,
                key: summary.key,
                headers: from_json(&row.get::<_, String>(17)?)?,
                value: row.get::<_, Vec<u8>>(19)?.into(),
            },
            partition: row.get(14)?,
            offset: row.get(15)?,
            cause: summary.cause,
            reason: summary.reason,
            attempts: summary.attempts,
            history,
            replay: summary.replay_of.map(|id| id.0),
        },
        state: summary.state,
        acts: from_json(&row.get::<_, String>(16)?)?,
        returned_as: None,
    })
}

fn id(text: &str) -> Result<DeadLetterId, rusqlite::Error> {
    text.parse::<Uuid>().map(DeadLetterId).map_err(malformed)
}

fn to_json(value: &impl serde::Serialize) -> Result<String, StorageError> {
    serde_json::to_string(value).map_err(|error| StorageError::Unusable(error.to_string()))
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, rusqlite::Error> {
    serde_json::from_str(text).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use slipway_mesh::store::sqlite::testing::search;

    use super::*;
    use crate::store::{MIGRATIONS, dead_letters::contract, open};

    contract::tests!({
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir.path().join("notify.db")).unwrap();
        let store = SqliteDeadLetterStore::new(db.clone());
        let outbox = outbox::sqlite::SqliteOutbox::new(db);
        (dir, Arc::new(store), Arc::new(outbox))
    });

    #[test]
    fn lists_are_read_through_an_index_and_nothing_is_sorted() {
        for filter in contract::every_shape_of_filter() {
            let (sql, _) = candidates(&filter, None);
            search(MIGRATIONS, &sql);
        }
    }
}
