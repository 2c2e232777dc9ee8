//! Between documents and the domain's types.

use jiff::Timestamp;
use mongodb::bson::DateTime;
use serde::{Deserialize, Serialize};
use slipway_mongo::{StorageError, from_bson, malformed, to_bson};
use slipway_rpc::access::Role;
use slipway_store::{outbox::mongo::Entry, receipts::mongo::ReceiptDocument};

use crate::{
    identity::{Account, Email, User, UserRef, Username},
    release::{OrderIndex, PlacedTask, Release, ReleaseState, Revision, Task, TaskState, Text},
    store::{Commit, ReleaseSummary},
};

/// The version of the documents' schema.
const SCHEMA: i32 = 1;

/// A release. Lists are read without `tasks`; `outbox` and `receipts` only by their own
/// stores.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReleaseDocument {
    #[serde(rename = "_id")]
    pub(super) id: String,
    schema: i32,
    pub(super) revision: i64,
    name: String,
    description: String,
    version: String,
    pub(super) is_completed: bool,
    pub(super) completed_at: Option<DateTime>,
    created_by: PersonDocument,
    created_at: DateTime,
    pub(super) reopened_count: i64,
    pub(super) total_tasks: i64,
    pub(super) completed_tasks: i64,
    #[serde(default)]
    pub(super) tasks: Vec<TaskDocument>,
    /// The owners of the tasks in process. Absent if there are none: the unique index
    /// holds only documents that have it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) active_developers: Vec<String>,
    #[serde(flatten)]
    pub(super) committed: Committed,
}

/// What is committed along with a change, inside the changed document.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Committed {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) outbox: Vec<Entry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) receipts: Vec<ReceiptDocument>,
}

/// A receipt that its release had no more room for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MovedReceipt {
    #[serde(rename = "_id")]
    id: String,
    #[serde(flatten)]
    pub(super) receipt: ReceiptDocument,
}

