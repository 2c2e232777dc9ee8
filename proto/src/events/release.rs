//! Events about releases.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{FieldChange, UserRef};

/// `release.created`: a release was planned. Its tasks follow as `task.created`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseCreatedEvent {
    /// Id of the release.
    pub release_id: Uuid,
    /// Its name.
    pub release_name: String,
    /// Its version; may be empty.
    pub version: String,
    /// The admin who planned it.
    pub created_by: UserRef,
    /// The number of tasks it was planned with.
    pub total_tasks: u32,
}

/// `release.ready`: the last task of a release was completed. An admin can now complete the
/// release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseReadyEvent {
    /// Id of the release.
    pub release_id: Uuid,
    /// Its name.
    pub release_name: String,
    /// Its version; may be empty.
    pub version: String,
    /// The admin who planned it.
    pub created_by: UserRef,
    /// The number of tasks.
    pub total_tasks: u32,
}

/// `release.completed`: an admin completed a release whose tasks are all completed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseCompletedEvent {
    /// Id of the release.
    pub release_id: Uuid,
    /// Its name.
    pub release_name: String,
    /// Its version; may be empty.
    pub version: String,
    /// The number of tasks.
    pub total_tasks: u32,
    /// When it was completed.
    pub completed_at: Timestamp,
}

/// `release.reopened`: a hotfix was added to a completed release. `task.created` and
/// `task.hotfix_added` follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseReopenedEvent {
    /// Id of the release.
    pub release_id: Uuid,
    /// Its name.
    pub release_name: String,
    /// Its version; may be empty.
    pub version: String,
    /// The number of tasks, including the hotfix.
    pub total_tasks: u32,
    /// The number of completed tasks.
    pub completed_tasks: u32,
    /// How often it was reopened, including this time.
    pub reopened_count: u32,
}

/// `release.updated`: an admin changed the name, description or version of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseUpdatedEvent {
    /// Id of the release.
    pub release_id: Uuid,
    /// Its name after the change.
    pub release_name: String,
    /// Its description after the change; may be empty.
    pub description: String,
    /// Its version after the change; may be empty.
    pub version: String,
    /// The admin who planned it.
    pub created_by: UserRef,
    /// The number of tasks.
    pub total_tasks: u32,
    /// The number of completed tasks.
    pub completed_tasks: u32,
    /// The changed fields: `name`, `description`, `version`.
    pub changed: Vec<String>,
    /// Their values before and after. Absent in events of older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FieldChange>,
}

/// `release.deleted`: a release of which nothing was started was deleted. Its tasks follow as
/// `task.deleted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseDeletedEvent {
    /// Id of the release.
    pub release_id: Uuid,
    /// Its name.
    pub release_name: String,
    /// Its description; may be empty.
    pub description: String,
    /// Its version; may be empty.
    pub version: String,
    /// The admin who planned it.
    pub created_by: UserRef,
    /// The number of tasks that were deleted with it.
    pub total_tasks: u32,
}
