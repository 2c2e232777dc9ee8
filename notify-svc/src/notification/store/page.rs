//! How notifications are listed.

use std::fmt;

use uuid::Uuid;

use crate::notification::{Filter, NotificationId};

/// Which way a list goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Newest first.
    #[default]
    NewestFirst,
    /// Oldest first.
    OldestFirst,
}

/// A part of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Which notifications.
    pub filter: Filter,
    /// In which order.
    pub direction: Direction,
    /// Where the page begins: behind this one.
    pub behind: Option<NotificationId>,
    /// How many at most.
    pub limit: u32,
}

impl Query {
    /// The first page of what `filter` admits, newest first.
    #[must_use]
    pub fn newest(filter: Filter, limit: u32) -> Self {
        Self {
            filter,
            direction: Direction::NewestFirst,
            behind: None,
            limit,
        }
    }

    /// The identifiers between which the page is, without both.
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
    /// Everything but the place and the limit: what a cursor is bound to.
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
        if let Some(to) = to {
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
