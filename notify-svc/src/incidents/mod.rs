//! Incidents: faults that administrators must know of, folded by fingerprint, and when
//! they are mailed about them. What is in this file is pure.
//!
//! What is reported of one fingerprint is one incident from its first report until it is
//! over: because its source says so, or, if it does not last by itself, because it has not
//! been reported for [`SILENCE`]. What is reported after that opens it again.
//!
//! Administrators are mailed at once when it opens, hourly while it lasts, and when it is
//! over. An incident that opens and closes again and again is mailed [`MAILS_AN_HOUR`]
//! times an hour and no more.
//!
//! | module | |
//! | --- | --- |
//! | `report` | what a process reports |
//! | `alerting` | taking up reports, notifying administrators |
//! | [`store`] | incidents in a database |
//! | `service` | `IncidentService` |
//! | `jobs` | the consumer of reports; closing what is silent |

pub(crate) mod alerting;
pub(crate) mod jobs;
mod report;
pub(crate) mod service;
pub mod store;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use slipway_runtime::typed_id;
use uuid::Uuid;

pub use report::{Malformed, Report};

typed_id! {
    /// Identifies an incident; later ones sort after earlier ones.
    IncidentId
}

/// What has not been reported for so long is over.
pub const SILENCE: SignedDuration = SignedDuration::from_mins(10);

/// Between two mails about one incident that lasts.
const REMINDER: SignedDuration = SignedDuration::from_hours(1);

/// Mails about one incident within an hour at most.
const MAILS_AN_HOUR: usize = 6;

/// Reports, and mails, that an incident remembers.
const REMEMBERED: usize = 20;

/// Whether it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// It lasts.
    Open,
    /// It is over.
    Resolved,
}

impl State {
    /// As it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Resolved => "RESOLVED",
        }
    }
}

/// Why administrators are mailed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AlertReason {
    /// It has begun, or begun again.
    Begun,
    /// It still lasts.
    Lasts,
    /// It is over.
    Over,
}

impl AlertReason {
    /// As the template is told.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "BEGUN",
            Self::Lasts => "LASTS",
            Self::Over => "OVER",
        }
    }
}

/// A mail to administrators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mailing {
    /// Makes the notifications: the same one makes them once.
    pub id: Uuid,
    /// Why.
    pub news: AlertReason,
    /// When it was decided.
    pub at: Timestamp,
    /// Whether its notifications are made.
    pub made: bool,
}

/// A fault, with everything that was reported of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// Grows by one with every change.
    pub revision: u64,
    /// What makes two reports one incident.
    pub fingerprint: String,
    /// The service that noticed it.
    pub service: String,
    /// The kind of fault.
    pub kind: String,
    /// One line for a person.
    pub summary: String,
    /// A trace in which it happened.
    pub trace_id: Option<String>,
    /// Whether it lasts.
    pub state: State,
    /// Whether it lasts until it is said to be over.
    pub lasts: bool,
    /// When it began first.
    pub first_seen: Timestamp,
    /// When it was reported last.
    pub last_seen: Timestamp,
    /// How often it happened.
    pub count: u64,
    /// When it was over; `None` while it lasts.
    pub resolved_at: Option<Timestamp>,
    /// The last mailings, oldest first.
    pub mailings: Vec<Mailing>,
    /// The ids of the last reports: each counts once.
    reports: Vec<Uuid>,
}

impl Incident {
    /// The incident that a first report makes. A report that it is over makes one that is
    /// over already, of which nobody need be told.
    #[must_use]
    pub fn first(report: &Report, now: Timestamp) -> Self {
        let mut incident = Self {
            id: IncidentId::generate(),
            revision: 1,
            fingerprint: report.fingerprint.clone(),
            service: report.service.clone(),
            kind: report.kind.clone(),
            summary: report.summary.clone(),
            trace_id: report.trace_id.clone(),
            state: State::Resolved,
            lasts: report.lasts,
            first_seen: report.since.min(now),
            last_seen: now,
            count: 0,
            resolved_at: Some(now),
            mailings: Vec::new(),
            reports: Vec::new(),
        };
        incident.take(report, now);
        incident
    }

    /// The incident after another report; `None` if it has counted before.
    #[must_use]
    pub fn after(&self, report: &Report, now: Timestamp) -> Option<Self> {
        if self.reports.contains(&report.id) {
            return None;
        }
        let mut next = self.next();
        next.take(report, now);
        Some(next)
    }

    fn next(&self) -> Self {
        Self {
            revision: self.revision + 1,
            ..self.clone()
        }
    }

    fn take(&mut self, report: &Report, now: Timestamp) {
        self.count += report.count;
        self.reports.push(report.id);
        let surplus = self.reports.len().saturating_sub(REMEMBERED);
        self.reports.drain(..surplus);
        if report.resolved {
            if self.state == State::Open {
                self.close(now);
            }
            return;
        }
        self.last_seen = now;
        self.summary.clone_from(&report.summary);
        self.lasts = report.lasts;
        let lasted = self.state == State::Open;
        self.state = State::Open;
        self.resolved_at = None;
        let direct = report.mailed_at;
        if !lasted {
            self.trace_id.clone_from(&report.trace_id);
            self.mail(AlertReason::Begun, now, direct);
        } else if self
            .mailings
            .last()
            .is_none_or(|last| now.duration_since(last.at) >= REMINDER)
        {
            self.mail(AlertReason::Lasts, now, direct);
        }
    }

    fn close(&mut self, now: Timestamp) {
        self.state = State::Resolved;
        self.resolved_at = Some(now);
        // Who was not told that it began need not be told that it is over.
        if self
            .mailings
            .last()
            .is_some_and(|last| last.news != AlertReason::Over)
        {
            self.mail(AlertReason::Over, now, None);
        }
    }

    /// Decides on a mailing, unless there were too many. `direct` says that it was sent
    /// when the incident could not be stored.
    fn mail(&mut self, news: AlertReason, now: Timestamp, direct: Option<Timestamp>) {
        let recent = |mailing: &&Mailing| now.duration_since(mailing.at) < REMINDER;
        if self.mailings.iter().filter(recent).count() >= MAILS_AN_HOUR {
            return;
        }
        self.mailings.push(Mailing {
            id: Uuid::now_v7(),
            news,
            at: direct.unwrap_or(now),
            made: direct.is_some(),
        });
        // What is not made yet is never forgotten: there are far fewer in an hour.
        let surplus = self.mailings.len().saturating_sub(REMEMBERED);
        self.mailings.drain(..surplus);
    }

    /// The incident after a silence that says that it is over; `None` if it says nothing.
    #[must_use]
    pub fn silent(&self, now: Timestamp) -> Option<Self> {
        let over = self.state == State::Open
            && !self.lasts
            && now.duration_since(self.last_seen) >= SILENCE;
        over.then(|| {
            let mut next = self.next();
            next.close(now);
            next
        })
    }

    /// The mailings whose notifications are yet to be made.
    pub fn owed(&self) -> impl Iterator<Item = &Mailing> {
        self.mailings.iter().filter(|mailing| !mailing.made)
    }

    /// The incident after the notifications of these mailings were made.
    #[must_use]
    pub fn told(&self, made: &[Uuid]) -> Self {
        let mut next = self.next();
        for mailing in &mut next.mailings {
            mailing.made |= made.contains(&mailing.id);
        }
        next
    }

    /// Whether somebody has yet to be told of something.
    #[must_use]
    pub fn is_owing(&self) -> bool {
        self.owed().next().is_some()
    }
}

#[cfg(test)]
mod tests;
