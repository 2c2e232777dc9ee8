//! Reads the sources of the log, each from its own collection by a declared index.

use jiff::Timestamp;
use slipway_rpc::page::Page;
use uuid::Uuid;

use super::{Entry, Filter, Key, Kind, Part, Reached, acts};
use crate::{
    audit::{
        self,
        store::{AuditStore, Place},
    },
    dead_letters::{self, DeadLetterId, Summary, store::DeadLetterStore},
    incidents::{self, Incident, IncidentId, store::IncidentStore},
    notification::{
        self, Notification, NotificationId, State,
        store::{NotificationStore, Query},
    },
    store::StoreError,
};

/// Records that a source reads at a time.
const READ: u32 = 200;

/// Times that a source reads for a page, at most.
const READS: usize = 5;

/// The stores with the sources.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) incidents: IncidentStore,
    pub(crate) dead_letters: DeadLetterStore,
    pub(crate) notifications: NotificationStore,
    pub(crate) audit: AuditStore,
}

/// A record that a source examined: its time, its place, and the entry if it is one.
type Examined = (Timestamp, Key, Option<Entry>);

impl Sources {
    /// What a source has behind the place that was reached, up to `limit` entries; `None` if nothing
    /// is left.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub(crate) async fn part(
        &self,
        kind: Kind,
        filter: &Filter,
        reached: Option<Reached>,
        limit: u32,
    ) -> Result<Option<Part>, StoreError> {
        let mut last = match reached {
            None => None,
            Some(Reached::Behind(key)) => Some(key),
            Some(Reached::End) => return Ok(None),
        };
        let mut part = Part {
            kind,
            entries: Vec::new(),
            next: None,
        };
        // Without a text, nearly every record is an entry.
        let read = if filter.text.is_none() { limit } else { READ };
        for _ in 0..READS {
            let (examined, is_end) = self.read(kind, filter, last, read).await?;
            let count = examined.len();
            for (n, (time, key, entry)) in examined.into_iter().enumerate() {
                last = Some(key);
                if filter.from.is_some_and(|from| time < from) {
                    part.next = None;
                    return Ok(Some(part));
                }
                let is_last = is_end && n + 1 == count;
                part.next = (!is_last).then_some((time, key));
                let wanted = entry.filter(|entry| filter.admits(entry));
                part.entries.extend(wanted.map(|entry| (entry, key)));
                if part.entries.len() == limit as usize {
                    return Ok(Some(part));
                }
            }
            if is_end {
                part.next = None;
                return Ok(Some(part));
            }
        }
        Ok(Some(part))
    }

    /// The next records of a source, newest first, and whether they are the last ones.
    async fn read(
        &self,
        kind: Kind,
        filter: &Filter,
        last: Option<Key>,
        limit: u32,
    ) -> Result<(Vec<Examined>, bool), StoreError> {
        let (from, to) = (filter.from, filter.to);
        match kind {
            Kind::Incident => {
                let behind = match last {
                    Some(Key::Incident(key)) => Some(key),
                    _ => to.map(|to| (to, IncidentId(Uuid::nil()))),
                };
                let page = self.incidents.list(None, behind, limit).await?;
                Ok(examined(page, incident))
            }
            Kind::DeadLetter => {
                let wanted = dead_letters::Filter {
                    from,
                    to,
                    ..dead_letters::Filter::default()
                };
                let behind = match last {
                    Some(Key::DeadLetter(id)) => Some(DeadLetterId(id)),
                    _ => None,
                };
                let page = self.dead_letters.list(&wanted, behind, limit).await?;
                Ok(examined(page, dead_letter))
            }
            Kind::FailedNotification => {
                let wanted = notification::Filter {
                    state: Some(State::Failed),
                    from,
                    until: to,
                    ..notification::Filter::default()
                };
                let behind = match last {
                    Some(Key::Notification(id)) => Some(NotificationId(id)),
                    _ => None,
                };
                let query = Query {
                    behind,
                    ..Query::newest(wanted, limit)
                };
                let page = self.notifications.list(&query).await?;
                Ok(examined(page, |found| failed(&found)))
            }
            Kind::Act => {
                let wanted = audit::Filter {
                    types: acts::types(),
                    from,
                    to,
                    ..audit::Filter::default()
                };
                let behind = match last {
                    Some(Key::Act(place)) => Some(place),
                    _ => None,
                };
                let page = self.audit.list(&wanted, behind, limit).await?;
                Ok(examined(page, |entry: audit::Entry| {
                    let place = Place::of(&entry);
                    (entry.happened(), Key::Act(place), acts::act(&entry))
                }))
            }
        }
    }
}

fn examined<T, K>(page: Page<T, K>, examine: impl Fn(T) -> Examined) -> (Vec<Examined>, bool) {
    let is_end = page.next.is_none();
    (page.items.into_iter().map(examine).collect(), is_end)
}

fn incident(incident: Incident) -> Examined {
    let key = Key::Incident((incident.last_seen, incident.id));
    let entry = Entry {
        kind: Kind::Incident,
        id: incident.id.to_string(),
        time: incident.last_seen,
        detail: match incident.count {
            1 => format!("{}, once", incident.service),
            count => format!("{}, {count} times", incident.service),
        },
        summary: incident.summary,
        event_type: incident.kind,
        actor: None,
        open: incident.state == incidents::State::Open,
        release_id: String::new(),
        task_id: String::new(),
    };
    (entry.time, key, Some(entry))
}

fn dead_letter(letter: Summary) -> Examined {
    let event_type = letter.event_type.unwrap_or_default();
    let what = match event_type.as_str() {
        "" => "an event",
        known => known,
    };
    let entry = Entry {
        kind: Kind::DeadLetter,
        id: letter.id.to_string(),
        time: letter.received_at,
        summary: format!("{} could not handle {what}", letter.group),
        detail: letter.reason,
        event_type,
        actor: None,
        open: letter.state == dead_letters::State::Waiting,
        release_id: String::new(),
        task_id: String::new(),
    };
    (entry.time, Key::DeadLetter(letter.id.0), Some(entry))
}

fn failed(notification: &Notification) -> Examined {
    let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    let entry = Entry {
        kind: Kind::FailedNotification,
        id: notification.id.to_string(),
        time: notification.created_at,
        summary: format!("“{}” was not sent", notification.subject.as_str()),
        detail: notification.reason.clone().unwrap_or_default(),
        event_type: notification.kind.clone(),
        actor: None,
        open: false,
        release_id: id(notification.release()),
        task_id: id(notification.task()),
    };
    (
        entry.time,
        Key::Notification(notification.id.0),
        Some(entry),
    )
}
