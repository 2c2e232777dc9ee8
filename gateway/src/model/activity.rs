//! Activity entries, and the parameters of their list and stream.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use slipway_proto::notify::v1;
use slipway_rpc::error::Fault;
use utoipa::{IntoParams, ToSchema};

use super::{Id, Malformed, Paging, UserRef, proto};
use crate::{
    activity::{Filter, TypePattern},
    extract::{flag, list, parsed, parsed_if_any},
};

/// One thing that happened.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActivityEntry {
    /// Its place in the log: 1, 2, 3, … without gaps.
    pub(crate) sequence: u64,
    /// Id of the event.
    id: Id,
    /// For example `task.started`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    time: Timestamp,
    /// Who did it; `null` for the system.
    #[schema(required)]
    pub(crate) actor: Option<UserRef>,
    /// Id of the thing it is about.
    subject: String,
    /// One sentence for a person.
    summary: String,
    /// The event's payload.
    #[schema(value_type = Object)]
    data: Value,
}

impl TryFrom<v1::ActivityEntry> for ActivityEntry {
    type Error = Malformed;

    fn try_from(entry: v1::ActivityEntry) -> Result<Self, Malformed> {
        let data = serde_json::from_str(&entry.data_json).ok();
        Ok(Self {
            sequence: entry.sequence,
            id: proto::id("event id", &entry.id)?,
            kind: entry.r#type,
            time: proto::time("time", entry.time)?,
            actor: entry.actor.map(UserRef::try_from).transpose()?,
            subject: entry.subject,
            summary: entry.summary,
            data: proto::required("data_json", data)?,
        })
    }
}

/// A position in the log, from 0 (before the first entry).
pub(crate) type Sequence = Number<0>;

/// A number from `MIN` on that every store can save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number<const MIN: u64>(pub(crate) u64);

/// A text that is not a [`Number`].
#[derive(Debug)]
pub(crate) struct NoNumber(u64);

impl fmt::Display for NoNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.0, i64::MAX);
        write!(
            f,
            "must be a whole number from {first} to {last}, without a sign or leading zeros"
        )
    }
}

impl<const MIN: u64> FromStr for Number<MIN> {
    type Err = NoNumber;

    fn from_str(text: &str) -> Result<Self, NoNumber> {
        let number = whole(text);
        number
            .filter(|number| (MIN..=i64::MAX.unsigned_abs()).contains(number))
            .map(Self)
            .ok_or(NoNumber(MIN))
    }
}

/// A whole number in its one spelling: digits, without a sign or zeros before them.
pub(super) fn whole(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// Which entries come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    /// The oldest.
    Asc,
    /// The newest.
    Desc,
}

impl FromStr for Order {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "asc" => Ok(Self::Asc),
            "desc" => Ok(Self::Desc),
            _ => Err("must be asc or desc"),
        }
    }
}

/// The parameters of the list of activity.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ActivityQuery {
    /// Only entries with a greater number.
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<u64>)]
    after: Option<Sequence>,
    /// Only entries with a smaller number.
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<u64>, minimum = 1)]
    before: Option<Number<1>>,
    /// Which entries come first: the newest by default.
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    order: Option<Order>,
    /// Only these types: exact (`task.started`) or a family (`task.*`). Repeat it, or
    /// separate several by commas. One that does not exist is refused.
    #[serde(default, rename = "type", deserialize_with = "list")]
    #[param(value_type = Vec<String>, max_items = 20)]
    types: Vec<TypePattern>,
    /// Only entries about this release, which exists or existed.
    #[serde(default, deserialize_with = "parsed")]
    pub(crate) release_id: Option<Id>,
    /// Only entries that the caller caused or that concern the caller.
    #[serde(default, deserialize_with = "flag")]
    #[param(value_type = Option<bool>)]
    mine: Option<bool>,
}

impl ActivityQuery {
    /// The request for this page of the list.
    ///
    /// # Errors
    /// If there are too many types, or `before` is less than `after`.
    pub(crate) fn page(self, paging: Paging) -> Result<v1::ActivityServiceListRequest, Fault> {
        if let (Some(after), Some(before)) = (self.after, self.before)
            && before.0 < after.0
        {
            return Err(Fault::invalid_field(
                "before",
                "must not be less than after",
            ));
        }
        let filter = Filter::new(self.types, self.release_id, self.mine)?;
        Ok(v1::ActivityServiceListRequest {
            filter: Some(filter.to_proto()),
            after: self.after.map_or(0, |after| after.0),
            before: self.before.map_or(0, |before| before.0),
            ascending: self.order == Some(Order::Asc),
            page_size: paging.page_size(),
            page_token: paging.page_token(),
        })
    }
}

/// The parameters of the stream of activity.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamQuery {
    /// Start after this number. The header `Last-Event-ID` and `lastEventId` take precedence over
    /// it. Left out: start with the next new entry.
    #[serde(default, deserialize_with = "parsed")]
    #[param(value_type = Option<u64>)]
    after: Option<Sequence>,
    /// The same as the header `Last-Event-ID`, which takes precedence over it: for clients that
    /// cannot send headers and add it to the address when they connect again. An empty value
    /// counts as left out.
    #[serde(default, deserialize_with = "parsed_if_any")]
    #[param(value_type = Option<u64>)]
    last_event_id: Option<Sequence>,
    /// Only these types: exact (`task.started`) or a family (`task.*`). Repeat it, or
    /// separate several by commas. One that does not exist is refused.
    #[serde(default, rename = "type", deserialize_with = "list")]
    #[param(value_type = Vec<String>, max_items = 20)]
    types: Vec<TypePattern>,
    /// Only entries about this release, which exists or existed.
    #[serde(default, deserialize_with = "parsed")]
    pub(crate) release_id: Option<Id>,
    /// Only entries that the caller caused or that concern the caller.
    #[serde(default, deserialize_with = "flag")]
    #[param(value_type = Option<bool>)]
    mine: Option<bool>,
}

impl StreamQuery {
    /// The number after which the stream starts; `header` is the header `Last-Event-ID`. The last
    /// entry that a client has seen takes precedence over its first start position.
    pub(crate) fn after(&self, header: Option<Sequence>) -> Option<u64> {
        let after = header.or(self.last_event_id).or(self.after);
        after.map(|after| after.0)
    }

    /// The filter of the stream.
    ///
    /// # Errors
    /// If there are too many types.
    pub(crate) fn filter(self) -> Result<Filter, Fault> {
        Filter::new(self.types, self.release_id, self.mine)
    }
}
