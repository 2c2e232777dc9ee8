//! Reading: by id, by unique key, and in the order of a list.

use std::{collections::HashSet, sync::Arc};

use rusqlite::{Connection, Row, types::Value};
use serde::de::DeserializeOwned;
use slipway_sqlite::StorageError;

use super::tables::of_index;
use crate::{
    StoreError,
    document::{Collection, Document, Index, IndexKind},
    query::{Direction, Query},
};

/// The columns that are read.
pub(super) const BODY: &str = "body";
pub(super) const SUMMARY: &str = "summary";

/// Decodes a value that belongs to a document of type `D`, from a row with the document's id, its
/// schema number and the value. The text is not copied: lists have hundreds of rows.
fn decode<D: Document, T: DeserializeOwned>(row: &Row<'_>) -> Result<T, StoreError> {
    let Collection { name, schema, .. } = D::COLLECTION;
    let (id, found): (_, u32) = (|| row.get::<_, String>(0), row.get(1)?);
    if found != schema {
        return Err(StoreError::Schema {
            collection: name,
            id: id()?,
            found,
            known: schema,
        });
    }
    let json = row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?;
    match serde_json::from_str(json) {
        Ok(value) => Ok(value),
        Err(error) => Err(StoreError::Malformed {
            collection: name,
            id: id()?,
            source: Arc::new(error),
        }),
    }
}

pub(super) fn by_id<D: Document>(c: &Connection, ids: &[String]) -> Result<Vec<D>, StoreError> {
    let sql = format!(
        "SELECT id, schema, body FROM {} WHERE id = ?1",
        D::COLLECTION.name
    );
    let mut query = c.prepare_cached(&sql)?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let mut rows = query.query([id])?;
        if let Some(row) = rows.next()? {
            found.push(decode::<D, D>(row)?);
        }
    }
    Ok(found)
}

pub(super) fn by_key<D: Document>(
    c: &Connection,
    index: Index,
    keys: &[String],
) -> Result<Vec<D>, StoreError> {
    let mut query = c.prepare_cached(&key_sql(D::COLLECTION, index))?;
    let mut found: Vec<D> = Vec::with_capacity(keys.len());
    let mut ids = HashSet::with_capacity(keys.len());
    for key in keys {
        let mut rows = query.query([key])?;
        if let Some(row) = rows.next()?
            && ids.insert(row.get::<_, String>(0)?)
        {
            found.push(decode::<D, D>(row)?);
        }
    }
    Ok(found)
}

fn key_sql(of: Collection, index: Index) -> String {
    format!(
        "SELECT d.id, d.schema, d.body FROM {} i JOIN {} d ON d.id = i.id WHERE i.k = ?1",
        of_index(of, index.name),
        of.name
    )
}

/// The condition of a query for a list from `?3` to `?4` under the key `?1`.
fn within(index: Index) -> &'static str {
    match index.kind {
        IndexKind::Id => "i.id > ?3 AND i.id < ?4",
        IndexKind::Unique | IndexKind::List | IndexKind::View => {
            "i.k = ?1 AND i.o > ?3 AND i.o < ?4"
        }
    }
}

/// The parameters of a query for a part of a list.
fn bounds(query: &Query) -> (&str, u32, &str, Value) {
    let above = query.above.as_deref().unwrap_or("");
    // SQLite sorts each blob after all texts.
    let below = query
        .below
        .clone()
        .map_or(Value::Blob(Vec::new()), Value::Text);
    (&query.key, query.limit, above, below)
}

fn suffix(direction: Direction) -> &'static str {
    match direction {
        Direction::Ascending => "",
        Direction::Descending => " DESC",
    }
}

fn list_sql(of: Collection, column: &str, index: Index, direction: Direction) -> String {
    let (down, within) = (suffix(direction), within(index));
    if index.kind == IndexKind::Id {
        return format!(
            "SELECT i.id, i.schema, i.{column} FROM {} i
             WHERE {within} ORDER BY i.id{down} LIMIT ?2",
            of.name
        );
    }
    if column == SUMMARY && index.has_summaries {
        return format!(
            "SELECT i.id, i.schema, i.summary FROM {} i
             WHERE {within} ORDER BY i.o{down}, i.id{down} LIMIT ?2",
            of_index(of, index.name)
        );
    }
    format!(
        "SELECT d.id, d.schema, d.{column} FROM {} i JOIN {} d ON d.id = i.id
         WHERE {within} ORDER BY i.o{down}, i.id{down} LIMIT ?2",
        of_index(of, index.name),
        of.name
    )
}

