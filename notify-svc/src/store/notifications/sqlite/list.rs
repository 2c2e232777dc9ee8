//! Reading the log in SQLite: candidates from one index, in the order asked for.
//!
//! The most selective condition chooses the index; the others are checked on what it
//! yields, row by row until the page is full, so a page reads a bounded number of rows
//! however long the log is.

use rusqlite::{Connection, params_from_iter, types::Value};
use slipway_sqlite::StorageError;

use super::rows::{COLUMNS, notification};
use crate::{
    notification::NotificationId,
    store::{
        EXAMINED, PAGE_WEIGHT,
        notifications::{Direction, Page, Query},
    },
};

pub(super) fn page(c: &Connection, query: &Query) -> Result<Page, StorageError> {
    let (sql, params) = candidates(query);
    let mut statement = c.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(params))?;
    let mut page = Page::default();
    let (mut examined, mut weight) = (0, 0);
    let mut last: Option<NotificationId> = None;
    while let Some(row) = rows.next()? {
        if examined == EXAMINED {
            page.next = last;
            break;
        }
        examined += 1;
        let found = notification(row)?;
        let id = found.id;
        if query.filter.admits(&found) {
            if page.items.len() == query.limit as usize || weight > PAGE_WEIGHT {
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

/// The statement that yields the notifications that may match.
fn candidates(query: &Query) -> (String, Vec<Value>) {
    let (least, end) = query.range();
    let mut params = vec![least.to_string().into(), end.to_string().into()];
    let filter = &query.filter;
    let condition = if let Some(to) = &filter.to {
        params.push(to.to_string().into());
        "recipient = ?3 AND"
    } else if let Some(kind) = &filter.kind {
        params.push(kind.clone().into());
        "kind = ?3 AND"
    } else if let Some(state) = filter.state {
        params.push(state.as_str().to_owned().into());
        "state = ?3 AND"
    } else {
        ""
    };
    let order = match query.direction {
        Direction::NewestFirst => "DESC",
        Direction::OldestFirst => "ASC",
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM notifications
         WHERE {condition} id >= ?1 AND id < ?2 ORDER BY id {order}"
    );
    (sql, params)
}

#[cfg(test)]
mod tests {
    use slipway_sqlite::testing::search;

    use super::*;
    use crate::store::{MIGRATIONS, notifications::contract};

    #[test]
    fn every_list_is_a_search_in_an_index_and_nothing_is_sorted() {
        for query in contract::every_shape_of_query() {
            let (sql, _) = candidates(&query);
            let plan = search(MIGRATIONS, &sql);
            assert_eq!(plan.len(), 1, "{query}: {plan:#?}");
        }
    }
}
