//! When administrators are mailed, and when an incident closes.

use proptest::prelude::*;
use slipway_proto::events::SystemErrorEvent;

use super::*;

fn start() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn after(minutes: i64) -> Timestamp {
    start() + SignedDuration::from_mins(minutes)
}

fn event(resolved: bool) -> SystemErrorEvent {
    SystemErrorEvent {
        service: "release".into(),
        kind: "panic".into(),
        fingerprint: "release/panic/x".into(),
        summary: "it broke\r\nBcc: x".into(),
        since: start(),
        count: 1,
        resolved,
        lasts: false,
        trace_id: None,
    }
}

fn report(resolved: bool) -> Report {
    Report::new(Uuid::now_v7(), event(resolved)).unwrap()
}

fn reasons(incident: &Incident) -> Vec<AlertReason> {
    incident
        .mailings
        .iter()
        .map(|mailing| mailing.news)
        .collect()
}

#[test]
fn long_fingerprints_with_the_same_beginning_are_two_incidents() {
    let of = |fingerprint: String| {
        let event = SystemErrorEvent {
            fingerprint,
            ..event(false)
        };
        Report::new(Uuid::now_v7(), event).unwrap().fingerprint
    };
    let long = |end: &str| format!("alert/{}{end}", "x".repeat(500));
    assert_ne!(of(long("a")), of(long("b")));
    assert_eq!(of(long("a")), of(long("a")));
    assert!(of(long("a")).starts_with("alert/xxx"));
    assert_eq!(of(long("a")).chars().count(), 200);
    let short = "x".repeat(200);
    assert_eq!(of(short.clone()), short);
}

#[test]
fn ten_thousand_reports_cause_one_mail_and_a_count() {
    let mut incident = Incident::first(&report(false), start());
    for _ in 1..10_000 {
        incident = incident.after(&[&report(false)], after(1)).unwrap();
    }
    assert_eq!(
        (incident.count, reasons(&incident)),
        (10_000, vec![AlertReason::Begun])
    );
    assert_eq!(incident.revision, 10_000);
    assert!(incident.reports.len() <= REMEMBERED);
}

#[test]
fn a_report_counts_once() {
    let first = report(false);
    let incident = Incident::first(&first, start());
    assert_eq!(incident.after(&[&first], after(1)), None);
}

#[test]
fn a_lasting_fault_is_mailed_hourly_and_its_end_at_once() {
    let mut incident = Incident::first(&report(false), start());
    for minute in 1..=150 {
        incident = incident.after(&[&report(false)], after(minute)).unwrap();
    }
    use AlertReason::{Begun, Lasts, Over};
    assert_eq!(reasons(&incident), [Begun, Lasts, Lasts]);
    let incident = incident.after(&[&report(true)], after(151)).unwrap();
    assert_eq!(reasons(&incident), [Begun, Lasts, Lasts, Over]);
    assert_eq!(incident.state, State::Resolved);
    assert_eq!(incident.resolved_at, Some(after(151)));
    let again = incident.after(&[&report(true)], after(152)).unwrap();
    assert_eq!(reasons(&again).len(), 4, "it is over once");
    let again = again.after(&[&report(false)], after(153)).unwrap();
    assert_eq!(reasons(&again).last(), Some(&Begun));
    assert_eq!((again.id, again.resolved_at), (incident.id, None));
}

#[test]
fn silence_closes_an_incident_unless_it_lasts() {
    let incident = Incident::first(&report(false), start());
    assert_eq!(incident.silent(after(9)), None);
    let over = incident.silent(after(10)).unwrap();
    assert_eq!(reasons(&over), [AlertReason::Begun, AlertReason::Over]);
    assert_eq!(over.silent(after(30)), None);
    let lasting = Report {
        lasts: true,
        ..report(false)
    };
    assert_eq!(Incident::first(&lasting, start()).silent(after(600)), None);
}

#[test]
fn a_fault_that_is_over_at_its_first_report_is_not_mailed() {
    let incident = Incident::first(&report(true), start());
    assert_eq!(
        (incident.state, incident.is_owing()),
        (State::Resolved, false)
    );
}

#[test]
fn a_direct_mail_is_not_repeated() {
    let direct = Report {
        mailed_at: Some(start()),
        ..report(false)
    };
    let incident = Incident::first(&direct, after(5));
    assert_eq!(reasons(&incident), [AlertReason::Begun]);
    assert!(!incident.is_owing());
    let over = incident.after(&[&report(true)], after(6)).unwrap();
    assert!(over.is_owing(), "its end is told as usual");
}

#[test]
fn a_mailing_is_pending_until_its_notifications_are_created() {
    let incident = Incident::first(&report(false), start());
    let owed: Vec<_> = incident.owed().map(|mailing| mailing.id).collect();
    assert_eq!(owed.len(), 1);
    let told = incident.told();
    assert_eq!((told.is_owing(), told.revision), (false, 2));
}

#[test]
fn texts_are_single_lines_and_required() {
    assert_eq!(report(false).summary, "it broke  Bcc: x");
    let empty = SystemErrorEvent {
        service: "x".into(),
        kind: "x".into(),
        fingerprint: " ".into(),
        summary: "x".into(),
        since: start(),
        count: 1,
        resolved: false,
        lasts: false,
        trace_id: None,
    };
    assert_eq!(
        Report::new(Uuid::nil(), empty),
        Err(Malformed("fingerprint"))
    );
}

proptest! {
    #[test]
    fn never_more_than_six_mails_an_hour(
        steps in prop::collection::vec((0..20_i64, any::<bool>()), 1..200)
    ) {
        let mut incident = Incident::first(&report(false), start());
        let (mut minute, mut mailed) = (0, vec![start()]);
        for (wait, resolved) in steps {
            minute += wait;
            let known = incident.mailings.last().map(|mailing| mailing.id);
            incident = incident.after(&[&report(resolved)], after(minute)).unwrap();
            if incident.mailings.last().map(|mailing| mailing.id) != known {
                mailed.push(after(minute));
            }
        }
        for window in mailed.windows(MAILS_AN_HOUR + 1) {
            prop_assert!(window[MAILS_AN_HOUR].duration_since(window[0]) >= REMINDER);
        }
    }
}
