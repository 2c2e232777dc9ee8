//! Queries for lists of notifications.

use std::fmt;

use uuid::Uuid;

use crate::notification::{Filter, NotificationId};

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Newest first.
    #[default]
    NewestFirst,
    /// Oldest first.
    OldestFirst,
}

/// A query for a page of notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Which notifications to return.
    pub filter: Filter,
    /// Order of the list.
    pub direction: Direction,
    /// The page starts after this one.
    pub behind: Option<NotificationId>,
    /// Maximum number of notifications.
    pub limit: u32,
}

impl Query {
    /// The first page of `filter`, newest first.
    #[must_use]
    pub fn newest(filter: Filter, limit: u32) -> Self {
        Self {
            filter,
            direction: Direction::NewestFirst,
            behind: None,
            limit,
        }
    }

    /// The ids between which the page lies; both are excluded.
    pub(super) fn bounds(&self) -> (NotificationId, NotificationId) {
        let Filter { from, until, .. } = self.filter;
        let before = |first: NotificationId| first.0.as_u128().saturating_sub(1);
        let from = from.map_or(0, |from| before(NotificationId::first_at(from)));
        let mut above = NotificationId(Uuid::from_u128(from));
        let mut below = until.map_or(NotificationId(Uuid::max()), NotificationId::first_at);
        match (self.behind, self.direction) {
            (None, _) => {}
            (Some(behind), Direction::NewestFirst) => below = below.min(behind),
            (Some(behind), Direction::OldestFirst) => above = above.max(behind),
        }
        (above, below)
    }
}

impl fmt::Display for Query {
    /// Everything but the position and the limit. A cursor is valid only for the same text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Filter {
            to,
            state,
            kind,
            from,
            until,
            text,
        } = &self.filter;
        f.write_str("notifications?")?;
        for to in to {
            write!(f, "to={to}&")?;
        }
        if let Some(state) = state {
            write!(f, "state={}&", state.as_str())?;
        }
        if let Some(kind) = kind {
            write!(f, "type={kind}&")?;
        }
        if let Some(from) = from {
            write!(f, "from={from}&")?;
        }
        if let Some(until) = until {
            write!(f, "until={until}&")?;
        }
        if let Some(text) = text {
            write!(f, "text={text}&")?;
        }
        write!(f, "{:?}", self.direction)
    }
}
