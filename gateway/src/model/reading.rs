//! How far the caller has read.

use serde::{Deserialize, Serialize};
use slipway_proto::notify::v1;
use slipway_rpc::error::Fault;
use slipway_runtime::json::whole;
use utoipa::ToSchema;

use super::{
    Id, Malformed,
    proto::{self, required},
};

/// The greatest number that every reader of JSON keeps.
const LAST: i64 = 9_007_199_254_740_991;

/// How much is unread, counted up to 99.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Unread {
    count: u32,
    /// Whether there is more than `count`.
    more: bool,
}

impl From<v1::Unread> for Unread {
    fn from(unread: v1::Unread) -> Self {
        Self {
            count: unread.count,
            more: unread.more,
        }
    }
}

/// How far the caller has read the activity feed.
#[derive(Debug, Serialize, ToSchema)]
struct ReadActivity {
    /// The number of the last entry that was read; 0: none.
    sequence: u64,
    /// Entries with greater numbers.
    unread: Unread,
}

/// How far the caller has read their notifications.
#[derive(Debug, Serialize, ToSchema)]
struct ReadNotifications {
    /// The last one that was read; `null`: none.
    #[schema(required)]
    id: Option<Id>,
    /// Those that were created after it.
    unread: Unread,
}

/// How far the caller has read, in all of their clients together.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReadPosition {
    activity: ReadActivity,
    notifications: ReadNotifications,
}

impl TryFrom<v1::ReadPosition> for ReadPosition {
    type Error = Malformed;

    fn try_from(position: v1::ReadPosition) -> Result<Self, Malformed> {
        Ok(Self {
            activity: ReadActivity {
                sequence: position.sequence,
                unread: required("entries", position.entries)?.into(),
            },
            notifications: ReadNotifications {
                id: proto::optional_id("notification_id", &position.notification_id)?,
                unread: required("notifications", position.notifications)?.into(),
            },
        })
    }
}

/// What was read. At least one of the two is given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewReadPosition {
    /// The number of the last entry of the activity feed that was read. One that does not exist yet
    /// counts as the newest one.
    #[serde(default, deserialize_with = "whole::<LAST, _>")]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    sequence: Option<i64>,
    /// The last notification that was read.
    notification_id: Option<Id>,
}

impl NewReadPosition {
    /// The request.
    ///
    /// # Errors
    /// If the number is negative.
    pub(crate) fn request(self) -> Result<v1::UpdateReadPositionRequest, Fault> {
        let id = self.notification_id.map(|id| id.to_string());
        let sequence = self.sequence.map(u64::try_from).transpose();
        let sequence = sequence.map_err(|_| Fault::invalid_field("sequence", "must be 0 or more"));
        Ok(v1::UpdateReadPositionRequest {
            sequence: sequence?,
            notification_id: id.unwrap_or_default(),
        })
    }
}
