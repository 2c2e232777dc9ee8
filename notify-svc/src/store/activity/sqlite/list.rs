//! Reading the log in SQLite: candidates from one index, in the order asked for, each
//! looked up by its number.
//!
//! The most selective condition chooses the index; the others are checked on the
//! candidates. Candidates are drawn one by one until the page is full, so a query reads a
//! bounded number of rows however long the log is.

use rusqlite::{Connection, OptionalExtension as _, Row, params_from_iter, types::Value};
use slipway_proto::events::UserRef;
use slipway_sqlite::{StorageError, from_column, malformed};
use uuid::Uuid;

use super::parse_ids;
use crate::{
    activity::{Activity, Entry, Filter, TypePattern},
    store::{
        EXAMINED, PAGE_WEIGHT,
        activity::{Direction, Page, Query},
    },
};

pub(super) fn page(c: &Connection, query: &Query) -> Result<Page, StorageError> {
    let (oldest, newest) = c
        .prepare_cached(
            "SELECT (SELECT min(sequence) FROM activity), (SELECT max(sequence) FROM activity)",
        )?
        .query_row([], |row| {
            Ok((row.get::<_, Option<u64>>(0)?, row.get::<_, Option<u64>>(1)?))
        })?;
    let mut page = Page {
        entries: Vec::new(),
        next: None,
        oldest: oldest.unwrap_or(0),
        newest: newest.unwrap_or(0),
    };
    let candidates = Candidates::of(query);
    let mut statement = c.prepare_cached(&candidates.sql)?;
    let mut rows = statement.query(params_from_iter(candidates.params))?;
    let (mut examined, mut weight, mut last) = (0, 0, None);
    while let Some(row) = rows.next()? {
        if examined == EXAMINED {
            page.next = last;
            break;
        }
        examined += 1;
        let sequence = row.get(0)?;
        if let Some(entry) = lookup(c, sequence, &query.filter)? {
            if page.entries.len() == query.limit as usize || weight > PAGE_WEIGHT {
                page.next = last;
                break;
            }
            weight += entry.activity.weight();
            page.entries.push(entry);
        }
        last = Some(sequence);
    }
    Ok(page)
}

/// The statement that yields the numbers of entries that may match, from an index.
struct Candidates {
    sql: String,
    params: Vec<Value>,
}

impl Candidates {
    fn of(query: &Query) -> Self {
        let Filter {
            types,
            release_id,
            person,
        } = &query.filter;
        let sources: Vec<(&str, Option<String>)> = if let Some(person) = person {
            vec![("activity_people WHERE user_id =", Some(person.to_string()))]
        } else if let Some(release_id) = release_id {
            vec![("activity WHERE release_id =", Some(release_id.to_string()))]
        } else if types.is_empty() {
            vec![("activity", None)]
        } else {
            types.iter().map(type_source).collect()
        };
        let mut params = vec![bound(query.after), bound(query.before)];
        let mut selects = Vec::new();
        for (source, key) in sources {
            let condition = match key {
                Some(key) => {
                    params.push(key.into());
                    format!("{source} ?{} AND", params.len())
                }
                None => format!("{source} WHERE"),
            };
            selects.push(format!(
                "SELECT sequence FROM {condition} sequence > ?1 AND sequence < ?2"
            ));
        }
        let order = match query.direction {
            Direction::Ascending => "ASC",
            Direction::Descending => "DESC",
        };
        Self {
            // Not UNION ALL: an entry may match several of the types asked for.
            sql: format!("{} ORDER BY sequence {order}", selects.join(" UNION ")),
            params,
        }
    }
}

fn type_source(wanted: &TypePattern) -> (&'static str, Option<String>) {
    match wanted {
        TypePattern::Exact(event_type) => ("activity WHERE type =", Some(event_type.clone())),
        TypePattern::Family(family) => ("activity WHERE family =", Some(family.clone())),
    }
}

/// A number of the contract as SQLite compares it: no entry has one beyond its range.
fn bound(sequence: u64) -> Value {
    i64::try_from(sequence).unwrap_or(i64::MAX).into()
}

/// The entry of a number, if it matches. That it is the wanted person's is known: their
/// index has led to it.
fn lookup(c: &Connection, sequence: u64, filter: &Filter) -> Result<Option<Entry>, StorageError> {
    let entry = c
        .prepare_cached(
            "SELECT type, release_id, sequence, event_id, time, actor_id, actor_name, subject,
                 summary, data, concerns
             FROM activity WHERE sequence = ?1",
        )?
        .query_row([sequence], |row| matching_entry(row, filter))
        .optional()?;
    Ok(entry.flatten())
}

fn matching_entry(row: &Row<'_>, filter: &Filter) -> Result<Option<Entry>, rusqlite::Error> {
    let event_type: String = row.get(0)?;
    let release_id: Option<String> = row.get(1)?;
    let release_id = release_id.as_deref().map(parse_id).transpose()?;
    if !filter.admits_type(&event_type) || !filter.admits_release(release_id) {
        return Ok(None);
    }
    let actor = match row.get::<_, Option<String>>(5)? {
        Some(id) => Some(UserRef {
            id: parse_id(&id)?,
            username: row.get(6)?,
        }),
        None => None,
    };
    Ok(Some(Entry {
        sequence: row.get(2)?,
        activity: Activity {
            id: parse_id(&row.get::<_, String>(3)?)?,
            event_type,
            time: from_column(row.get(4)?)?,
            actor,
            subject: row.get(7)?,
            release_id,
            summary: row.get(8)?,
            data: row.get(9)?,
            concerns: parse_ids(&row.get::<_, String>(10)?)?,
        },
    }))
}

fn parse_id(text: &str) -> Result<Uuid, rusqlite::Error> {
    text.parse().map_err(malformed)
}

#[cfg(test)]
mod tests {
    use slipway_sqlite::testing::search;

    use super::*;
    use crate::store::{MIGRATIONS, activity::contract};

    #[test]
    fn every_query_is_a_search_in_an_index_and_nothing_is_sorted() {
        for query in contract::every_shape_of_query() {
            let plan = search(MIGRATIONS, &Candidates::of(&query).sql);
            let searches = plan.iter().filter(|step| step.starts_with("SEARCH"));
            let arms = if query.filter.person.is_none() && query.filter.release_id.is_none() {
                query.filter.types.len().max(1)
            } else {
                1
            };
            assert_eq!(searches.count(), arms, "{query}: {plan:#?}");
        }
    }
}
