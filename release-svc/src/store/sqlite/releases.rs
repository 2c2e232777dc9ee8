//! Releases and tasks in SQLite: a row a release, a row a task, and a row for each
//! developer who is at work, whose primary key is the rule that nobody works on two
//! tasks at once.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _};
use slipway_rpc::page::Page;
use slipway_sqlite::{StorageError, to_column};

use super::{BEHIND_ALL, CommitError, SqliteStore, commit, rows, tasks};
use crate::{
    identity::UserId,
    release::{PlacedTask, Release, ReleaseId, Task, TaskId},
    store::{
        AssignedKey, AssignedTask, Commit, ReleaseFilter, ReleaseStore, ReleaseSummary, SaveError,
        StoreError, TaskFilter,
    },
};

#[async_trait]
impl ReleaseStore for SqliteStore {
    async fn insert(&self, release: Release, with: Commit) -> Result<(), SaveError> {
        let write = self.db.write(move |c| -> Result<(), SaveError> {
            insert_release(c, &release)?;
            for task in &release.tasks {
                put_task(c, release.id, task)?;
            }
            Ok(commit(c, &with)?)
        });
        write.await
    }

    async fn save(&self, before: Release, after: Release, with: Commit) -> Result<(), SaveError> {
        let write = self.db.write(move |c| -> Result<(), SaveError> {
            if update_release(c, &before, &after)? != 1 {
                return Err(SaveError::Revision);
            }
            for task in &after.tasks {
                if before.task(task.id) != Some(task) {
                    put_task(c, after.id, task)?;
                }
            }
            move_active_developers(c, &before, &after)?;
            Ok(commit(c, &with)?)
        });
        write.await
    }

    async fn release(&self, id: ReleaseId) -> Result<Option<Release>, StoreError> {
        let read = self.db.read(move |c| load(c, &id.to_string()));
        Ok(read.await?)
    }

    async fn release_of(&self, task: TaskId) -> Result<Option<Release>, StoreError> {
        let read = self.db.read(move |c| {
            let id: Option<String> = c
                .prepare_cached("SELECT release_id FROM tasks WHERE id = ?1")?
                .query_row([task.to_string()], |row| row.get(0))
                .optional()?;
            match id {
                None => Ok(None),
                Some(id) => load(c, &id),
            }
        });
        Ok(read.await?)
    }

    async fn task(&self, id: TaskId) -> Result<Option<PlacedTask>, StoreError> {
        let read = self.db.read(move |c| tasks::by_id(c, id));
        Ok(read.await?)
    }

    async fn list(
        &self,
        filter: Option<ReleaseFilter>,
        after: Option<ReleaseId>,
        limit: u32,
    ) -> Result<Page<ReleaseSummary, ReleaseId>, StoreError> {
        let read = self.db.read(move |c| releases(c, filter, after, limit + 1));
        let found = read.await?;
        Ok(Page::from_overfetch(found, limit, |last| last.release.id))
    }

    async fn assigned_to(
        &self,
        developer: UserId,
        filter: Option<TaskFilter>,
        after: Option<AssignedKey>,
        limit: u32,
    ) -> Result<Page<AssignedTask, AssignedKey>, StoreError> {
        let read = self
            .db
            .read(move |c| tasks::assigned(c, developer, filter, after, limit + 1));
        let found = read.await?;
        Ok(Page::from_overfetch(found, limit, AssignedTask::key))
    }

    async fn active_task(&self, developer: UserId) -> Result<Option<PlacedTask>, StoreError> {
        let read = self.db.read(move |c| tasks::active(c, developer));
        Ok(read.await?)
    }

    async fn work_of(
        &self,
        developer: UserId,
        filter: Option<TaskFilter>,
        after: Option<AssignedKey>,
        limit: u32,
    ) -> Result<(Page<AssignedTask, AssignedKey>, Option<PlacedTask>), StoreError> {
        let read = self.db.read(move |c| -> Result<_, StorageError> {
            let found = tasks::assigned(c, developer, filter, after, limit + 1)?;
            Ok((found, tasks::active(c, developer)?))
        });
        let (found, active) = read.await?;
        let page = Page::from_overfetch(found, limit, AssignedTask::key);
        Ok((page, active))
    }
}

impl From<StorageError> for SaveError {
    fn from(error: StorageError) -> Self {
        Self::Store(error.into())
    }
}

impl From<CommitError> for SaveError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Receipt => Self::Receipt,
            CommitError::Storage(error) => error.into(),
        }
    }
}

fn insert_release(c: &Connection, release: &Release) -> Result<(), StorageError> {
    c.prepare_cached(
        "INSERT INTO releases (id, revision, name, description, version, is_completed,
             completed_at, created_by, created_by_name, created_at, reopened_count,
             total_tasks, completed_tasks)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute((
        release.id.to_string(),
        release.revision.0,
        release.name.as_str(),
        release.description.as_str(),
        release.version.as_str(),
        release.is_completed(),
        rows::completed_at(release),
        release.created_by.id.to_string(),
        &release.created_by.username,
        to_column(release.created_at),
        release.reopened_count,
        release.tasks.len(),
        release.completed_tasks(),
    ))?;
    Ok(())
}

