//! Claims due notifications; several replicas may do so concurrently.
//!
//! A claim reads the due notifications and then takes each in its own write. If two claims read the
//! same ones, each gets those that the other has not taken.
//!
//! For notifications that go into one mail, a claim first takes one of them as the lead. The lead
//! has the group as a unique key, so only one claim at a time can have it, and that claim then
//! takes the others. All groups of a claim share their writes.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use slipway_store::{Document as _, Query as Part, Refusal, Write, behind_time};

use super::{
    Claim, NotificationStore,
    stored::{DUE, QUEUED, Stored},
    to_limit,
};
use crate::{
    notification::{
        Notification, NotificationId, State,
        digest::{self, LARGEST},
    },
    store::StoreError,
};

/// Delay before a group that is being sent is looked at again.
const AGAIN: SignedDuration = SignedDuration::from_secs(1);

/// Number of groups read concurrently.
const READS: usize = 8;

/// Queued notifications that go into one mail.
pub(super) struct Group {
    /// One that is due.
    pub(super) first: Stored,
    pub(super) others: Vec<Stored>,
}

impl Group {
    /// The first one, claimed as the lead of the group.
    fn lead(&self, claim: &Claim) -> Stored {
        let digest = digest_of([&self.first].into_iter().chain(&self.others));
        self.first.claimed(claim, digest).leading()
    }
}

impl NotificationStore {
    /// Claims due notifications for up to `limit` mails, the longest due first. They become
    /// SENDING, and no other claim gets them. With a gathered one, all queued ones of its group are
    /// claimed, up to [`LARGEST`], and all get the same `digest_id`. If a group is already being
    /// sent, none of it is claimed.
    ///
    /// # Errors
    /// If the database is unavailable. Notifications that were claimed are returned to the queue
    /// when the claim ends.
    pub async fn claim(
        &self,
        claim: &Claim,
        limit: usize,
    ) -> Result<Vec<Notification>, StoreError> {
        let (mut claimed, mut mails) = (Vec::new(), 0);
        // One due notification claims its whole group, which may leave room for further mails.
        while mails < limit && claimed.len() < LARGEST {
            let due = self.due(claim.now, limit - mails).await?;
            if due.is_empty() {
                break;
            }
            let (alone, gathered): (Vec<_>, Vec<_>) =
                due.into_iter().partition(|due| due.group().is_none());
            let (taken, _) = self.change(alone, |due| due.claimed(claim, None)).await?;
            mails += taken.len();
            claimed.extend(taken);
            let groups = self.groups(gathered, LARGEST - claimed.len()).await?;
            for taken in self.claim_groups(claim, groups).await? {
                mails += 1;
                claimed.extend(taken);
            }
        }
        let claimed = claimed.into_iter().map(|claimed| claimed.notification);
        let mut claimed: Vec<_> = claimed.collect();
        claimed.sort_by_key(|notification| (notification.due_at, notification.id));
        Ok(claimed)
    }

