//! Delivery confirmations: reports by the mail server's operator about sent mails.
//!
//! Senders seldom repeat a request that was refused with 4xx. So each confirmation is read on its
//! own: an invalid one is reported in its result, and the others are processed.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use slipway_proto::notify::v1;
use slipway_runtime::{
    json::{Objects, Wrong},
    text::is_blank,
};
use utoipa::ToSchema;

use super::{Malformed, proto::to_proto, required};
use crate::extract::{time, up_to};

/// The outcome of mails. The format is independent of providers: the webhook of every provider has
/// these facts and can be converted with little code.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeliveriesHook {
    #[serde(deserialize_with = "up_to::<500, _, _>")]
    #[schema(max_items = 500, value_type = Vec<Delivery>)]
    deliveries: Vec<Item>,
}

/// One item of the request.
#[derive(Debug)]
enum Item {
    Confirmation(v1::DeliveryConfirmation),
    /// An item that cannot be read.
    Invalid {
        message_id: String,
        reason: String,
    },
}

/// The outcome of one mail.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Delivery {
    /// The mail's `Message-ID`, with or without angle brackets. Without it the result is
    /// `INVALID`.
    #[schema(max_length = 998)]
    message_id: Option<String>,
    /// Without it the result is `INVALID`.
    status: Option<DeliveryStatus>,
    /// When it happened. If it is left out or in the future: now. With a value that is not a time
    /// the result is `INVALID`.
    #[serde(default, deserialize_with = "time")]
    at: Option<Timestamp>,
    /// The provider's message; for a bounce, the reason. A long one is cut.
    detail: Option<String>,
}

/// Whether a mail reached its recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum DeliveryStatus {
    /// It did: `SENT` becomes `DELIVERED`.
    Delivered,
    /// It bounced and will not be delivered: `SENT` becomes `FAILED`. A delay is not a bounce.
    Bounced,
}

/// The result of a confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum DeliveryResult {
    /// The log has this outcome, by this confirmation or an earlier one.
    Recorded,
    /// The log has another final outcome, which stays.
    Contradicts,
    /// The log does not have the mail as sent yet: repeat the confirmation.
    TooEarly,
    /// No mail with this `Message-ID` is known, or it is no longer known.
    Unknown,
    /// It is invalid: `reason` says why. Repeating it does not help.
    Invalid,
}

/// The results of all confirmations.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConfirmedDeliveries {
    /// One per confirmation, in the order of the request.
    pub(crate) results: Vec<ConfirmedDelivery>,
}

/// The result of one confirmation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConfirmedDelivery {
    /// As in the request; empty if it was left out.
    message_id: String,
    result: DeliveryResult,
    /// What is wrong with it, if the result is `INVALID`.
    #[schema(required)]
    reason: Option<String>,
}

impl DeliveriesHook {
    /// The request for the service, with the valid confirmations.
    pub(crate) fn confirmations(&self) -> v1::ConfirmDeliveriesRequest {
        let confirmations = self.deliveries.iter().filter_map(|item| match item {
            Item::Confirmation(confirmation) => Some(confirmation.clone()),
            Item::Invalid { .. } => None,
        });
        v1::ConfirmDeliveriesRequest {
            confirmations: confirmations.collect(),
        }
    }

    /// The results of all items, from the service's response.
    pub(crate) fn answered(
        self,
        answer: &v1::ConfirmDeliveriesResponse,
    ) -> Result<ConfirmedDeliveries, Malformed> {
        let mut results = answer.results();
        let answered = self.deliveries.into_iter().map(|item| match item {
            Item::Confirmation(confirmation) => {
                let result = results.next().and_then(DeliveryResult::of);
                Ok(ConfirmedDelivery {
                    message_id: confirmation.message_id,
                    result: required("result", result)?,
                    reason: None,
                })
            }
            Item::Invalid { message_id, reason } => Ok(ConfirmedDelivery {
                message_id,
                result: DeliveryResult::Invalid,
                reason: Some(reason),
            }),
        });
        Ok(ConfirmedDeliveries {
            results: answered.collect::<Result<_, _>>()?,
        })
    }
}

impl ConfirmedDeliveries {
    /// Whether some confirmations must be repeated.
    pub(crate) fn some_are_too_early(&self) -> bool {
        let mut results = self.results.iter();
        results.any(|one| one.result == DeliveryResult::TooEarly)
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let message_id = value.get("messageId").and_then(Value::as_str);
        let message_id = message_id.unwrap_or_default().to_owned();
        let delivery = serde_path_to_error::deserialize::<_, Delivery>(Objects(value));
        let confirmation = delivery
            .map_err(|error| Wrong::json(&error.path().to_string(), error.inner()).to_string())
            .and_then(Delivery::confirmation);
        Ok(match confirmation {
            Ok(confirmation) => Self::Confirmation(confirmation),
            Err(reason) => Self::Invalid { message_id, reason },
        })
    }
}

