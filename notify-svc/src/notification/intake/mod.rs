//! Events that other programs announce: permissions, data and quota. The types in this file are
//! pure.
//!
//! - An administrator may notify any user; other users may notify only themselves. People trust
//!   mails from Slipway, so nobody else may send texts of their own through it.
//! - The type must be one that an administrator has made templates for. Built-in types are only for
//!   Slipway's own events.
//! - The data must be exactly the template's variables.
//! - Each sender may announce [`QUOTA`] events in any [`WINDOW`].

pub(crate) mod announce;
pub(crate) mod service;
pub mod store;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use slipway_proto::events::UserRef;
use slipway_rpc::{
    access::{Principal, Role},
    error::FieldError,
};
use uuid::Uuid;

use super::templates::Variable;

/// How many events one sender may announce within [`WINDOW`].
pub const QUOTA: usize = 10;

/// How long an event counts against the quota.
pub const WINDOW: SignedDuration = SignedDuration::from_mins(1);

/// Maximum number of recipients of one event.
pub const MAX_RECIPIENTS: usize = 50;

/// An event that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AcceptedEvent {
    /// Id of the event.
    pub id: Uuid,
    /// Its type, which has templates.
    pub kind: String,
    /// Who announced it.
    pub sender: UserRef,
    /// The users to notify, each once.
    pub recipients: Vec<UserRef>,
    /// When it was accepted.
    pub at: Timestamp,
}

/// Whether `sender` may notify `recipient`.
#[must_use]
pub fn may_notify(sender: &Principal, recipient: Uuid) -> bool {
    sender.role == Role::Admin || sender.user_id == recipient
}

/// How long to wait before another event is accepted; `None` if it is accepted now. `times` are
/// the acceptance times of the sender's latest events, newest first.
#[must_use]
pub fn wait(times: &[Timestamp], now: Timestamp) -> Option<SignedDuration> {
    let oldest_of_the_quota = times.get(QUOTA - 1)?;
    // Limited to the window because replicas' clocks differ: `now` may be before an event in
    // `times`.
    let left = (WINDOW - now.duration_since(*oldest_of_the_quota)).min(WINDOW);
    left.is_positive().then_some(left)
}

/// How many more events are accepted now.
#[must_use]
pub fn left(times: &[Timestamp], now: Timestamp) -> usize {
    let counting = times
        .iter()
        .filter(|time| now.duration_since(**time) < WINDOW);
    QUOTA.saturating_sub(counting.count())
}

/// What is wrong with an event's data.
#[must_use]
pub fn flaws(data: &Map<String, Value>, variables: &[Variable]) -> Vec<FieldError> {
    let missing = variables.iter().filter(|variable| {
        variable.required && data.get(&variable.name).is_none_or(Value::is_null)
    });
    let missing = missing.map(|variable| flaw(&variable.name, "is required by this type"));
    let unknown = data.keys().filter(|name| {
        let mut names = variables.iter().map(|variable| &variable.name);
        names.all(|known| known != *name)
    });
    let unknown = unknown.map(|name| flaw(name, "is no variable of this type"));
    missing.chain(unknown).collect()
}

fn flaw(name: &str, message: &str) -> FieldError {
    FieldError {
        field: format!("data_json.{name}"),
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn seconds(numbers: impl IntoIterator<Item = i64>) -> Vec<Timestamp> {
        let time = |second| Timestamp::from_second(second).unwrap();
        numbers.into_iter().map(time).collect()
    }

    #[test]
    fn the_quota_is_ten_events_in_any_minute() {
        let now = Timestamp::from_second(100).unwrap();
        let nine = seconds((92..=100).rev());
        assert_eq!((wait(&nine, now), left(&nine, now)), (None, 1));
        let ten = seconds((91..=100).rev());
        let expected = SignedDuration::from_secs(51);
        assert_eq!((wait(&ten, now), left(&ten, now)), (Some(expected), 0));
        let first_is_over = seconds((0..10).rev().map(|n| 46 + 6 * n));
        let later = Timestamp::from_second(106).unwrap();
        assert_eq!(wait(&first_is_over, later), None);
        assert_eq!(left(&first_is_over, later), 1);
    }

    #[test]
    fn nobody_waits_longer_than_the_window() {
        let ten = seconds((101..=110).rev());
        let a_moment_before = Timestamp::from_second(100).unwrap();
        assert_eq!(wait(&ten, a_moment_before), Some(WINDOW));
    }

    #[test]
    fn an_administrator_may_notify_anybody_and_others_only_themselves() {
        let principal = |role| Principal {
            user_id: Uuid::from_u128(1),
            username: "ada".into(),
            role,
            scope: None,
            session_id: None,
            expires_at: Timestamp::MAX,
        };
        let (own, others) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert!(may_notify(&principal(Role::Admin), others));
        assert!(may_notify(&principal(Role::Developer), own));
        assert!(!may_notify(&principal(Role::Developer), others));
        assert!(!may_notify(&principal(Role::Service), others));
    }

    #[test]
    fn the_data_must_be_exactly_the_variables() {
        let variable = |name: &str, required| Variable {
            name: name.to_owned(),
            required,
        };
        let variables = [variable("orderId", true), variable("note", false)];
        let fields = |data: Value| -> Vec<_> {
            let flaws = flaws(data.as_object().unwrap(), &variables);
            flaws.into_iter().map(|flaw| flaw.field).collect()
        };
        assert!(fields(json!({"orderId": 7})).is_empty());
        assert!(fields(json!({"orderId": 7, "note": "x"})).is_empty());
        assert_eq!(fields(json!({"orderId": null})), ["data_json.orderId"]);
        assert_eq!(
            fields(json!({"orderID": 7})),
            ["data_json.orderId", "data_json.orderID"]
        );
    }
}
