//! Records reports as incidents and notifies administrators.
//!
//! A change of an incident and the decision to mail about it are one write, so only one of several
//! replicas decides. The notifications of a mailing are created after it, by the first replica to
//! do so. They carry the mailing's id, so that they are created once.
//!
//! All reports of a call, and all that the bus delivers at once, are stored together: a hundred
//! alerts take a handful of reads and writes.
//!
//! If the database is unavailable, administrators are mailed first, directly, at the addresses
//! known in memory. Then the report is refused. Its sender repeats it until it is stored; from then
//! on the log shows who was mailed and when.

mod direct;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};
use slipway_proto::events::{Payload as _, SystemErrorEvent};
use slipway_rpc::page::Page;
use slipway_runtime::clock::SharedClock;

use self::direct::Direct;
use super::{
    AlertReason, Incident, Mailing, Report, SILENCE, State,
    store::{IncidentKey, IncidentStore},
};
use crate::{
    metrics as m,
    notification::{
        Draft, Outcome, To, mail::SharedMailer, queue::Queue, recipients::store::RecipientStore,
    },
    store::StoreError,
};

/// Time limit for storing a report. A slower database counts as unavailable: administrators must
/// learn of a fault within seconds.
const STORED_WITHIN: Duration = Duration::from_secs(2);

/// How many times a change is retried when other writers were faster.
const TRIES: usize = 100;

/// Maximum number of incidents per sweep, and of reports in one call.
pub(super) const AT_ONCE: u32 = 100;

/// How many incidents are mailed about directly at the same time.
const DIRECT_MAILS: usize = 8;

/// An administrator to notify.
#[derive(Debug, Clone)]
struct Administrator {
    to: To,
    name: String,
    address: String,
}

/// Records reports and notifies administrators.
pub(crate) struct Alerting {
    store: IncidentStore,
    recipients: RecipientStore,
    queue: Queue,
    clock: SharedClock,
    /// See [`STORED_WITHIN`].
    stored_within: Duration,
    /// Addresses to notify instead of all administrators, if not empty.
    alert_emails: Vec<String>,
    /// The administrators as last read, for use while the database is unavailable.
    administrators: Mutex<Vec<Administrator>>,
    direct: Direct,
}

impl Alerting {
    pub(crate) fn new(
        store: IncidentStore,
        recipients: RecipientStore,
        queue: Queue,
        mailer: SharedMailer,
        alert_emails: Vec<String>,
    ) -> Self {
        Self {
            clock: queue.clock.clone(),
            stored_within: STORED_WITHIN,
            direct: Direct::new(mailer, queue.clone()),
            store,
            recipients,
            queue,
            alert_emails,
            administrators: Mutex::default(),
        }
    }

    /// Records reports, at most [`AT_ONCE`]. If they cannot be stored, administrators are mailed
    /// directly.
    ///
    /// # Errors
    /// If the database is unavailable: repeat all of them.
    pub(crate) async fn report(&self, mut reports: Vec<Report>) -> Result<(), StoreError> {
        for report in &mut reports {
            report.mailed_at = self.direct.mailed_at(&report.fingerprint);
        }
        let stored = tokio::time::timeout(self.stored_within, self.record(&reports)).await;
        let error = match stored {
            Ok(Ok(incidents)) => {
                metrics::counter!(m::INCIDENT_REPORTS).increment(reports.len() as u64);
                for report in &reports {
                    self.direct.complete(&report.fingerprint).await?;
                }
                return self.notify(incidents).await;
            }
            Ok(Err(error)) => error,
            Err(_) => StoreError::TooSlow,
        };
        self.mail_directly(&reports).await;
        Err(error)
    }

    /// Mails administrators about reports that cannot be stored.
    async fn mail_directly(&self, reports: &[Report]) {
        let now = self.clock.now();
        let begun = reports.iter().filter(|report| !report.resolved);
        let incidents = begun.map(|report| Incident::first(report, now));
        let incidents: Vec<_> = incidents.collect();
        let administrators = self.administrators.lock().clone();
        let mails = incidents.iter().map(|incident| {
            let data = variables(incident, AlertReason::Begun);
            self.direct.mail(incident, administrators.clone(), data)
        });
        let mails: Vec<_> = mails.collect();
        stream::iter(mails)
            .for_each_concurrent(DIRECT_MAILS, |mail| mail)
            .await;
    }

    /// Stores the reports, all of one fingerprint in one write. Returns the incidents after them,
    /// without those whose reports were counted before.
    async fn record(&self, reports: &[Report]) -> Result<Vec<Incident>, StoreError> {
        let mut left: BTreeMap<&String, Vec<&Report>> = BTreeMap::new();
        for report in reports {
            left.entry(&report.fingerprint).or_default().push(report);
        }
        let mut recorded = Vec::new();
        for _ in 0..TRIES {
            let fingerprints: Vec<_> = left.keys().copied().cloned().collect();
            let found = self.store.find(&fingerprints).await?.into_iter();
            let mut found: HashMap<_, _> =
                found.map(|one| (one.fingerprint.clone(), one)).collect();
            let now = self.clock.now();
            let mut changed = Vec::new();
            left.retain(|fingerprint, reports| {
                let before = found.remove(*fingerprint);
                let after = match &before {
                    Some(before) => before.after(reports, now),
                    None => {
                        let first = reports.first();
                        first.map(|first| Incident::first(first, now).with(reports, now))
                    }
                };
                let is_new = after.is_some();
                changed.extend(after.map(|after| (before, after)));
                is_new
            });
            if changed.is_empty() {
                return Ok(recorded);
            }
            let stored = self.store.save(&changed).await?;
            for ((_, after), is_stored) in changed.into_iter().zip(stored) {
                if is_stored {
                    left.remove(&after.fingerprint);
                    recorded.push(after);
                }
            }
        }
        Err(StoreError::Contended(TRIES))
    }

