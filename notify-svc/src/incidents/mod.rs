//! Incidents: faults that administrators must know about, grouped by fingerprint, and when to mail
//! about them. The types in this file are pure.
//!
//! All reports of one fingerprint belong to one incident. It closes when its source reports that
//! the fault is over, or, if the fault is not of the kind that lasts, when it has not been reported
//! for [`SILENCE`]. A later report opens it again.
//!
//! Administrators are mailed when an incident opens, every hour while it is open, and when it
//! closes. An incident that opens and closes repeatedly is mailed at most [`MAILS_AN_HOUR`] times
//! an hour.
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

/// An incident without reports for this long is over.
pub const SILENCE: SignedDuration = SignedDuration::from_mins(10);

/// Time between two mails about one open incident.
const REMINDER: SignedDuration = SignedDuration::from_hours(1);

/// Maximum number of mails about one incident within an hour.
const MAILS_AN_HOUR: usize = 6;

/// How many reports, and how many mailings, an incident remembers.
const REMEMBERED: usize = 20;

/// Whether the incident is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// The fault persists.
    Open,
    /// The fault is over.
    Resolved,
}

impl State {
    /// The name that is stored.
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
    /// The incident was opened, or opened again.
    Begun,
    /// The incident is still open.
    Lasts,
    /// The incident was closed.
    Over,
}

impl AlertReason {
    /// The name that the template receives.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "BEGUN",
            Self::Lasts => "LASTS",
            Self::Over => "OVER",
        }
    }
}

/// A decision to mail the administrators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mailing {
    /// Its notifications have this id as their event, so they are created once.
    pub id: Uuid,
    /// Why administrators are mailed.
    pub news: AlertReason,
    /// When it was decided.
    pub at: Timestamp,
    /// Whether its notifications have been created.
    pub made: bool,
}

/// A fault, with everything that was reported about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// Grows by one with every change.
    pub revision: u64,
    /// Reports with the same fingerprint belong to the same incident.
    pub fingerprint: String,
    /// The service that noticed it.
    pub service: String,
    /// The kind of fault.
    pub kind: String,
    /// One line for a person.
    pub summary: String,
    /// Id of a trace in which it happened.
    pub trace_id: Option<String>,
    /// Whether the incident is open.
    pub state: State,
    /// Whether it stays open until it is reported to be over.
    pub lasts: bool,
    /// When the fault first began.
    pub first_seen: Timestamp,
    /// When it was reported last.
    pub last_seen: Timestamp,
    /// How often it happened.
    pub count: u64,
    /// When it was closed; `None` while it is open.
    pub resolved_at: Option<Timestamp>,
    /// The last mailings, oldest first.
    pub mailings: Vec<Mailing>,
    /// The ids of the last reports, so that each counts once.
    reports: Vec<Uuid>,
}

impl Incident {
    /// The incident of a first report. If that report says that the fault is over, the incident is
    /// closed from the start and nobody is notified.
    #[must_use]
    pub fn first(report: &Report, now: Timestamp) -> Self {
        let incident = Self {
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
        incident.with(&[report], now)
    }

    /// The incident after further reports; `None` if all were counted before.
    #[must_use]
    pub fn after(&self, reports: &[&Report], now: Timestamp) -> Option<Self> {
        let next = self.next().with(reports, now);
        (next.reports != self.reports).then_some(next)
    }

    /// The same revision with these reports, without those that are counted already.
    #[must_use]
    pub fn with(mut self, reports: &[&Report], now: Timestamp) -> Self {
        for report in reports {
            if !self.reports.contains(&report.id) {
                self.take(report, now);
            }
        }
        self
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
        // Administrators who were not told of the beginning need no mail about the end.
        if self
            .mailings
            .last()
            .is_some_and(|last| last.news != AlertReason::Over)
        {
            self.mail(AlertReason::Over, now, None);
        }
    }

    /// Adds a mailing, unless there were too many. `direct` is when it was sent directly, because
    /// the incident could not be stored.
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
        // Never drops a pending mailing: far fewer are created within an hour.
        let surplus = self.mailings.len().saturating_sub(REMEMBERED);
        self.mailings.drain(..surplus);
    }

    /// The incident closed because of silence; `None` if it stays as it is.
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

    /// The mailings whose notifications have not been created yet.
    pub fn owed(&self) -> impl Iterator<Item = &Mailing> {
        self.mailings.iter().filter(|mailing| !mailing.made)
    }

    /// The incident after the notifications of all its mailings were created.
    #[must_use]
    pub fn told(&self) -> Self {
        let mut next = self.next();
        for mailing in &mut next.mailings {
            mailing.made = true;
        }
        next
    }

    /// Whether a mailing is pending.
    #[must_use]
    pub fn is_owing(&self) -> bool {
        self.owed().next().is_some()
    }
}

#[cfg(test)]
mod tests;
