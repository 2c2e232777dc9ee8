//! The alerts that were raised and not delivered yet. Pure: the caller passes the time.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Condition, Kind};

/// Minimum time between two reports of one condition.
const EVERY: Duration = Duration::from_secs(10);

/// A condition that was not raised for this long is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// Maximum number of conditions. There are few kinds with few subjects: more is a bug in the code
/// that raises them, and must not fill the memory.
const CONDITIONS: usize = 1000;

/// Maximum characters of a summary.
const SUMMARY: usize = 300;

/// One delivery of a condition. It never changes: a repeated delivery has the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Identifies the report.
    pub id: Uuid,
    /// The condition.
    pub condition: Condition,
    /// What is wrong, in one line without secrets.
    pub summary: String,
    /// When it was first raised.
    pub since: Timestamp,
    /// How many times it was raised since the previous report.
    pub count: u64,
    /// Whether the condition has ended.
    pub resolved: bool,
    /// The trace in which it was first raised.
    pub trace_id: Option<String>,
}

#[derive(Debug)]
struct Entry {
    summary: String,
    trace_id: Option<String>,
    since: Timestamp,
    raised_at: Instant,
    /// Times raised since the last report was made.
    count: u64,
    /// Whether the condition has ended and that was not reported yet.
    over: bool,
    reported_at: Option<Instant>,
    /// The report that was made and not delivered yet.
    undelivered: Option<Report>,
}

/// All conditions of the process.
#[derive(Debug, Default)]
pub(super) struct Ledger(HashMap<Condition, Entry>);

impl Ledger {
    /// Records that the condition was raised; returns whether to report it immediately.
    pub(super) fn raise(
        &mut self,
        condition: Condition,
        summary: &str,
        trace_id: Option<String>,
        at: Timestamp,
        now: Instant,
    ) -> bool {
        if !self.0.contains_key(&condition) && self.0.len() >= CONDITIONS {
            return false;
        }
        let entry = self.0.entry(condition).or_insert_with(|| Entry {
            summary: String::new(),
            trace_id: None,
            since: at,
            raised_at: now,
            count: 0,
            over: false,
            reported_at: None,
            undelivered: None,
        });
        if entry.summary.is_empty() || entry.over {
            entry.summary = summary.chars().take(SUMMARY).collect();
            entry.trace_id = trace_id;
        }
        entry.count += 1;
        entry.over = false;
        entry.raised_at = now;
        entry.reported_at.is_none()
    }

    /// Whether a condition of this kind is active.
    pub(super) fn stands(&self, kind: Kind) -> bool {
        let mut entries = self.0.iter();
        entries.any(|(condition, entry)| condition.kind == kind && !entry.over)
    }

    /// Whether the condition is active.
    #[cfg(feature = "testing")]
    pub(super) fn has(&self, condition: &Condition) -> bool {
        self.0.get(condition).is_some_and(|entry| !entry.over)
    }

    /// Records that the condition has ended; returns whether there is something to report.
    pub(super) fn resolve(&mut self, condition: &Condition) -> bool {
        let Some(entry) = self.0.get_mut(condition) else {
            return false;
        };
        let is_news = !entry.over;
        entry.over = true;
        is_news
    }

    /// The reports to deliver now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Report> {
        self.0.retain(|_, entry| {
            let pending = entry.count > 0 || entry.over || entry.undelivered.is_some();
            pending || now.duration_since(entry.raised_at) < FORGET_AFTER
        });
        let reports = self.0.iter_mut();
        reports
            .filter_map(|(condition, entry)| entry.report(condition, now))
            .collect()
    }

    /// Records that a report was delivered.
    pub(super) fn delivered(&mut self, report: &Report) {
        let Some(entry) = self.0.get_mut(&report.condition) else {
            return;
        };
        entry.undelivered = None;
        if report.resolved && entry.over && entry.count == 0 {
            self.0.remove(&report.condition);
        }
    }
}

