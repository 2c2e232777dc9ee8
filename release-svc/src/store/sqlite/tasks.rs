//! Single tasks with the releases that they are in, and a developer's list of them.

use rusqlite::{Connection, OptionalExtension as _, Params};
use slipway_sqlite::StorageError;

use super::{BEHIND_ALL, rows};
use crate::{
    identity::UserId,
    release::{PlacedTask, TaskId},
    store::{AssignedKey, AssignedTask, TaskFilter},
};

/// The task with this id.
pub(super) fn by_id(c: &Connection, id: TaskId) -> Result<Option<PlacedTask>, StorageError> {
    placed(c, "t.id = ?1", [id.to_string()])
}

fn placed(
    c: &Connection,
    condition: &str,
    params: impl Params,
) -> Result<Option<PlacedTask>, StorageError> {
    let sql = format!(
        "SELECT {} FROM tasks t JOIN releases r ON r.id = t.release_id WHERE {condition}",
        rows::PLACED_TASK
    );
    Ok(c.prepare_cached(&sql)?
        .query_row(params, rows::placed_task)
        .optional()?)
}

/// What a developer is working on.
pub(super) fn active(
    c: &Connection,
    developer: UserId,
) -> Result<Option<PlacedTask>, StorageError> {
    let active = "t.id = (SELECT task_id FROM active_developers WHERE developer = ?1)";
    placed(c, active, [developer.to_string()])
}

/// The SQL for a page of a developer's tasks, each with its predecessor.
fn assigned_sql(filter: Option<TaskFilter>) -> String {
    let status = match filter {
        None => "",
        Some(TaskFilter::Todo) => "AND t.status = 'TODO'",
        Some(TaskFilter::InProcess) => "AND t.status = 'IN_PROCESS'",
        Some(TaskFilter::Completed) => "AND t.status = 'COMPLETED'",
    };
    format!(
        "SELECT {}, {}
         FROM tasks t
         JOIN releases r ON r.id = t.release_id
         LEFT JOIN tasks p ON p.release_id = t.release_id AND p.order_index =
             (SELECT max(before.order_index) FROM tasks before
              WHERE before.release_id = t.release_id AND before.order_index < t.order_index)
         WHERE t.assignee = ?1 {status} AND t.release_id <= ?2
           AND (t.release_id < ?2 OR t.order_index > ?3)
         ORDER BY t.release_id DESC, t.order_index LIMIT ?4",
        rows::PLACED_TASK,
        rows::PREDECESSOR
    )
}

/// A page of a developer's tasks, the newest release first.
pub(super) fn assigned(
    c: &Connection,
    developer: UserId,
    filter: Option<TaskFilter>,
    after: Option<AssignedKey>,
    rows: u32,
) -> Result<Vec<AssignedTask>, StorageError> {
    let (release, order_index) = match after {
        None => (BEHIND_ALL.to_owned(), 0),
        Some((release, order_index)) => (release.to_string(), order_index),
    };
    let sql = assigned_sql(filter);
    let mut query = c.prepare_cached(&sql)?;
    let params = (developer.to_string(), release, order_index, rows);
    let found = query.query_map(params, rows::assigned_task)?;
    Ok(found.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use slipway_sqlite::testing::search;

    use super::*;
    use crate::store::sqlite::MIGRATIONS;

    #[test]
    fn a_page_of_tasks_is_read_through_an_index_and_nothing_is_sorted() {
        for filter in [
            None,
            Some(TaskFilter::Todo),
            Some(TaskFilter::InProcess),
            Some(TaskFilter::Completed),
        ] {
            search(MIGRATIONS, &assigned_sql(filter));
        }
    }
}