/// Reads a column of the documents in a part of a list: [`BODY`] or [`SUMMARY`].
pub(super) fn list<D: Document, T: DeserializeOwned>(
    c: &Connection,
    column: &str,
    index: Index,
    query: &Query,
) -> Result<Vec<T>, StoreError> {
    let sql = list_sql(D::COLLECTION, column, index, query.direction);
    let mut statement = c.prepare_cached(&sql)?;
    statement
        .query_and_then(bounds(query), decode::<D, T>)?
        .collect()
}

/// The same for documents, each with the error if it cannot be decoded.
pub(super) fn list_each<D: Document>(
    c: &Connection,
    index: Index,
    query: &Query,
) -> Result<Vec<Result<D, StoreError>>, StoreError> {
    let sql = list_sql(D::COLLECTION, BODY, index, query.direction);
    let mut statement = c.prepare_cached(&sql)?;
    let mut rows = statement.query(bounds(query))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(match decode::<D, D>(row) {
            Err(error) if error.undecodable().is_none() => return Err(error),
            decoded => decoded,
        });
    }
    Ok(found)
}

fn view_sql(of: Collection, index: Index, direction: Direction, view: Index) -> String {
    let down = suffix(direction);
    format!(
        "SELECT v.id, v.schema, v.v FROM {} i JOIN {} v ON v.k = ?5 AND v.id = i.id
         WHERE {} ORDER BY i.o{down}, i.id{down} LIMIT ?2",
        of_index(of, index.name),
        of_index(of, view.name),
        within(index)
    )
}

pub(super) fn view<D: Document, V: DeserializeOwned>(
    c: &Connection,
    index: Index,
    query: &Query,
    view: Index,
    key: &str,
) -> Result<Vec<V>, StoreError> {
    let sql = view_sql(D::COLLECTION, index, query.direction, view);
    let mut statement = c.prepare_cached(&sql)?;
    let (of_list, limit, above, below) = bounds(query);
    let parameters = (of_list, limit, above, below, key);
    statement
        .query_and_then(parameters, decode::<D, V>)?
        .collect()
}

fn count_sql(of: Collection, index: Index) -> String {
    let table = match index.kind {
        IndexKind::Id => of.name.to_owned(),
        IndexKind::Unique | IndexKind::List | IndexKind::View => of_index(of, index.name),
    };
    format!(
        "SELECT count(*) FROM (SELECT 1 FROM {table} i WHERE {} LIMIT ?2)",
        within(index)
    )
}

pub(super) fn count(
    c: &Connection,
    of: Collection,
    index: Index,
    query: &Query,
) -> Result<u64, StorageError> {
    let mut statement = c.prepare_cached(&count_sql(of, index))?;
    Ok(statement.query_row(bounds(query), |row| row.get(0))?)
}

/// The number of keys in a unique index.
pub(super) fn count_keys(
    c: &Connection,
    of: Collection,
    index: Index,
) -> Result<u64, StorageError> {
    debug_assert_eq!(index.kind, IndexKind::Unique);
    let sql = format!("SELECT count(*) FROM {}", of_index(of, index.name));
    Ok(c.prepare_cached(&sql)?.query_row([], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::{MESSAGES, Note},
        sqlite::tables,
    };

    /// The query plan of SQLite, one line per step.
    fn plan(sql: &str) -> Vec<String> {
        let mut c = Connection::open_in_memory().unwrap();
        tables::create(&mut c, &[Note::COLLECTION]).unwrap();
        let mut explain = c.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = explain.raw_query().mapped(|row| row.get(3));
        steps.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn every_query_searches_an_index_and_sorts_nothing() {
        let of = Note::COLLECTION;
        let mut queries = Vec::new();
        for index in of.indexes {
            match index.kind {
                IndexKind::Unique => queries.push(key_sql(of, *index)),
                IndexKind::View => {}
                IndexKind::Id | IndexKind::List => {
                    queries.push(count_sql(of, *index));
                    for direction in [Direction::Ascending, Direction::Descending] {
                        queries.push(list_sql(of, BODY, *index, direction));
                        queries.push(list_sql(of, SUMMARY, *index, direction));
                        if index.kind == IndexKind::List {
                            queries.push(view_sql(of, *index, direction, MESSAGES));
                        }
                    }
                }
            }
        }
        for sql in queries {
            let plan = plan(&sql);
            assert!(
                plan.iter().any(|step| step.starts_with("SEARCH")),
                "{plan:?}"
            );
            let refused = |step: &String| {
                let scans = ["SCAN notes", "SCAN d", "SCAN i", "SCAN v"];
                scans.iter().any(|scan| step.starts_with(scan)) || step.contains("TEMP B-TREE")
            };
            assert!(!plan.iter().any(refused), "{sql}: {plan:?}");
        }
    }
}
