//! Stores notifications: one document for each, with its events. The collection is both the queue
//! and the log of outcomes.

mod claims;
mod corrections;
mod page;
mod stored;

#[cfg(test)]
mod tests;

use std::{cmp::Reverse, collections::HashSet};

use jiff::Timestamp;
use slipway_bus::Event;
use slipway_rpc::page::Page;
use slipway_store::{
    BY_ID, Documents, Index, Query as Part, Refusal, StoreError as DocumentError, Write,
    behind_time,
};
use uuid::Uuid;

pub use page::{Direction, Query};
pub use stored::Claimed;
pub(crate) use stored::Stored;

use self::stored::{BY_DIGEST, BY_EVENT, BY_KIND, BY_RECIPIENT, BY_STATE, CLAIMED, DUE, QUEUED};
use super::{
    Attempt, Filter, Notification, NotificationId, State, To,
    digest::LARGEST,
    figures::{Figures, MAX_COUNTED, MEASURED},
    gathering::QUIET,
};
use crate::store::{StoreError, search::Search};

/// Number of notifications to read at a time when the filter may reject some of them.
const READ: u32 = 100;

/// A claim on notifications: a lease, so that only one process sends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// A new id for every claim.
    pub id: Uuid,
    /// When the claim is made.
    pub now: Timestamp,
    /// When the lease ends: after that, the notifications are returned to the queue.
    pub until: Timestamp,
}

/// The size of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Notifications that are queued or being sent.
    pub waiting: u64,
    /// When the longest waiting one became due.
    pub oldest_due: Option<Timestamp>,
}

/// The store of notifications.
#[derive(Clone)]
pub struct NotificationStore(Documents);

