//! How notifications are listed.

use std::fmt;

use uuid::Uuid;

use crate::notification::{Filter, Notification, NotificationId};

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

    /// The identifiers that may stand on the page: from the first one on, up to but
    /// without the second.
    pub(super) fn range(&self) -> (NotificationId, NotificationId) {
        let Filter { from, until, .. } = self.filter;
        let mut least = from.map_or(Uuid::nil(), |from| NotificationId::first_at(from).0);
        let mut end = until.map_or(Uuid::max(), |until| NotificationId::first_at(until).0);
        match (self.behind, self.direction) {
            (None, _) => {}
            (Some(NotificationId(behind)), Direction::NewestFirst) => end = end.min(behind),
            (Some(NotificationId(behind)), Direction::OldestFirst) => {
                let next = Uuid::from_u128(behind.as_u128().saturating_add(1));
                least = least.max(next);
            }
        }
        (NotificationId(least), NotificationId(end))
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

/// A page of the log.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// The notifications, in the order asked for. May be fewer than asked for though
    /// more follow: a page has a weight, and a limit to how many it examines.
    pub items: Vec<Notification>,
    /// Where the next page goes on, if more may follow.
    pub next: Option<NotificationId>,
}