impl Delivery {
    /// The confirmation for the service, or what is wrong with it.
    fn confirmation(self) -> Result<v1::DeliveryConfirmation, String> {
        let message_id = self.message_id.filter(|id| !is_blank(id));
        let status = match self.status.ok_or("status is required")? {
            DeliveryStatus::Delivered => v1::DeliveryStatus::Delivered,
            DeliveryStatus::Bounced => v1::DeliveryStatus::Bounced,
        };
        Ok(v1::DeliveryConfirmation {
            message_id: message_id.ok_or("messageId is required")?,
            status: status.into(),
            at: self.at.map(to_proto),
            detail: self.detail.unwrap_or_default(),
        })
    }
}

impl DeliveryResult {
    fn of(result: v1::DeliveryResult) -> Option<Self> {
        match result {
            v1::DeliveryResult::Unspecified => None,
            v1::DeliveryResult::Recorded => Some(Self::Recorded),
            v1::DeliveryResult::Contradicts => Some(Self::Contradicts),
            v1::DeliveryResult::TooEarly => Some(Self::TooEarly),
            v1::DeliveryResult::Unknown => Some(Self::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NO_TIME: &str = "at must be a date with a time and an offset (RFC 3339), such as \
                           2026-12-01T17:00:00Z";

    /// The results if the service records all confirmations.
    fn answered(deliveries: &Value) -> (usize, Vec<Value>) {
        let hook = json!({ "deliveries": deliveries });
        let hook: DeliveriesHook = serde_json::from_value(hook).unwrap();
        let asked = hook.confirmations().confirmations.len();
        let answer = v1::ConfirmDeliveriesResponse {
            results: vec![v1::DeliveryResult::Recorded.into(); asked],
        };
        let results = hook.answered(&answer).unwrap().results;
        let results = results.iter().map(|one| serde_json::to_value(one).unwrap());
        (asked, results.collect())
    }

    #[test]
    fn an_invalid_confirmation_gets_its_result_in_order() {
        let good = json!({"messageId": "<1@a>", "status": "delivered"});
        let bad = [
            (json!(null), "must be an object"),
            (json!([1]), "must be an object"),
            (json!({"status": "bounced"}), "messageId is required"),
            (
                json!({"messageId": " ", "status": "bounced"}),
                "messageId is required",
            ),
            (json!({"messageId": "x"}), "status is required"),
            (
                json!({"messageId": "x", "status": null}),
                "status is required",
            ),
            (
                json!({"messageId": "x", "status": "opened"}),
                "status must be delivered or bounced",
            ),
            (
                json!({"messageId": "x", "status": "bounced", "reason": "y"}),
                "reason is not known here",
            ),
            (
                json!({"messageId": 7, "status": "bounced"}),
                "messageId must be a string",
            ),
            (
                json!({"messageId": "x", "status": "bounced", "at": "yesterday"}),
                NO_TIME,
            ),
            (
                json!({"messageId": "x", "status": "bounced", "at": ""}),
                NO_TIME,
            ),
            (
                json!({"messageId": "x", "status": "bounced", "at": 7}),
                NO_TIME,
            ),
        ];
        for (bad, reason) in bad {
            let (asked, results) = answered(&json!([good, bad, good]));
            assert_eq!(asked, 2, "{bad}");
            assert_eq!(results[0]["result"], "RECORDED");
            assert_eq!(results[1]["result"], "INVALID");
            assert_eq!(results[1]["reason"], reason);
            assert_eq!(results[2]["reason"], Value::Null);
        }
    }

    #[test]
    fn a_request_has_at_most_500_items() {
        let hook = |count| json!({ "deliveries": vec![0; count] });
        let hook = |count| serde_json::from_value::<DeliveriesHook>(hook(count));
        assert_eq!(hook(500).unwrap().deliveries.len(), 500);
        let refused = hook(501).unwrap_err().to_string();
        assert!(refused.contains("must be at most 500"), "{refused}");
    }

    #[test]
    fn null_counts_as_absent() {
        let items = json!([{"messageId": "x", "status": "bounced", "at": null, "detail": null}]);
        let (asked, results) = answered(&items);
        assert_eq!((asked, &results[0]["result"]), (1, &json!("RECORDED")));
    }
}
