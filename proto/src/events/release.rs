//! Events about releases.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::UserRef;

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
    /// How many tasks it was planned with.
    pub total_tasks: u32,
}

/// `release.ready`: the last task of a release was completed. An admin can declare it done.
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
    /// How many tasks it has.
    pub total_tasks: u32,
}

/// `release.completed`: an admin declared a release done, all its tasks being completed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseCompletedEvent {
    /// Id of the release.
    pub release_id: Uuid,
    /// Its name.
    pub release_name: String,
    /// Its version; may be empty.
    pub version: String,
    /// How many tasks it has.
    pub total_tasks: u32,
    /// When.
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
    /// How many tasks it has, the hotfix included.
    pub total_tasks: u32,
    /// How many of them are completed.
    pub completed_tasks: u32,
    /// How many times it has been reopened, this time included.
    pub reopened_count: u32,
}
