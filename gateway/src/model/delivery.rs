//! What the operator of a mail server says of mails that were sent.
//!
//! Programs that say so seldom send again what was refused with 4xx. So each is read by
//! itself: one that cannot be is answered in its place, and all others are taken up.

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
use crate::extract::{or_absent, up_to};

/// What became of mails. The shape is nobody's in particular: every provider's own webhook
/// has these facts, and is a few lines away from it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeliveriesHook {
    #[serde(deserialize_with = "up_to::<500, _, _>")]
    #[schema(max_items = 500, value_type = Vec<Delivery>)]
    deliveries: Vec<Said>,
}

/// What is said of one mail.
#[derive(Debug)]
enum Said {
    Confirmation(v1::DeliveryConfirmation),
    /// It cannot be read.
    Invalid {
        message_id: String,
        reason: String,
    },
}

/// What became of one mail.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Delivery {
    /// The mail's `Message-ID`, with or without angle brackets. Without it the result is
    /// `INVALID`.
    #[schema(max_length = 998)]
    message_id: Option<String>,
    /// Without it the result is `INVALID`.
    status: Option<DeliveryStatus>,
    /// When it happened; without it, if it is no time, or if it is still to come: now.
    #[serde(default, deserialize_with = "or_absent")]
    at: Option<Timestamp>,
    /// The provider's words; the reason, if it came back. Of a long one the beginning is
    /// kept.
    detail: Option<String>,
}

/// Whether a mail reached its recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum DeliveryStatus {
    /// It did: `SENT` becomes `DELIVERED`.
    Delivered,
    /// It came back and will not be delivered: `SENT` becomes `FAILED`. A delay is no bounce.
    Bounced,
}

/// What became of a confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum DeliveryResult {
    /// The log says so, by this confirmation or an earlier one.
    Recorded,
    /// The log has another end of it, which stays.
    Contradicts,
    /// The log does not say yet that it was sent: to be repeated.
    TooEarly,
    /// No mail with this `Message-ID` is known, or not any more.
    Unknown,
    /// It cannot be read: `reason` says why. To repeat it does not help.
    Invalid,
}

/// What became of all of them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConfirmedDeliveries {
    /// One for each, in the order in which they came.
    pub(crate) results: Vec<ConfirmedDelivery>,
}

/// What became of one.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConfirmedDelivery {
    /// As it came; empty if it did not.
    message_id: String,
    result: DeliveryResult,
    /// What is wrong with it, if it is `INVALID`.
    #[schema(required)]
    reason: Option<String>,
}

impl DeliveriesHook {
    /// As the service is asked to take up those that can be read.
    pub(crate) fn confirmations(&self) -> v1::ConfirmDeliveriesRequest {
        let confirmations = self.deliveries.iter().filter_map(|said| match said {
            Said::Confirmation(confirmation) => Some(confirmation.clone()),
            Said::Invalid { .. } => None,
        });
        v1::ConfirmDeliveriesRequest {
            confirmations: confirmations.collect(),
        }
    }

    /// Each with its result.
    pub(crate) fn answered(
        self,
        answer: &v1::ConfirmDeliveriesResponse,
    ) -> Result<ConfirmedDeliveries, Malformed> {
        let mut results = answer.results();
        let answered = self.deliveries.into_iter().map(|said| match said {
            Said::Confirmation(confirmation) => {
                let result = results.next().and_then(DeliveryResult::of);
                Ok(ConfirmedDelivery {
                    message_id: confirmation.message_id,
                    result: required("result", result)?,
                    reason: None,
                })
            }
            Said::Invalid { message_id, reason } => Ok(ConfirmedDelivery {
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
    /// Whether some are to be sent again.
    pub(crate) fn some_are_too_early(&self) -> bool {
        let mut results = self.results.iter();
        results.any(|one| one.result == DeliveryResult::TooEarly)
    }
}

impl<'de> Deserialize<'de> for Said {
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
    /// As the service is asked to take it, or what is wrong with it.
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

    /// What is answered if the service takes up all it is asked to.
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
    fn one_that_cannot_be_read_is_answered_in_its_place() {
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
    fn there_may_be_500_of_whatever_kind() {
        let hook = |count| json!({ "deliveries": vec![0; count] });
        let hook = |count| serde_json::from_value::<DeliveriesHook>(hook(count));
        assert_eq!(hook(500).unwrap().deliveries.len(), 500);
        let refused = hook(501).unwrap_err().to_string();
        assert!(refused.contains("must be at most 500"), "{refused}");
    }

    #[test]
    fn what_is_null_or_no_time_counts_as_left_out() {
        for at in [json!(null), json!(""), json!("yesterday"), json!(7)] {
            let said = json!([{"messageId": "x", "status": "bounced", "at": at, "detail": null}]);
            let (asked, results) = answered(&said);
            assert_eq!(
                (asked, &results[0]["result"]),
                (1, &json!("RECORDED")),
                "{at}"
            );
        }
    }
}