impl From<ReceiptDocument> for MovedReceipt {
    fn from(receipt: ReceiptDocument) -> Self {
        Self {
            id: receipt.key.clone(),
            receipt,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct PersonDocument {
    id: String,
    username: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskDocument {
    id: String,
    title: String,
    description: String,
    assignee: PersonDocument,
    order_index: i64,
    status: String,
    hotfix: bool,
    created_at: DateTime,
    started_at: Option<DateTime>,
    completed_at: Option<DateTime>,
    due_at: Option<DateTime>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountDocument {
    #[serde(rename = "_id")]
    id: String,
    schema: i32,
    username: String,
    /// In lower case.
    username_key: String,
    email: String,
    /// In lower case.
    email_key: String,
    role: String,
    password_hash: String,
    created_at: DateTime,
    #[serde(flatten)]
    committed: Committed,
}

/// A failed sign-in.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FailureDocument {
    pub(super) subject: String,
    pub(super) at: DateTime,
}

impl From<&Commit> for Committed {
    fn from(commit: &Commit) -> Self {
        Self {
            outbox: commit.events.iter().map(Entry::from).collect(),
            receipts: commit.receipt.iter().map(ReceiptDocument::from).collect(),
        }
    }
}

impl ReleaseDocument {
    pub(super) fn new(release: &Release, commit: &Commit) -> Self {
        Self {
            id: release.id.to_string(),
            schema: SCHEMA,
            revision: revision(release.revision),
            name: release.name.to_string(),
            description: release.description.to_string(),
            version: release.version.to_string(),
            is_completed: release.is_completed(),
            completed_at: match release.state {
                ReleaseState::Open => None,
                ReleaseState::Completed { at } => Some(to_bson(at)),
            },
            created_by: (&release.created_by).into(),
            created_at: to_bson(release.created_at),
            reopened_count: release.reopened_count.into(),
            total_tasks: count(release.tasks.len()),
            completed_tasks: count(release.completed_tasks()),
            tasks: release.tasks.iter().map(TaskDocument::from).collect(),
            active_developers: release
                .active_tasks()
                .map(|task| task.assignee.id.to_string())
                .collect(),
            committed: commit.into(),
        }
    }

    /// The release, with the tasks that were read.
    pub(super) fn into_release(self) -> Result<Release, StorageError> {
        Ok(Release {
            id: self.id.parse().map_err(malformed)?,
            revision: Revision(self.revision.try_into().map_err(malformed)?),
            name: Text::stored(self.name),
            description: Text::stored(self.description),
            version: Text::stored(self.version),
            state: match time(self.completed_at)? {
                None => ReleaseState::Open,
                Some(at) => ReleaseState::Completed { at },
            },
            tasks: self
                .tasks
                .into_iter()
                .map(Task::try_from)
                .collect::<Result<_, _>>()?,
            created_by: self.created_by.try_into()?,
            created_at: from_bson(self.created_at)?,
            reopened_count: self.reopened_count.try_into().map_err(malformed)?,
        })
    }

    pub(super) fn into_summary(self) -> Result<ReleaseSummary, StorageError> {
        Ok(ReleaseSummary {
            total: self.total_tasks.try_into().map_err(malformed)?,
            completed: self.completed_tasks.try_into().map_err(malformed)?,
            release: self.into_release()?,
        })
    }
}

impl From<&Task> for TaskDocument {
    fn from(task: &Task) -> Self {
        let (started_at, completed_at) = match task.state {
            TaskState::Todo => (None, None),
            TaskState::InProcess { started_at } => (Some(started_at), None),
            TaskState::Completed {
                started_at,
                completed_at,
            } => (Some(started_at), Some(completed_at)),
        };
        Self {
            id: task.id.to_string(),
            title: task.title.to_string(),
            description: task.description.to_string(),
            assignee: (&task.assignee).into(),
            order_index: task.order_index.get(),
            status: task.state.name().to_owned(),
            hotfix: task.hotfix,
            created_at: to_bson(task.created_at),
            started_at: started_at.map(to_bson),
            completed_at: completed_at.map(to_bson),
            due_at: task.due_at.map(to_bson),
        }
    }
}

impl TryFrom<TaskDocument> for Task {
    type Error = StorageError;

    fn try_from(task: TaskDocument) -> Result<Self, StorageError> {
        let state = match (
            task.status.as_str(),
            time(task.started_at)?,
            time(task.completed_at)?,
        ) {
            ("TODO", None, None) => TaskState::Todo,
            ("IN_PROCESS", Some(started_at), None) => TaskState::InProcess { started_at },
            ("COMPLETED", Some(started_at), Some(completed_at)) => TaskState::Completed {
                started_at,
                completed_at,
            },
            _ => return Err(malformed(format_args!("the state of task {}", task.id))),
        };
        Ok(Self {
            id: task.id.parse().map_err(malformed)?,
            title: Text::stored(task.title),
            description: Text::stored(task.description),
            assignee: task.assignee.try_into()?,
            order_index: OrderIndex::stored(task.order_index),
            state,
            hotfix: task.hotfix,
            created_at: from_bson(task.created_at)?,
            due_at: time(task.due_at)?,
        })
    }
}

/// Some tasks of a release, with what one needs to know of it.
#[derive(Debug, Deserialize)]
pub(super) struct PlacedDocument {
    #[serde(rename = "_id")]
    release_id: String,
    name: String,
    tasks: Vec<TaskDocument>,
}

impl PlacedDocument {
    /// The first of the tasks.
    pub(super) fn into_first(self) -> Result<Option<PlacedTask>, StorageError> {
        let Some(task) = self.tasks.into_iter().next() else {
            return Ok(None);
        };
        Ok(Some(PlacedTask {
            release_id: self.release_id.parse().map_err(malformed)?,
            release_name: Text::stored(self.name),
            task: task.try_into()?,
        }))
    }
}

impl AccountDocument {
    pub(super) fn new(account: &Account, commit: &Commit) -> Self {
        let user = &account.user;
        Self {
            id: user.id.to_string(),
            schema: SCHEMA,
            username: user.username.to_string(),
            username_key: user.username.key(),
            email: user.email.to_string(),
            email_key: user.email.key(),
            role: match user.role {
                Role::Admin => ADMIN.to_owned(),
                Role::Developer | Role::Service => DEVELOPER.to_owned(),
            },
            password_hash: account.password_hash.clone(),
            created_at: to_bson(user.created_at),
            committed: commit.into(),
        }
    }
}

/// Names of roles.
pub(super) const ADMIN: &str = "ADMIN";
const DEVELOPER: &str = "DEVELOPER";

impl TryFrom<AccountDocument> for Account {
    type Error = StorageError;

    fn try_from(account: AccountDocument) -> Result<Self, StorageError> {
        Ok(Self {
            user: User {
                id: account.id.parse().map_err(malformed)?,
                username: Username::stored(account.username),
                email: Email::stored(account.email),
                role: match account.role.as_str() {
                    ADMIN => Role::Admin,
                    DEVELOPER => Role::Developer,
                    _ => return Err(malformed(format_args!("the role of {}", account.id))),
                },
                created_at: from_bson(account.created_at)?,
            },
            password_hash: account.password_hash,
        })
    }
}

impl From<&UserRef> for PersonDocument {
    fn from(user: &UserRef) -> Self {
        Self {
            id: user.id.to_string(),
            username: user.username.clone(),
        }
    }
}

impl TryFrom<PersonDocument> for UserRef {
    type Error = StorageError;

    fn try_from(person: PersonDocument) -> Result<Self, StorageError> {
        Ok(Self {
            id: person.id.parse().map_err(malformed)?,
            username: person.username,
        })
    }
}

fn time(time: Option<DateTime>) -> Result<Option<Timestamp>, StorageError> {
    time.map(from_bson).transpose()
}

/// A revision as it is stored.
pub(super) fn revision(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