impl NotificationStore {
    /// A store of the notifications in this database.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self(documents)
    }

    /// Stores new notifications. One with the same event, recipient and channel as a stored one is
    /// skipped. Returns how many were new.
    ///
    /// # Errors
    /// If the database is unavailable. Some may have been stored: try again.
    pub async fn enqueue(&self, notifications: Vec<Notification>) -> Result<usize, StoreError> {
        let new: Vec<_> = notifications.into_iter().map(Stored::new).collect();
        let (mut stored, mut rest) = (0, new.as_slice());
        while !rest.is_empty() {
            let writes = rest.iter().map(Write::insert).collect();
            let (done, _) = self.0.write_in_order(writes).await?;
            stored += done;
            // The next one is already stored.
            rest = rest.get(done + 1..).unwrap_or_default();
        }
        Ok(stored)
    }

    /// Stores the outcomes of attempts with claimed notifications, in the same order, each with
    /// its events in one write. Returns how many were stored: one whose claim has expired, so
    /// that it was requeued, stays as it is.
    ///
    /// # Errors
    /// If the database is away. Then it is not known which are stored: try again.
    pub async fn settle(
        &self,
        claimed: &[Claimed],
        outcomes: &[(Notification, Vec<Event>)],
    ) -> Result<usize, StoreError> {
        let changes = claimed.iter().zip(outcomes);
        let after = changes.map(|(before, (outcome, _))| before.0.changed(outcome.clone()));
        let after: Vec<_> = after.collect();
        let writes = claimed.iter().zip(&after).zip(outcomes);
        let writes = writes.map(|((before, after), (_, events))| {
            Write::replace(&before.0, after).with_events(events)
        });
        let stored = self.0.write_many(writes.collect()).await?;
        Ok(stored.iter().filter(|outcome| outcome.is_ok()).count())
    }

    /// Returns notifications whose claims end at `ended_by` or before to the queue, at most
    /// `limit`. Returns how many. Each is due `now` and gets an attempt with the outcome
    /// `INTERRUPTED`.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn take_back(
        &self,
        ended_by: Timestamp,
        now: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        let ended = Part::first(to_limit(limit), "").below(behind_time(ended_by));
        let ended = self.0.list(&CLAIMED, &ended).await?;
        let take_back = |held: &Stored| {
            let mut notification = held.notification.clone();
            notification.state = State::Queued;
            notification.due_at = now;
            notification.updated_at = now;
            notification.attempts.push(Attempt::interrupted(now));
            held.changed(notification)
        };
        let (taken_back, _) = self.change(ended, take_back).await?;
        Ok(taken_back.len())
    }

    /// Makes those notifications of `to` due `now` that wait for the end of quiet hours: it is decided
    /// again about them. Returns how many.
    ///
    /// # Errors
    /// If the database is unavailable. Some may be due: try again.
    pub async fn wake(&self, to: &To, now: Timestamp) -> Result<usize, StoreError> {
        let quiet = Part::first(READ, format_args!("{to} {QUIET}"));
        let (mut woken, mut last) = (0, None);
        loop {
            let found: Vec<Stored> = self.0.list(&QUEUED, &quiet.clone().behind(last)).await?;
            let Some(newest) = found.last() else {
                return Ok(woken);
            };
            last = Some(newest.notification.id);
            let waits = |stored: &Stored| stored.notification.due_at > now;
            let waiting = found.into_iter().filter(waits).collect();
            let due = |stored: &Stored| {
                stored.changed(Notification {
                    due_at: now,
                    updated_at: now,
                    ..stored.notification.clone()
                })
            };
            // One that was changed in the meantime is being sent, or withdrawn.
            woken += self.change(waiting, due).await?.0.len();
        }
    }

    /// A notification.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn get(&self, id: NotificationId) -> Result<Option<Notification>, StoreError> {
        let found: Option<Stored> = self.0.get(id).await?;
        Ok(found.map(|found| found.notification))
    }

    /// The notifications in mails with these ids: those with one of them as their own id or as
    /// their `digest_id`, in any order.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn mailed_as(&self, ids: &[NotificationId]) -> Result<Vec<Notification>, StoreError> {
        let texts: Vec<_> = ids.iter().map(NotificationId::to_string).collect();
        let mut found = notifications(self.0.get_many(&texts).await?);
        let alone: HashSet<_> = found.iter().map(|found| found.id).collect();
        for digest in ids.iter().filter(|id| !alone.contains(id)) {
            let members = Part::first(to_limit(LARGEST), digest);
            found.extend(notifications(self.0.list(&BY_DIGEST, &members).await?));
        }
        Ok(found)
    }

    /// Stores a delivery report for a SENT notification, with its events, in one write. `false`,
    /// and nothing is stored, if it is no longer SENT.
    ///
    /// # Errors
    /// If the database is unavailable. It may have been stored: try again.
    pub async fn confirm(
        &self,
        notification: &Notification,
        events: Vec<Event>,
    ) -> Result<bool, StoreError> {
        let is_sent = |stored: &Stored| stored.notification.state == State::Sent;
        let stored: Option<Stored> = self.0.get(notification.id).await?;
        let Some(before) = stored.filter(is_sent) else {
            return Ok(false);
        };
        let after = before.changed(notification.clone());
        let write = Write::replace(&before, &after).with_events(&events);
        match self.0.write(write).await? {
            Ok(()) => Ok(true),
            // A SENT notification changes only once.
            Err(Refusal::Revision) => Ok(false),
            Err(refusal) => Err(DocumentError::from(refusal).into()),
        }
    }

    /// All notifications of an event.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn of_event(&self, event_id: Uuid) -> Result<Vec<Notification>, StoreError> {
        let mut all = Vec::new();
        let mut query = Part::first(READ, event_id);
        loop {
            let more = notifications(self.0.list(&BY_EVENT, &query).await?);
            let Some(last) = more.last() else {
                return Ok(all);
            };
            query = query.above(last.id);
            all.extend(more);
        }
    }

    /// A page of notifications, in the order of the query. It may have fewer than the limit
    /// although more follow: its size and the number of notifications it examines are limited.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn list(
        &self,
        query: &Query,
    ) -> Result<Page<Notification, NotificationId>, StoreError> {
        let (above, below) = query.bounds();
        let (index, keys) = most_selective(&query.filter);
        let search = Search {
            limit: query.limit,
            read: READ,
            place: &|found: &Stored| found.notification.id,
            admits: &|found: &Stored| query.filter.admits(&found.notification),
            weight: &|found: &Stored| found.notification.weight(),
        };
        let read = |limit: u32, last: Option<NotificationId>| {
            let part = |key: &String| match query.direction {
                Direction::NewestFirst => Part::last(limit, key),
                Direction::OldestFirst => Part::first(limit, key),
            };
            let parts = keys.iter().map(part);
            let parts: Vec<_> = parts
                .map(|part| part.above(above).below(below).behind(last))
                .collect();
            async move {
                let mut found: Vec<Stored> = Vec::new();
                for part in &parts {
                    found.extend(self.0.list(index, part).await?);
                }
                // Each key has its own list: together they are one.
                found.sort_unstable_by_key(|found| found.notification.id);
                if query.direction == Direction::NewestFirst {
                    found.reverse();
                }
                found.truncate(limit as usize);
                Ok(found)
            }
        };
        let page = search.page(read).await?;
        Ok(Page {
            items: notifications(page.items),
            next: page.next,
        })
    }

    /// The size of the queue at `now`.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn backlog(&self, now: Timestamp) -> Result<Backlog, StoreError> {
        let mut waiting = 0;
        for state in [State::Queued, State::Sending] {
            let of_state = Part::first(u32::MAX, state.as_str());
            waiting += self.0.count::<Stored>(&BY_STATE, &of_state).await?;
        }
        let due = Part::first(1, "").below(behind_time(now));
        let oldest = notifications(self.0.list(&DUE, &due).await?).pop();
        Ok(Backlog {
            waiting,
            oldest_due: oldest.map(|oldest| oldest.due_at),
        })
    }

    /// How many notifications of a recipient came after this one, counted up to `most`.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn count_after(
        &self,
        to: &To,
        after: Option<NotificationId>,
        most: u32,
    ) -> Result<u64, StoreError> {
        let behind = Part::first(most, to).behind(after);
        Ok(self.0.count::<Stored>(&BY_RECIPIENT, &behind).await?)
    }

    /// What became of the notifications that were created from `from` until `until`.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn figures(&self, from: Timestamp, until: Timestamp) -> Result<Figures, StoreError> {
        let filter = Filter {
            from: Some(from),
            until: Some(until),
            ..Filter::default()
        };
        let (above, below) = Query::newest(filter, 0).bounds();
        let mut counts = [0; State::ALL.len()];
        for (count, state) in counts.iter_mut().zip(State::ALL) {
            let of_state = Part::first(MAX_COUNTED, state.as_str());
            let of_state = of_state.above(above).below(below);
            *count = self.0.count::<Stored>(&BY_STATE, &of_state).await?;
        }
        let mut sent = Vec::new();
        for state in [State::Sent, State::Delivered] {
            let last = Part::last(MEASURED, state.as_str());
            let last = last.above(above).below(below);
            sent.extend(notifications(self.0.list(&BY_STATE, &last).await?));
        }
        sent.sort_unstable_by_key(|sent| Reverse(sent.id));
        sent.truncate(MEASURED as usize);
        Ok(Figures {
            counts,
            latencies: sent.iter().filter_map(Notification::latency_ms).collect(),
        })
    }

    /// Deletes at most `limit` notifications that were created before `before`, are not waiting,
    /// and whose events are all published, oldest first. Returns how many.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let mut old: Vec<Stored> = Vec::new();
        for state in State::ALL.into_iter().filter(|state| !state.is_waiting()) {
            let of_state = Part::first(to_limit(limit), state.as_str());
            let of_state = of_state.below(NotificationId::first_at(before));
            old.extend(self.0.list(&BY_STATE, &of_state).await?);
        }
        old.sort_unstable_by_key(|old| old.notification.id);
        old.truncate(limit);
        let deleted = self.0.write_many(old.iter().map(Write::delete).collect());
        Ok(deleted.await?.iter().filter(|one| one.is_ok()).count())
    }

    /// Changes each notification in its own write. Returns the changed ones, and those that
    /// somebody else changed in the meantime, as they were before.
    async fn change(
        &self,
        before: Vec<Stored>,
        change: impl Fn(&Stored) -> Stored,
    ) -> Result<(Vec<Stored>, Vec<Stored>), StoreError> {
        let after: Vec<_> = before.iter().map(change).collect();
        let writes = before.iter().zip(&after);
        let writes = writes.map(|(before, after)| Write::replace(before, after));
        let outcomes = self.0.write_many(writes.collect()).await?;
        let (mut changed, mut refused) = (Vec::new(), Vec::new());
        for ((before, after), outcome) in before.into_iter().zip(after).zip(outcomes) {
            match outcome {
                Ok(()) => changed.push(after),
                Err(_) => refused.push(before),
            }
        }
        Ok((changed, refused))
    }
}

fn notifications(stored: Vec<Stored>) -> Vec<Notification> {
    let stored = stored.into_iter();
    stored.map(|stored| stored.notification).collect()
}

/// The index for the most selective condition, and its keys.
fn most_selective(filter: &Filter) -> (&'static Index, Vec<String>) {
    if !filter.to.is_empty() {
        (&BY_RECIPIENT, filter.to.iter().map(To::to_string).collect())
    } else if let Some(kind) = &filter.kind {
        (&BY_KIND, vec![kind.clone()])
    } else if let Some(state) = filter.state {
        (&BY_STATE, vec![state.as_str().to_owned()])
    } else {
        (&BY_ID, vec![String::new()])
    }
}

fn to_limit(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}