    /// Creates the pending notifications. [`Self::sweep`] retries what fails here.
    async fn notify(&self, incidents: Vec<Incident>) -> Result<(), StoreError> {
        let owing: Vec<_> = incidents.into_iter().filter(Incident::is_owing).collect();
        if owing.is_empty() {
            return Ok(());
        }
        let administrators = self.look_up_administrators().await?;
        if administrators.is_empty() {
            for incident in owing {
                tracing::error!(
                    fingerprint = incident.fingerprint,
                    "incident has no recipient: there is no administrator with an address"
                );
            }
            return Ok(());
        }
        let mut notifications = Vec::new();
        for incident in &owing {
            for mailing in incident.owed() {
                for administrator in &administrators {
                    let draft = self.draft(incident, mailing, administrator.to.clone());
                    let prepared = self.queue.prepare(mailing.id, draft).await;
                    notifications.push(prepared?);
                }
            }
        }
        self.queue.enqueue(notifications).await?;
        let told = owing.into_iter().map(|incident| {
            let told = incident.told();
            (Some(incident), told)
        });
        // If another replica was faster, these notifications have the same ids as its own.
        self.store.save(&told.collect::<Vec<_>>()).await?;
        Ok(())
    }

    fn draft(&self, incident: &Incident, mailing: &Mailing, to: To) -> Draft {
        Draft {
            kind: SystemErrorEvent::TYPE.to_owned(),
            to,
            data: variables(incident, mailing.news),
            sender: None,
        }
    }

    /// Closes silent incidents, creates pending notifications and reads who the administrators are.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub(crate) async fn sweep(&self) -> Result<(), StoreError> {
        self.look_up_administrators().await?;
        let now = self.clock.now();
        let before = now.checked_sub(SILENCE).unwrap_or(now);
        let silent = self.store.silent(before, AT_ONCE).await?.into_iter();
        let over = silent.filter_map(|incident| {
            let over = incident.silent(now)?;
            Some((Some(incident), over))
        });
        self.store.save(&over.collect::<Vec<_>>()).await?;
        self.notify(self.store.owing(AT_ONCE).await?).await
    }

    async fn look_up_administrators(&self) -> Result<Vec<Administrator>, StoreError> {
        let administrators: Vec<_> = if self.alert_emails.is_empty() {
            let admins = self.recipients.admins().await?;
            let admin = |admin: crate::notification::recipients::Recipient| Administrator {
                to: To::User(admin.id),
                name: admin.username,
                address: admin.email,
            };
            admins.into_iter().map(admin).collect()
        } else {
            self.of_configuration()
        };
        self.administrators.lock().clone_from(&administrators);
        Ok(administrators)
    }

    /// Makes the configured addresses known from the start.
    pub(crate) fn load_configured(&self) {
        *self.administrators.lock() = self.of_configuration();
    }

    fn of_configuration(&self) -> Vec<Administrator> {
        let emails = self.alert_emails.iter();
        emails
            .map(|email| Administrator {
                to: To::address(email),
                name: email.clone(),
                address: email.clone(),
            })
            .collect()
    }

    /// Lists incidents, the last seen first.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub(crate) async fn list(
        &self,
        state: Option<State>,
        after: Option<IncidentKey>,
        limit: u32,
    ) -> Result<Page<Incident, IncidentKey>, StoreError> {
        self.store.list(state, after, limit).await
    }

    /// When the mail server accepted the mails about an incident. Notifications that wait for a
    /// digest, or are suppressed, are not included. For a mailing whose notifications have been
    /// deleted it is the time the mailing was decided.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub(crate) async fn emailed_at(
        &self,
        incident: &Incident,
    ) -> Result<Vec<Timestamp>, StoreError> {
        let mut mails = BTreeSet::new();
        for mailing in &incident.mailings {
            let made = self.queue.store.of_event(mailing.id).await?;
            let taken = made.iter().filter_map(|one| {
                let mut attempts = one.attempts.iter();
                let taken = attempts.find(|attempt| attempt.outcome == Outcome::Accepted)?;
                // Several notifications in one digest mail count once.
                Some((taken.at, one.mail_id().0))
            });
            mails.extend(match made.is_empty() {
                true => mailing.made.then_some((mailing.at, mailing.id)),
                false => taken.min(),
            });
        }
        Ok(mails.into_iter().map(|(at, _)| at).collect())
    }
}

/// The template's variables.
fn variables(incident: &Incident, news: AlertReason) -> Value {
    json!({
        "news": news.as_str(),
        "summary": incident.summary,
        "service": incident.service,
        "kind": incident.kind,
        "fingerprint": incident.fingerprint,
        "count": incident.count,
        "firstSeen": incident.first_seen,
        "lastSeen": incident.last_seen,
        "traceId": incident.trace_id.as_deref().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests;