/// Changes what a command can change, if the stored revision is that of `before`;
/// returns how many rows it was.
fn update_release(
    c: &Connection,
    before: &Release,
    after: &Release,
) -> Result<usize, StorageError> {
    let changed = c
        .prepare_cached(
            "UPDATE releases SET revision = ?3, is_completed = ?4, completed_at = ?5,
                 reopened_count = ?6, total_tasks = ?7, completed_tasks = ?8
             WHERE id = ?1 AND revision = ?2",
        )?
        .execute((
            before.id.to_string(),
            before.revision.0,
            after.revision.0,
            after.is_completed(),
            rows::completed_at(after),
            after.reopened_count,
            after.tasks.len(),
            after.completed_tasks(),
        ))?;
    Ok(changed)
}

fn put_task(c: &Connection, release: ReleaseId, task: &Task) -> Result<(), StorageError> {
    let (started_at, completed_at) = rows::state_times(task.state);
    c.prepare_cached(
        "INSERT INTO tasks (id, release_id, order_index, title, description, assignee,
             assignee_name, status, hotfix, created_at, started_at, completed_at, due_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT (id) DO UPDATE SET
             status = excluded.status,
             started_at = excluded.started_at,
             completed_at = excluded.completed_at",
    )?
    .execute((
        task.id.to_string(),
        release.to_string(),
        task.order_index.get(),
        task.title.as_str(),
        task.description.as_str(),
        task.assignee.id.to_string(),
        &task.assignee.username,
        task.state.name(),
        task.hotfix,
        to_column(task.created_at),
        started_at,
        completed_at,
        task.due_at.map(to_column),
    ))?;
    Ok(())
}

/// Lets go of those who have finished, and claims those who have started: the primary
/// key refuses a developer who is at work anywhere else.
fn move_active_developers(
    c: &Connection,
    before: &Release,
    after: &Release,
) -> Result<(), SaveError> {
    let active = |release: &Release, task: &Task| release.active_tasks().any(|t| t.id == task.id);
    for task in before.active_tasks().filter(|task| !active(after, task)) {
        c.prepare_cached("DELETE FROM active_developers WHERE developer = ?1 AND task_id = ?2")
            .and_then(|mut delete| {
                delete.execute((task.assignee.id.to_string(), task.id.to_string()))
            })
            .map_err(StorageError::from)?;
    }
    for task in after.active_tasks().filter(|task| !active(before, task)) {
        let developer = task.assignee.id;
        c.prepare_cached("INSERT INTO active_developers (developer, task_id) VALUES (?1, ?2)")
            .and_then(|mut insert| insert.execute((developer.to_string(), task.id.to_string())))
            .map_err(|error| {
                let error = StorageError::from(error);
                match error.unique_violation() {
                    Some("active_developers.developer") => SaveError::DeveloperBusy(developer),
                    _ => error.into(),
                }
            })?;
    }
    Ok(())
}

fn load(c: &Connection, id: &str) -> Result<Option<Release>, StorageError> {
    let sql = format!("SELECT {} FROM releases WHERE id = ?1", rows::RELEASE);
    let found = c
        .prepare_cached(&sql)?
        .query_row([id], rows::summary)
        .optional()?;
    let Some(ReleaseSummary { mut release, .. }) = found else {
        return Ok(None);
    };
    let sql = format!(
        "SELECT {} FROM tasks t WHERE t.release_id = ?1 ORDER BY t.order_index",
        rows::TASK
    );
    release.tasks = c
        .prepare_cached(&sql)?
        .query_map([id], |row| rows::task(row, 0))?
        .collect::<Result<_, _>>()?;
    Ok(Some(release))
}

/// The SQL for a page of releases.
fn releases_sql(filter: Option<ReleaseFilter>) -> String {
    let state = match filter {
        None => "",
        Some(ReleaseFilter::Open) => "is_completed = 0 AND",
        Some(ReleaseFilter::Completed) => "is_completed = 1 AND",
    };
    format!(
        "SELECT {} FROM releases WHERE {state} id < ?1 ORDER BY id DESC LIMIT ?2",
        rows::RELEASE
    )
}

fn releases(
    c: &Connection,
    filter: Option<ReleaseFilter>,
    after: Option<ReleaseId>,
    rows: u32,
) -> Result<Vec<ReleaseSummary>, StorageError> {
    let sql = releases_sql(filter);
    let before = after.map_or(BEHIND_ALL.to_owned(), |id| id.to_string());
    let mut query = c.prepare_cached(&sql)?;
    let found = query.query_map((before, rows), rows::summary)?;
    Ok(found.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use slipway_sqlite::testing::search;

    use super::*;
    use crate::store::sqlite::MIGRATIONS;

    #[test]
    fn a_page_of_releases_is_read_through_an_index_and_nothing_is_sorted() {
        for filter in [
            None,
            Some(ReleaseFilter::Open),
            Some(ReleaseFilter::Completed),
        ] {
            search(MIGRATIONS, &releases_sql(filter));
        }
    }
}
