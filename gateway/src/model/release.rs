//! Releases.

use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_proto::release::v1;
use slipway_rpc::error::Fault;
use utoipa::{IntoParams, ToSchema};

use super::{
    Id, Malformed, NewTask, Paging, Task, TaskView, UserRef,
    proto::{self, required},
};
use crate::extract::{given, parsed};

/// The status of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ReleaseStatus {
    /// Not completed by an admin.
    Open,
    /// Completed by an admin.
    Completed,
}

impl ReleaseStatus {
    fn from_proto(status: v1::ReleaseStatus) -> Option<Self> {
        match status {
            v1::ReleaseStatus::Unspecified => None,
            v1::ReleaseStatus::Open => Some(Self::Open),
            v1::ReleaseStatus::Completed => Some(Self::Completed),
        }
    }

    fn to_proto(self) -> v1::ReleaseStatus {
        match self {
            Self::Open => v1::ReleaseStatus::Open,
            Self::Completed => v1::ReleaseStatus::Completed,
        }
    }
}

impl FromStr for ReleaseStatus {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "OPEN" => Ok(Self::Open),
            "COMPLETED" => Ok(Self::Completed),
            _ => Err("must be OPEN or COMPLETED"),
        }
    }
}

/// The progress of a release, in tasks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Progress {
    total: u32,
    completed: u32,
}

/// A release without its tasks, as in lists.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReleaseSummary {
    pub(crate) id: Id,
    name: String,
    /// May be empty.
    description: String,
    /// Free text; may be empty.
    version: String,
    status: ReleaseStatus,
    /// The same as `status` being `COMPLETED`.
    is_completed: bool,
    progress: Progress,
    created_by: UserRef,
    created_at: Timestamp,
    /// `null` while the release is open.
    #[schema(required)]
    completed_at: Option<Timestamp>,
    /// How many hotfixes reopened it.
    reopened_count: u32,
    /// Grows by one with every change.
    pub(crate) revision: u64,
}

impl TryFrom<v1::Release> for ReleaseSummary {
    type Error = Malformed;

    fn try_from(release: v1::Release) -> Result<Self, Malformed> {
        let status = required("status", ReleaseStatus::from_proto(release.status()))?;
        let progress = required("progress", release.progress)?;
        Ok(Self {
            id: proto::id("release id", &release.id)?,
            name: release.name,
            description: release.description,
            version: release.version,
            status,
            is_completed: status == ReleaseStatus::Completed,
            progress: Progress {
                total: progress.total,
                completed: progress.completed,
            },
            created_by: required("created_by", release.created_by)?.try_into()?,
            created_at: proto::time("created_at", release.created_at)?,
            completed_at: proto::optional_time("completed_at", release.completed_at)?,
            reopened_count: release.reopened_count,
            revision: release.revision,
        })
    }
}

/// A software delivery milestone: an ordered list of tasks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Release {
    #[serde(flatten)]
    pub(crate) summary: ReleaseSummary,
    /// In order.
    tasks: Vec<Task>,
}

impl TryFrom<v1::Release> for Release {
    type Error = Malformed;

    fn try_from(mut release: v1::Release) -> Result<Self, Malformed> {
        let tasks = std::mem::take(&mut release.tasks);
        Ok(Self {
            summary: release.try_into()?,
            tasks: tasks
                .into_iter()
                .map(Task::try_from)
                .collect::<Result<_, _>>()?,
        })
    }
}

/// A release as the caller sees it: with which of its tasks they could start.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReleaseView {
    #[serde(flatten)]
    pub(crate) summary: ReleaseSummary,
    /// In order.
    tasks: Vec<TaskView>,
}

impl ReleaseView {
    /// What of it depends on the caller, and may change without a new revision.
    pub(crate) fn view(&self) -> String {
        let tasks = self.tasks.iter().filter_map(TaskView::view);
        tasks.collect()
    }
}

impl TryFrom<v1::GetReleaseResponse> for ReleaseView {
    type Error = Malformed;

    fn try_from(answer: v1::GetReleaseResponse) -> Result<Self, Malformed> {
        let mut release = required("release", answer.release)?;
        let tasks = std::mem::take(&mut release.tasks);
        let mut readiness = answer.readiness.into_iter();
        let tasks = tasks.into_iter().map(|task| {
            let readiness = required("readiness of each task", readiness.next())?;
            TaskView::of(task, readiness)
        });
        Ok(Self {
            tasks: tasks.collect::<Result<_, _>>()?,
            summary: release.try_into()?,
        })
    }
}

/// A release to be planned, with its first tasks if any: all or nothing.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRelease {
    /// Normalised to Unicode NFC and trimmed, like versions and titles.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    #[schema(max_length = 8000)]
    description: Option<String>,
    #[schema(max_length = 100)]
    version: Option<String>,
    #[schema(max_items = 500)]
    tasks: Option<Vec<NewTask>>,
    /// For plans that several administrators may submit at the same time: of all requests with
    /// `once` within 24 hours, by any user, only one creates a release of this name and version.
    /// The others get that release if they are the same request, and are refused if they are not.
    /// The amount of white space between words makes no difference. `Idempotency-Key` is then
    /// ignored.
    once: Option<bool>,
}

impl TryFrom<NewRelease> for v1::CreateReleaseRequest {
    type Error = Fault;

    fn try_from(release: NewRelease) -> Result<Self, Fault> {
        let tasks = release.tasks.unwrap_or_default().into_iter().enumerate();
        Ok(Self {
            name: release.name,
            description: release.description.unwrap_or_default(),
            version: release.version.unwrap_or_default(),
            tasks: tasks
                .map(|(index, task)| task.into_proto(&format!("tasks[{index}].")))
                .collect::<Result<_, _>>()?,
            once: release.once.unwrap_or_default(),
        })
    }
}

/// A change of a release. What is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReleaseChange {
    #[serde(default, deserialize_with = "given")]
    #[schema(min_length = 1, max_length = 200, nullable = false)]
    name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(max_length = 8000, nullable = false)]
    description: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(max_length = 100, nullable = false)]
    version: Option<String>,
}

impl ReleaseChange {
    /// The request that changes this release, at any revision.
    pub(crate) fn of(self, release: Id) -> v1::UpdateReleaseRequest {
        v1::UpdateReleaseRequest {
            id: release.to_string(),
            name: self.name,
            description: self.description,
            version: self.version,
            revision: 0,
        }
    }
}

/// The parameters of the list of releases.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReleaseQuery {
    /// Only releases in this state.
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    status: Option<ReleaseStatus>,
}

impl ReleaseQuery {
    /// The request for this page of the list.
    pub(crate) fn page(self, paging: Paging) -> v1::ListReleasesRequest {
        let status = self.status.map(ReleaseStatus::to_proto);
        v1::ListReleasesRequest {
            status: status.unwrap_or(v1::ReleaseStatus::Unspecified).into(),
            page_size: paging.page_size(),
            page_token: paging.page_token(),
        }
    }
}