    pub(super) async fn due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let due = Part::first(to_limit(limit), "").below(behind_time(now));
        Ok(self.0.list(&DUE, &due).await?)
    }

    /// The groups of these notifications, until they contain `room` notifications; the first group
    /// may be larger.
    async fn groups(&self, due: Vec<Stored>, room: usize) -> Result<Vec<Group>, StoreError> {
        let mut seen = HashSet::new();
        let firsts = due.into_iter().filter(|due| seen.insert(due.group()));
        let groups = firsts.map(|first| async {
            let others = self.queued_with(&first).await?;
            Ok::<_, StoreError>(Group { first, others })
        });
        let mut groups = stream::iter(groups).buffered(READS);
        let (mut all, mut size) = (Vec::new(), 0);
        while size < room
            && let Some(group) = groups.try_next().await?
        {
            size += 1 + group.others.len();
            all.push(group);
        }
        Ok(all)
    }

    /// Claims these groups. Returns those that were taken; the others are being sent, or another
    /// claim was faster.
    pub(super) async fn claim_groups(
        &self,
        claim: &Claim,
        groups: Vec<Group>,
    ) -> Result<Vec<Vec<Stored>>, StoreError> {
        let leads = groups.iter().map(|group| group.lead(claim));
        let leads: Vec<_> = leads.collect();
        let writes = groups.iter().zip(&leads);
        let writes = writes.map(|(group, lead)| Write::replace(&group.first, lead));
        let outcomes = self.0.write_many(writes.collect()).await?;
        let (mut taken, mut others, mut busy) = (Vec::new(), Vec::new(), Vec::new());
        for ((group, lead), outcome) in groups.into_iter().zip(leads).zip(outcomes) {
            match outcome {
                Ok(()) => {
                    others.extend(group.others);
                    taken.push(vec![lead]);
                }
                Err(Refusal::Taken(_)) => {
                    busy.push(group.first);
                    busy.extend(group.others);
                }
                Err(_) => {}
            }
        }
        self.postpone(busy, claim.now).await?;
        self.follow(claim, &mut taken, others).await?;
        self.renumber(&mut taken).await?;
        Ok(taken)
    }

    /// Claims the other members of groups whose leads are claimed, if they are still queued, and
    /// adds each to its group.
    async fn follow(
        &self,
        claim: &Claim,
        groups: &mut [Vec<Stored>],
        others: Vec<Stored>,
    ) -> Result<(), StoreError> {
        let leads = groups.iter().enumerate().filter_map(|(place, group)| {
            let lead = group.first()?;
            Some((lead.group(), (place, lead.notification.digest_id)))
        });
        let leads: HashMap<_, _> = leads.collect();
        let digest = |other: &Stored| leads.get(&other.group()).and_then(|lead| lead.1);
        let take = |other: &Stored| other.claimed(claim, digest(other));
        let (mut taken, changed) = self.change(others, take).await?;
        for other in changed {
            // Another replica has postponed it.
            let take = self.0.update(other.id(), |now: Option<&Stored>| {
                let queued = now.filter(|now| now.notification.state == State::Queued);
                queued.map(take)
            });
            taken.extend(take.await?);
        }
        for other in taken {
            let place = leads.get(&other.group()).map(|lead| lead.0);
            if let Some(group) = place.and_then(|place| groups.get_mut(place)) {
                group.push(other);
            }
        }
        Ok(())
    }

    /// Gives a group a new digest id if it is not complete: a claim that continued after its end
    /// may have taken some members.
    async fn renumber(&self, groups: &mut [Vec<Stored>]) -> Result<(), StoreError> {
        for group in groups {
            let digest = digest_of(&*group);
            if group.first().map(|lead| lead.notification.digest_id) != Some(digest) {
                let numbered = self.change(std::mem::take(group), |taken| taken.numbered(digest));
                (*group, _) = numbered.await?;
            }
        }
        Ok(())
    }

    /// The other queued members of the group, as many as fit into one mail.
    pub(super) async fn queued_with(&self, first: &Stored) -> Result<Vec<Stored>, StoreError> {
        let group = first.group().unwrap_or_default();
        let queued = Part::first(to_limit(LARGEST), group);
        let queued = self.0.list(&QUEUED, &queued).await?;
        let others = queued.into_iter();
        let others = others.filter(|other: &Stored| other.id() != first.id());
        Ok(others.take(LARGEST - 1).collect())
    }

    /// Postpones notifications of a group that is being sent until that is done, so that they do
    /// not delay others that are due.
    pub(super) async fn postpone(
        &self,
        queued: Vec<Stored>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let again = now.saturating_add(AGAIN).unwrap_or(now);
        let due = queued.into_iter();
        let due = due.filter(|queued| queued.notification.due_at <= now);
        let postpone = |due: &Stored| {
            due.changed(Notification {
                due_at: again,
                ..due.notification.clone()
            })
        };
        // One that was changed in the meantime is claimed, or already postponed.
        let _postponed = self.change(due.collect(), postpone).await?;
        Ok(())
    }
}

/// The digest id of these notifications, if there are several.
fn digest_of<'a>(notifications: impl IntoIterator<Item = &'a Stored>) -> Option<NotificationId> {
    let ids: Vec<_> = notifications
        .into_iter()
        .map(|stored| stored.notification.id)
        .collect();
    (ids.len() > 1).then(|| digest::id(ids))
}