impl Entry {
    fn report(&mut self, condition: &Condition, now: Instant) -> Option<Report> {
        if let Some(undelivered) = &self.undelivered {
            return Some(undelivered.clone());
        }
        let rested = self
            .reported_at
            .is_none_or(|at| now.duration_since(at) >= EVERY);
        if !self.over && (self.count == 0 || !rested) {
            return None;
        }
        let report = Report {
            id: Uuid::now_v7(),
            condition: condition.clone(),
            summary: self.summary.clone(),
            since: self.since,
            count: std::mem::take(&mut self.count),
            resolved: self.over,
            trace_id: self.trace_id.clone(),
        };
        self.reported_at = Some(now);
        self.undelivered = Some(report.clone());
        Some(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(n: usize) -> Condition {
        Condition {
            kind: Kind::Panic,
            about: n.to_string(),
        }
    }

    fn raise(ledger: &mut Ledger, n: usize, now: Instant) -> bool {
        ledger.raise(condition(n), "it", None, Timestamp::UNIX_EPOCH, now)
    }

    #[test]
    fn the_first_is_reported_at_once_and_the_others_as_a_count() {
        let (mut ledger, start) = (Ledger::default(), Instant::now());
        assert!(raise(&mut ledger, 1, start));
        let first = ledger.due(start);
        assert_eq!((first.len(), first[0].count), (1, 1));
        ledger.delivered(&first[0]);
        for _ in 0..10_000 {
            assert!(!raise(&mut ledger, 1, start));
        }
        assert!(ledger.due(start).is_empty());
        let later = ledger.due(start + EVERY);
        assert_eq!((later.len(), later[0].count), (1, 10_000));
    }

    #[test]
    fn an_undelivered_report_is_delivered_again_unchanged() {
        let (mut ledger, start) = (Ledger::default(), Instant::now());
        raise(&mut ledger, 1, start);
        let first = ledger.due(start);
        raise(&mut ledger, 1, start);
        assert_eq!(ledger.due(start), first);
        ledger.delivered(&first[0]);
        assert_eq!(ledger.due(start + EVERY)[0].count, 1);
    }

    #[test]
    fn the_end_is_reported_once_and_immediately() {
        let (mut ledger, start) = (Ledger::default(), Instant::now());
        assert!(!ledger.resolve(&condition(1)), "it was never raised");
        raise(&mut ledger, 1, start);
        let first = ledger.due(start);
        ledger.delivered(&first[0]);
        assert!(ledger.resolve(&condition(1)));
        assert!(!ledger.resolve(&condition(1)));
        let end = ledger.due(start);
        assert!(end[0].resolved);
        ledger.delivered(&end[0]);
        assert!(ledger.due(start + FORGET_AFTER).is_empty());
        assert!(
            raise(&mut ledger, 1, start),
            "a new condition is reported at once"
        );
    }

    #[test]
    fn a_condition_raised_again_before_its_end_is_delivered_continues() {
        let (mut ledger, start) = (Ledger::default(), Instant::now());
        raise(&mut ledger, 1, start);
        let first = ledger.due(start);
        ledger.delivered(&first[0]);
        ledger.resolve(&condition(1));
        let end = ledger.due(start);
        raise(&mut ledger, 1, start);
        ledger.delivered(&end[0]);
        let again = ledger.due(start + EVERY);
        assert_eq!((again[0].resolved, again[0].count), (false, 1));
    }

    #[test]
    fn the_number_of_conditions_is_bounded() {
        let (mut ledger, start) = (Ledger::default(), Instant::now());
        for n in 0..2 * CONDITIONS {
            raise(&mut ledger, n, start);
        }
        let all = ledger.due(start);
        assert_eq!(all.len(), CONDITIONS);
        for report in &all {
            ledger.delivered(report);
        }
        assert!(ledger.due(start + FORGET_AFTER).is_empty());
        assert!(raise(&mut ledger, CONDITIONS + 1, start), "there is room");
    }
}
