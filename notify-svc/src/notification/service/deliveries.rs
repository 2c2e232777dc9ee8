//! Translates delivery reports between protobuf messages and this feature's types.

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

/// Maximum number of reports in one request.
const LONGEST: usize = 500;

/// The reports of a request; `None` for a mail that is not ours.
pub(super) fn reports(
    request: &ConfirmDeliveriesRequest,
    now: Timestamp,
) -> Result<Vec<Option<Confirmation>>, Fault> {
    if request.confirmations.len() > LONGEST {
        let message = format!("must be at most {LONGEST}");
        return Err(Fault::invalid_field("confirmations", message));
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
        Fault::invalid_field(format!("confirmations[{n}].{field}"), message)
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

/// The detail on one line; a bounce always has one.
fn plain(detail: &str, arrival: DeliveryReport) -> String {
    let line = clean_line(detail);
    match arrival {
        DeliveryReport::Bounced if is_blank(&line) => "it bounced without a reason".to_owned(),
        _ => line,
    }
}

/// The response. `taken` has the results of the reports that are not `None`, in their order.
pub(super) fn answered(
    reports: &[Option<Confirmation>],
    taken: Vec<ConfirmationOutcome>,
) -> ConfirmDeliveriesResponse {
    let mut taken = taken.into_iter();
    let results = reports.iter().map(|one| {
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
    fn a_mail_that_is_not_ours_is_unknown() {
        let ours = format!("<{}@example.com>", Uuid::now_v7());
        let long = "x".repeat(10_000);
        let all = vec![bounced(&long, ""), bounced(&ours, ""), bounced("", "")];
        let reports = reports(&request(all), Timestamp::UNIX_EPOCH).unwrap();
        let known: Vec<_> = reports.iter().map(Option::is_some).collect();
        assert_eq!(known, [false, true, false]);
        let answer = answered(&reports, vec![ConfirmationOutcome::Recorded]);
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
            let reports = reports(&request, Timestamp::UNIX_EPOCH);
            reports.unwrap().remove(0).unwrap().detail
        };
        assert_eq!(reason("550\r\nno such box"), "550  no such box");
        for blank in [" \n", "\u{200b}", "\u{feff}\u{202e}"] {
            assert_eq!(reason(blank), "it bounced without a reason");
        }
    }

    #[test]
    fn an_invalid_report_is_named_by_its_index() {
        let mut without = bounced("<1@a>", "");
        without.status = 0;
        let all = vec![bounced("", ""); LONGEST + 1];
        for (bad, field) in [
            (vec![bounced("", ""), without], "confirmations[1].status"),
            (all, "confirmations"),
        ] {
            let fault = reports(&request(bad), Timestamp::UNIX_EPOCH).unwrap_err();
            assert_eq!(fault.fields[0].field, field);
        }
    }
}
