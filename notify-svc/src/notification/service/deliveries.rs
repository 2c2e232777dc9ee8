//! Between the contract's confirmations and this crate's terms.

use jiff::Timestamp;
use slipway_proto::{
    notify::v1::{
        ConfirmDeliveriesRequest, ConfirmDeliveriesResponse, DeliveryConfirmation, DeliveryResult,
        DeliveryStatus,
    },
    time::from_proto,
};
use slipway_rpc::error::Fault;
use slipway_runtime::text::{clean_line, is_blank};

use crate::notification::{
    Confirmation, DeliveryReport,
    confirmation::{notification_of, record::ConfirmationOutcome},
};

/// Confirmations of one request at most.
const LONGEST: usize = 500;

/// What is said of each mail; `None` of one that is none of ours.
pub(super) fn said(
    request: &ConfirmDeliveriesRequest,
    now: Timestamp,
) -> Result<Vec<Option<Confirmation>>, Fault> {
    if request.confirmations.len() > LONGEST {
        let message = format!("must be at most {LONGEST}");
        return Err(Fault::invalid_field("deliveries", message));
    }
    let all = request.confirmations.iter().enumerate();
    all.map(|(n, confirmation)| read(n, confirmation, now))
        .collect()
}

fn read(
    n: usize,
    confirmation: &DeliveryConfirmation,
    now: Timestamp,
) -> Result<Option<Confirmation>, Fault> {
    let bad = |field: &str, message: &str| {
        Fault::invalid_field(format!("deliveries[{n}].{field}"), message)
    };
    let arrival = match confirmation.status() {
        DeliveryStatus::Unspecified => {
            return Err(bad("status", "must be delivered or bounced"));
        }
        DeliveryStatus::Delivered => DeliveryReport::Delivered,
        DeliveryStatus::Bounced => DeliveryReport::Bounced,
    };
    let at = confirmation.at.map(from_proto).transpose();
    let at = at.map_err(|_| bad("at", "must be a time"))?.unwrap_or(now);
    let id = notification_of(&confirmation.message_id);
    Ok(id.map(|id| Confirmation {
        id,
        arrival,
        at,
        detail: plain(&confirmation.detail, arrival),
    }))
}

/// On one line; it is never without a reason why a mail came back.
fn plain(detail: &str, arrival: DeliveryReport) -> String {
    let line = clean_line(detail);
    match arrival {
        DeliveryReport::Bounced if is_blank(&line) => {
            "it came back, and nobody said why".to_owned()
        }
        _ => line,
    }
}

/// The answer: `taken` is of those that could be ours, in their order.
pub(super) fn answered(
    said: &[Option<Confirmation>],
    taken: Vec<ConfirmationOutcome>,
) -> ConfirmDeliveriesResponse {
    let mut taken = taken.into_iter();
    let results = said.iter().map(|one| {
        let result = one.as_ref().and_then(|_| taken.next());
        let result = match result.unwrap_or(ConfirmationOutcome::Unknown) {
            ConfirmationOutcome::Recorded => DeliveryResult::Recorded,
            ConfirmationOutcome::Contradicts => DeliveryResult::Contradicts,
            ConfirmationOutcome::TooEarly => DeliveryResult::TooEarly,
            ConfirmationOutcome::Unknown => DeliveryResult::Unknown,
        };
        result.into()
    });
    ConfirmDeliveriesResponse {
        results: results.collect(),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn request(confirmations: Vec<DeliveryConfirmation>) -> ConfirmDeliveriesRequest {
        ConfirmDeliveriesRequest { confirmations }
    }

    fn bounced(message_id: &str, detail: &str) -> DeliveryConfirmation {
        DeliveryConfirmation {
            message_id: message_id.to_owned(),
            status: DeliveryStatus::Bounced.into(),
            at: None,
            detail: detail.to_owned(),
        }
    }

    #[test]
    fn what_is_none_of_ours_is_unknown_in_its_place() {
        let ours = format!("<{}@example.com>", Uuid::now_v7());
        let long = "x".repeat(10_000);
        let all = vec![bounced(&long, ""), bounced(&ours, ""), bounced("", "")];
        let said = said(&request(all), Timestamp::UNIX_EPOCH).unwrap();
        let known: Vec<_> = said.iter().map(Option::is_some).collect();
        assert_eq!(known, [false, true, false]);
        let answer = answered(&said, vec![ConfirmationOutcome::Recorded]);
        let expected = [
            DeliveryResult::Unknown,
            DeliveryResult::Recorded,
            DeliveryResult::Unknown,
        ];
        assert_eq!(answer.results, expected.map(i32::from));
    }

    #[test]
    fn a_bounce_has_a_reason_on_one_line() {
        let ours = format!("{}@example.com", Uuid::now_v7());
        let reason = |detail| {
            let request = request(vec![bounced(&ours, detail)]);
            let said = said(&request, Timestamp::UNIX_EPOCH);
            said.unwrap().remove(0).unwrap().detail
        };
        assert_eq!(reason("550\r\nno such box"), "550  no such box");
        for blank in [" \n", "\u{200b}", "\u{feff}\u{202e}"] {
            assert_eq!(reason(blank), "it came back, and nobody said why");
        }
    }

    #[test]
    fn bad_ones_are_named_by_their_place() {
        let mut without = bounced("<1@a>", "");
        without.status = 0;
        let all = vec![bounced("", ""); LONGEST + 1];
        for (bad, field) in [
            (vec![bounced("", ""), without], "deliveries[1].status"),
            (all, "deliveries"),
        ] {
            let fault = said(&request(bad), Timestamp::UNIX_EPOCH).unwrap_err();
            assert_eq!(fault.fields[0].field, field);
        }
    }
}
