//! What the domain needs of a store. A backend supplies these traits and a constructor;
//! the tests in `contract` run on each.
//!
//! Everything that must be atomic is one call here: the new state, its events and the
//! receipt of the request are committed together or not at all.

pub mod mongo;
pub mod sqlite;

#[cfg(test)]
mod contract;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use slipway_bus::Event;
use slipway_rpc::{error::Fault, page::Page};
use slipway_runtime::life::Check;
use slipway_store::{
    outbox::OutboxStore,
    receipts::{Receipt, ReceiptStore},
};

use crate::{
    identity::{Account, User, UserId, quota::Hour, throttle::Subject},
    release::{PlacedTask, Release, ReleaseId, TaskId},
};

/// The stores of this service, on one backend.
#[derive(Clone)]
pub struct Stores {
    /// Releases and tasks.
    pub releases: Arc<dyn ReleaseStore>,
    /// Accounts.
    pub users: Arc<dyn UserStore>,
    /// Receipts of commands.
    pub receipts: Arc<dyn ReceiptStore>,
    /// Events to be published.
    pub outbox: Arc<dyn OutboxStore>,
    /// Whether the backend is there.
    pub check: Arc<dyn Check>,
}

/// The store did not answer, or not sensibly.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Fault::unavailable("The database", error)
    }
}

/// What is committed along with a change of state.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Events to be published.
    pub events: Vec<Event>,
    /// The receipt, if the request asked for one.
    pub receipt: Option<Receipt>,
}

/// Why a change was not stored; nothing of it is.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SaveError {
    /// The release is not at the revision the change was made on.
    #[error("the release was changed meanwhile")]
    Revision,
    /// The developer works on another task already.
    #[error("the developer is busy")]
    DeveloperBusy(UserId),
    /// The request has been carried out already.
    #[error("there is a receipt already")]
    Receipt,
    /// So many of the release's events wait to be published that it takes no more.
    #[error("too many events of the release wait to be published")]
    Backlog,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A release in a list: without its tasks, with their counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseSummary {
    /// The release; its tasks are left out.
    pub release: Release,
    /// How many tasks it has.
    pub total: u32,
    /// How many of them are completed.
    pub completed: u32,
}

/// A developer's task, with the task before it if that is not completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignedTask {
    /// The task.
    pub placed: PlacedTask,
    /// What has to be completed first.
    pub blocked_by: Option<PlacedTask>,
}

/// Which tasks a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskFilter {
    /// Assigned, not started.
    Todo,
    /// Being worked on.
    InProcess,
    /// Finished.
    Completed,
}

/// Which releases a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReleaseFilter {
    /// Where work goes on.
    Open,
    /// Declared done.
    Completed,
}

/// Where a page of a developer's tasks ends: release and order index.
pub type AssignedKey = (ReleaseId, i64);

/// Releases with their tasks.
#[async_trait]
pub trait ReleaseStore: Send + Sync + 'static {
    /// Stores a new release.
    async fn insert(&self, release: Release, commit: Commit) -> Result<(), SaveError>;

    /// Stores `after` in the place of `before`, if the stored revision is still that of
    /// `before` and every developer of `after` works on one task only.
    async fn save(&self, before: Release, after: Release, commit: Commit) -> Result<(), SaveError>;

    /// One release.
    async fn release(&self, id: ReleaseId) -> Result<Option<Release>, StoreError>;

    /// The release a task belongs to.
    async fn release_of(&self, task: TaskId) -> Result<Option<Release>, StoreError>;

    /// One task.
    async fn task(&self, id: TaskId) -> Result<Option<PlacedTask>, StoreError>;

    /// Releases, newest first, those before `after`.
    async fn list(
        &self,
        filter: Option<ReleaseFilter>,
        after: Option<ReleaseId>,
        limit: u32,
    ) -> Result<Page<ReleaseSummary, ReleaseId>, StoreError>;

    /// A developer's tasks: newest release first, in order within a release.
    async fn assigned_to(
        &self,
        developer: UserId,
        filter: Option<TaskFilter>,
        after: Option<AssignedKey>,
        limit: u32,
    ) -> Result<Page<AssignedTask, AssignedKey>, StoreError>;

    /// What a developer is working on.
    async fn active_task(&self, developer: UserId) -> Result<Option<PlacedTask>, StoreError>;

    /// Both: a page of a developer's tasks, and what they are working on. A backend that
    /// can read them in one go does.
    async fn work_of(
        &self,
        developer: UserId,
        filter: Option<TaskFilter>,
        after: Option<AssignedKey>,
        limit: u32,
    ) -> Result<(Page<AssignedTask, AssignedKey>, Option<PlacedTask>), StoreError> {
        tokio::try_join!(
            self.assigned_to(developer, filter, after, limit),
            self.active_task(developer),
        )
    }
}

/// Why an account was not created.
#[derive(Debug, Clone, thiserror::Error)]
pub enum InsertUserError {
    /// Another account has the name.
    #[error("the username is taken")]
    UsernameTaken,
    /// Another account has the address.
    #[error("the email address is taken")]
    EmailTaken,
    /// The request has been carried out already.
    #[error("there is a receipt already")]
    Receipt,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How an assignee is named.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UserKey {
    /// By id.
    Id(UserId),
    /// By username, without regard to case.
    Username(String),
}

/// Accounts.
#[async_trait]
pub trait UserStore: Send + Sync + 'static {
    /// Stores a new account.
    async fn insert(&self, account: Account, commit: Commit) -> Result<(), InsertUserError>;

    /// One account.
    async fn user(&self, id: UserId) -> Result<Option<Account>, StoreError>;

    /// The account with this username or email address, without regard to case.
    async fn by_login(&self, login: String) -> Result<Option<Account>, StoreError>;

    /// All of these users that exist, in no particular order.
    async fn find(&self, keys: Vec<UserKey>) -> Result<Vec<User>, StoreError>;

    /// Users by name, those whose name begins with `prefix` and sorts behind `after`
    /// (both in lower case).
    async fn list(
        &self,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<Page<User, String>, StoreError>;

    /// Whether there is an admin.
    async fn has_admin(&self) -> Result<bool, StoreError>;

    /// The times of a subject's latest failed sign-ins after `since`, newest first, at
    /// most `limit`.
    async fn failures(
        &self,
        subject: Subject,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<Timestamp>, StoreError>;

    /// Records a failed sign-in for each subject.
    async fn record_failure(&self, subjects: Vec<Subject>, at: Timestamp)
    -> Result<(), StoreError>;

    /// Forgets a subject's failed sign-ins.
    async fn clear_failures(&self, subject: Subject) -> Result<(), StoreError>;

    /// Counts a registration of the subject in this hour, unless there were `limit` of them:
    /// then it is not counted, and the answer is false.
    async fn count_registration(
        &self,
        subject: Subject,
        hour: Hour,
        limit: u32,
    ) -> Result<bool, StoreError>;

    /// Deletes the counts of registrations of the hours before `before`.
    async fn purge_registrations(&self, before: Hour) -> Result<(), StoreError>;

    /// Deletes the failed sign-ins from before `before`.
    async fn purge_failures(&self, before: Timestamp) -> Result<(), StoreError>;
}

impl AssignedTask {
    /// Its place in a developer's list.
    #[must_use]
    pub fn key(&self) -> AssignedKey {
        (self.placed.release_id, self.placed.task.order_index.get())
    }
}
