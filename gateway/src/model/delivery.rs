//! What the operator of a mail server says of mails that were sent.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_proto::notify::v1;
use utoipa::ToSchema;

use super::{Malformed, proto::to_proto, required};

/// What became of mails. The shape is nobody's in particular: every provider's own webhook
/// has these facts, and is a few lines away from it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeliveriesHook {
    #[schema(max_items = 500)]
    deliveries: Vec<Delivery>,
}

/// What became of one mail.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Delivery {
    /// The mail's `Message-ID`, with or without angle brackets.
    #[schema(max_length = 998)]
    message_id: String,
    status: DeliveryStatus,
    /// When it happened; without it: now.
    #[serde(default)]
    at: Option<Timestamp>,
    /// The provider's words; the reason, if it came back. Of a long one the beginning is
    /// kept.
    #[serde(default)]
    detail: String,
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
    /// As it came.
    message_id: String,
    result: DeliveryResult,
}

impl DeliveriesHook {
    /// As the service is asked to take it.
    pub(crate) fn confirmations(&self) -> v1::ConfirmDeliveriesRequest {
        let confirmations = self.deliveries.iter().map(Delivery::confirmation);
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
        let answered = self.deliveries.into_iter().map(|delivery| {
            let result = results.next().and_then(DeliveryResult::of);
            Ok(ConfirmedDelivery {
                message_id: delivery.message_id,
                result: required("result", result)?,
            })
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

impl Delivery {
    fn confirmation(&self) -> v1::DeliveryConfirmation {
        let status = match self.status {
            DeliveryStatus::Delivered => v1::DeliveryStatus::Delivered,
            DeliveryStatus::Bounced => v1::DeliveryStatus::Bounced,
        };
        v1::DeliveryConfirmation {
            message_id: self.message_id.clone(),
            status: status.into(),
            at: self.at.map(to_proto),
            detail: self.detail.clone(),
        }
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
