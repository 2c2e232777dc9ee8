//! Pages of lists.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use slipway_rpc::page::{DEFAULT_LIMIT, MAX_LIMIT};
use utoipa::{IntoParams, ToSchema};

use super::activity::whole;
use crate::extract::parsed;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page<T> {
    /// The items, in the list's order.
    pub(crate) items: Vec<T>,
    /// Gives the next page as `?cursor=`. `null` on the last one.
    #[schema(required)]
    pub(crate) next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page from a service's response.
    pub(crate) fn new<P, E>(items: Vec<P>, next_page_token: String) -> Result<Self, E>
    where
        T: TryFrom<P, Error = E>,
    {
        let items = items.into_iter().map(T::try_from);
        Ok(Self::of(items.collect::<Result<_, _>>()?, next_page_token))
    }

    /// A page of these items.
    pub(crate) fn of(items: Vec<T>, next_page_token: String) -> Self {
        Self {
            items,
            next_cursor: Some(next_page_token).filter(|token| !token.is_empty()),
        }
    }
}

/// Maximum number of items on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit(u32);

/// A number that is not a [`Limit`].
#[derive(Debug)]
pub(crate) struct OutOfBounds;

impl fmt::Display for OutOfBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "must be a whole number from 1 to {MAX_LIMIT}, without a sign or leading zeros"
        )
    }
}

impl FromStr for Limit {
    type Err = OutOfBounds;

    fn from_str(text: &str) -> Result<Self, OutOfBounds> {
        let number = whole(text).and_then(|number| u32::try_from(number).ok());
        number
            .filter(|number| (1..=MAX_LIMIT).contains(number))
            .map(Self)
            .ok_or(OutOfBounds)
    }
}

/// The parameters of a list that has none of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoConditions {}

/// The parameters that every list has.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// How many items at most.
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<Limit>,
    /// The `nextCursor` of the page before. Opaque: only the list that issued it can read
    /// it.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    cursor: String,
}

impl Paging {
    /// The names of the parameters.
    pub(crate) const NAMES: [&str; 2] = ["limit", "cursor"];

    /// The page size for a service.
    pub(crate) fn page_size(&self) -> i32 {
        let size = self.limit.map_or(DEFAULT_LIMIT, |limit| limit.0);
        i32::try_from(size).unwrap_or(i32::MAX)
    }

    /// The page token for a service.
    pub(crate) fn page_token(self) -> String {
        self.cursor
    }
}
