//! Reports of processes are recorded as incidents, and administrators are notified.
//!
//! A change of an incident and the decision to mail about it are one write, so of several
//! replicas one decides. The notifications of a mailing are made after it, by whoever is
//! first; they carry the mailing's id, so that they are made once.
//!
//! If the database is what is wrong, administrators are mailed first, directly, at the
//! addresses that are known in memory. Then the report is refused: whoever sent it sends
//! it again until it is stored, and then the log says who was mailed and when.

mod direct;

use std::{collections::BTreeSet, time::Duration};

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

/// A database that has not stored a report by then counts as away: administrators are to
/// hear of it within seconds.
const STORED_WITHIN: Duration = Duration::from_secs(2);

/// How often a change is tried again when others were faster.
const TRIES: usize = 100;

/// Incidents examined in one go.
const AT_ONCE: u32 = 100;

/// Who is told.
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
    /// [`STORED_WITHIN`].
    stored_within: Duration,
    /// Who is told instead of all administrators; empty: nobody instead.
    alert_emails: Vec<String>,
    /// As last seen: while the database is away they are told nevertheless.
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

    /// Takes up a report. If it cannot be stored, administrators are mailed directly.
    ///
    /// # Errors
    /// If the database is away: the report is to be repeated.
    pub(crate) async fn report(&self, mut report: Report) -> Result<(), StoreError> {
        report.mailed_at = self.direct.mailed_at(&report.fingerprint);
        let stored = tokio::time::timeout(self.stored_within, self.record(&report)).await;
        let error = match stored {
            Ok(Ok(incident)) => {
                metrics::counter!(m::INCIDENT_REPORTS).increment(1);
                self.direct.complete(&report.fingerprint).await?;
                if let Some(incident) = incident {
                    self.notify(incident).await?;
                }
                return Ok(());
            }
            Ok(Err(error)) => error,
            Err(_) => StoreError::TooSlow,
        };
        if !report.resolved {
            let incident = Incident::first(&report, self.clock.now());
            let told = self.administrators.lock().clone();
            self.direct
                .mail(&incident, told, news(&incident, AlertReason::Begun))
                .await;
        }
        Err(error)
    }

    /// The incident after the report; `None` if the report has counted before.
    async fn record(&self, report: &Report) -> Result<Option<Incident>, StoreError> {
        for _ in 0..TRIES {
            let now = self.clock.now();
            let Some(before) = self.store.find(&report.fingerprint).await? else {
                let first = Incident::first(report, now);
                if self.store.insert(&first).await? {
                    return Ok(Some(first));
                }
                continue;
            };
            let Some(after) = before.after(report, now) else {
                return Ok(None);
            };
            if self.store.save(&before, &after).await? {
                return Ok(Some(after));
            }
        }
        Err(StoreError::Contended(TRIES))
    }

    /// Makes the notifications that are owed. What fails here is made up for by
    /// [`Self::sweep`].
    async fn notify(&self, incident: Incident) -> Result<(), StoreError> {
        let mut made = Vec::new();
        for mailing in incident.owed() {
            let administrators = self.look_up_administrators().await?;
            if administrators.is_empty() {
                tracing::error!(
                    fingerprint = incident.fingerprint,
                    "incident has no recipient: there is no administrator with an address"
                );
                return Ok(());
            }
            let mut notifications = Vec::new();
            for administrator in administrators {
                let draft = self.draft(&incident, mailing, administrator.to);
                let prepared = self.queue.prepare(mailing.id, draft).await;
                notifications.push(prepared?);
            }
            self.queue.enqueue(notifications).await?;
            made.push(mailing.id);
        }
        if !made.is_empty() {
            // If others were faster, they are told again what they know: with the same ids.
            self.store.save(&incident, &incident.told(&made)).await?;
        }
        Ok(())
    }

    fn draft(&self, incident: &Incident, mailing: &Mailing, to: To) -> Draft {
        Draft {
            kind: SystemErrorEvent::TYPE.to_owned(),
            to,
            data: news(incident, mailing.news),
            sender: None,
        }
    }

    /// Ends what is silent, tells what is owed, and looks who is to be told.
    ///
    /// # Errors
    /// If the database is away.
    pub(crate) async fn sweep(&self) -> Result<(), StoreError> {
        self.look_up_administrators().await?;
        let now = self.clock.now();
        let before = now.checked_sub(SILENCE).unwrap_or(now);
        for incident in self.store.silent(before, AT_ONCE).await? {
            if let Some(over) = incident.silent(now)
                && self.store.save(&incident, &over).await?
            {
                self.notify(over).await?;
            }
        }
        for incident in self.store.owing(AT_ONCE).await? {
            self.notify(incident).await?;
        }
        Ok(())
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

    /// Those of the configuration are known from the start.
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

    /// Incidents, the last seen first.
    ///
    /// # Errors
    /// If the database is away.
    pub(crate) async fn list(
        &self,
        state: Option<State>,
        after: Option<IncidentKey>,
        limit: u32,
    ) -> Result<Page<Incident, IncidentKey>, StoreError> {
        self.store.list(state, after, limit).await
    }

    /// When mails about an incident were taken by the mail server: what is gathered, or not
    /// wanted, is not mailed yet. Of a mailing of which the log has nothing any more it is
    /// when it was decided.
    ///
    /// # Errors
    /// If the database is away.
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
                // One that tells of several is one.
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
fn news(incident: &Incident, news: AlertReason) -> Value {
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
