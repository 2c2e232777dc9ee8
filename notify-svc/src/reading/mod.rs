//! How far each user has read the activity feed and their notifications.
//!
//! A position only moves forward, so two tabs or two replicas that store theirs in any order end at
//! the greater one. What is unread is counted up to a bound.

pub(crate) mod service;
pub mod store;

use serde::{Deserialize, Serialize};

use crate::notification::NotificationId;

/// How far a user has read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// The number of the last entry of the activity feed; 0: none.
    pub sequence: u64,
    /// The last notification, if any.
    pub notification: Option<NotificationId>,
}

impl Position {
    /// The position after something was read up to `other`, in any order.
    #[must_use]
    pub fn joined(self, other: Self) -> Self {
        Self {
            sequence: self.sequence.max(other.sequence),
            notification: self.notification.max(other.notification),
        }
    }
}

/// How much is unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unread {
    /// At most [`Self::MOST`].
    pub count: u32,
    /// Whether there is more.
    pub more: bool,
}

impl Unread {
    /// How much is counted.
    pub const MOST: u32 = 99;

    /// Of this many.
    #[must_use]
    pub fn of(count: u64) -> Self {
        let bounded = u32::try_from(count).unwrap_or(u32::MAX).min(Self::MOST);
        Self {
            count: bounded,
            more: count > u64::from(bounded),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_position_is_the_greatest_of_all_in_any_order() {
        let at = |sequence, notification: Option<u128>| Position {
            sequence,
            notification: notification.map(|id| NotificationId(Uuid::from_u128(id))),
        };
        let (one, other) = (at(7, None), at(3, Some(9)));
        assert_eq!(one.joined(other), at(7, Some(9)));
        assert_eq!(other.joined(one), at(7, Some(9)));
        assert_eq!(at(7, Some(9)).joined(at(8, Some(2))), at(8, Some(9)));
        assert_eq!(Position::default().joined(one), one);
    }

    #[test]
    fn what_is_unread_is_counted_up_to_a_bound() {
        let of = |count| (Unread::of(count).count, Unread::of(count).more);
        assert_eq!((of(0), of(99)), ((0, false), (99, false)));
        assert_eq!((of(100), of(u64::MAX)), ((99, true), (99, true)));
    }
}
