//! What became of the notifications of a day.

use jiff::Timestamp;
use serde::Serialize;
use slipway_proto::notify::v1;
use utoipa::ToSchema;

use super::{
    Malformed,
    proto::{self, required},
};

/// How many notifications there are in each state; each is counted up to 100,000.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StateCounts {
    queued: u64,
    sending: u64,
    sent: u64,
    delivered: u64,
    failed: u64,
    suppressed: u64,
}

/// How long notifications took from their creation to the acceptance by the mail server. Those that
/// were held back for quiet hours or a digest are left out.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Latency {
    /// Of how many: of the last 1,000 that were sent today.
    measured: u64,
    /// `null` if none was measured.
    #[schema(required)]
    mean_ms: Option<u64>,
    /// `null` if none was measured.
    #[schema(required)]
    p99_ms: Option<u64>,
}

/// The notifications that were created today.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeliveryFigures {
    /// Midnight, the beginning of today.
    from: Timestamp,
    /// The time zone in which the day is: that of the caller's preferences.
    time_zone: String,
    /// In all states.
    total: u64,
    counts: StateCounts,
    /// The same as in `counts`.
    failed: u64,
    /// Of those that were sent or given up, the part that was sent: from 0 to 1. `null` if there are
    /// none.
    #[schema(required)]
    success_rate: Option<f64>,
    latency: Latency,
}

impl TryFrom<v1::GetDeliveryFiguresResponse> for DeliveryFigures {
    type Error = Malformed;

    fn try_from(figures: v1::GetDeliveryFiguresResponse) -> Result<Self, Malformed> {
        let v1::StateCounts {
            queued,
            sending,
            sent,
            delivered,
            failed,
            suppressed,
        } = required("counts", figures.counts)?;
        Ok(Self {
            from: proto::time("from", figures.from)?,
            time_zone: figures.time_zone,
            total: queued + sending + sent + delivered + failed + suppressed,
            failed,
            success_rate: rate(sent + delivered, failed),
            counts: StateCounts {
                queued,
                sending,
                sent,
                delivered,
                failed,
                suppressed,
            },
            latency: Latency {
                measured: figures.measured,
                mean_ms: figures.mean_latency_ms,
                p99_ms: figures.p99_latency_ms,
            },
        })
    }
}

/// The part of what succeeded, to four places.
fn rate(succeeded: u64, failed: u64) -> Option<f64> {
    let all = succeeded + failed;
    let rate = succeeded as f64 / all as f64;
    (all > 0).then(|| (rate * 10_000.0).round() / 10_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_success_rate_is_of_what_was_sent_or_given_up() {
        for (succeeded, failed, expected) in [
            (0, 0, None),
            (0, 3, Some(0.0)),
            (3, 0, Some(1.0)),
            (2, 1, Some(0.6667)),
        ] {
            assert_eq!(rate(succeeded, failed), expected);
        }
    }
}
