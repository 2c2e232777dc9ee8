//! What has been raised and not been delivered. Pure: time comes in.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Condition, Kind};

/// Between two reports of one condition.
const EVERY: Duration = Duration::from_secs(10);

/// A condition that has not been raised for so long is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// Conditions at most. There are few kinds, and few things they are about: more is a
/// mistake in what is raised, and must not fill the memory.
const CONDITIONS: usize = 1000;

/// Characters of a summary at most.
const SUMMARY: usize = 300;

/// What is delivered of a condition, always whole: a repetition has the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Tells it from other reports.
    pub id: Uuid,
    /// What is wrong.
    pub condition: Condition,
    /// In one line, without a secret.
    pub summary: String,
    /// When it was first raised.
    pub since: Timestamp,
    /// How many times since the report before.
    pub count: u64,
    /// Whether it is over.
    pub resolved: bool,
    /// The trace of what raised it first.
    pub trace_id: Option<String>,
}

#[derive(Debug)]
struct Entry {
    summary: String,
    trace_id: Option<String>,
    since: Timestamp,
    raised_at: Instant,
    /// Since the last report was made.
    count: u64,
    /// Whether it is over and that is not reported yet.
    over: bool,
    reported_at: Option<Instant>,
    /// Made and not delivered.
    undelivered: Option<Report>,
}

/// All conditions of the process.
#[derive(Debug, Default)]
pub(super) struct Ledger(HashMap<Condition, Entry>);

impl Ledger {
    /// Notes that it happened; whether it is to be reported at once.
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

    /// Whether something of this kind is raised and not over.
    pub(super) fn stands(&self, kind: Kind) -> bool {
        let mut entries = self.0.iter();
        entries.any(|(condition, entry)| condition.kind == kind && !entry.over)
    }

    /// Whether it is raised and not over.
    #[cfg(feature = "testing")]
    pub(super) fn has(&self, condition: &Condition) -> bool {
        self.0.get(condition).is_some_and(|entry| !entry.over)
    }

    /// Notes that it is over; whether there is something to report.
    pub(super) fn resolve(&mut self, condition: &Condition) -> bool {
        let Some(entry) = self.0.get_mut(condition) else {
            return false;
        };
        let is_news = !entry.over;
        entry.over = true;
        is_news
    }

    /// What is to be delivered now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Report> {
        self.0.retain(|_, entry| {
            let news = entry.count > 0 || entry.over || entry.undelivered.is_some();
            news || now.duration_since(entry.raised_at) < FORGET_AFTER
        });
        let reports = self.0.iter_mut();
        reports
            .filter_map(|(condition, entry)| entry.report(condition, now))
            .collect()
    }

    /// Notes that a report has arrived.
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
    fn what_is_not_delivered_is_delivered_again_as_it_was() {
        let (mut ledger, start) = (Ledger::default(), Instant::now());
        raise(&mut ledger, 1, start);
        let first = ledger.due(start);
        raise(&mut ledger, 1, start);
        assert_eq!(ledger.due(start), first);
        ledger.delivered(&first[0]);
        assert_eq!(ledger.due(start + EVERY)[0].count, 1);
    }

    #[test]
    fn the_end_is_reported_once_and_at_once() {
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
        assert!(raise(&mut ledger, 1, start), "a new one is news");
    }

    #[test]
    fn what_begins_again_before_its_end_is_delivered_goes_on() {
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
