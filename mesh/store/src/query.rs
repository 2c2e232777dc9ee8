//! Queries: which part of a list to read, and in which direction.

use std::fmt;

/// The direction in which a list is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the smallest order up.
    Ascending,
    /// From the greatest order down.
    Descending,
}

/// A part of the list under one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub(crate) key: String,
    /// Only entries with a greater order.
    pub(crate) above: Option<String>,
    /// Only entries with a smaller order.
    pub(crate) below: Option<String>,
    pub(crate) direction: Direction,
    pub(crate) limit: u32,
}

impl Query {
    /// The first `limit` entries under `key`.
    #[must_use]
    pub fn first(limit: u32, key: impl fmt::Display) -> Self {
        Self {
            key: key.to_string(),
            above: None,
            below: None,
            direction: Direction::Ascending,
            limit,
        }
    }

    /// The last `limit` entries under `key`, the last one first.
    #[must_use]
    pub fn last(limit: u32, key: impl fmt::Display) -> Self {
        Self {
            direction: Direction::Descending,
            ..Self::first(limit, key)
        }
    }

    /// Limits the query to entries whose order is greater than `order`.
    #[must_use]
    pub fn above(mut self, order: impl fmt::Display) -> Self {
        self.above = Some(order.to_string());
        self
    }

    /// Limits the query to entries whose order is smaller than `order`.
    #[must_use]
    pub fn below(mut self, order: impl fmt::Display) -> Self {
        self.below = Some(order.to_string());
        self
    }

    /// Continues after `order`, if it is given, in the direction of the query.
    #[must_use]
    pub fn behind(self, order: Option<impl fmt::Display>) -> Self {
        match (order, self.direction) {
            (None, _) => self,
            (Some(order), Direction::Ascending) => self.above(order),
            (Some(order), Direction::Descending) => self.below(order),
        }
    }
}
