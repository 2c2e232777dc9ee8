//! Claiming what is due, whoever else does so at the same time.
//!
//! A claim reads what is due and then takes it, each in a write of its own: of two claims
//! that read the same, each gets what the other has not taken.
//!
//! Of those that go in one mail, a claim takes one first, which has the group as a unique
//! key: so one claim at a time can do that, and that one takes the others. All groups of a claim
//! share the writes.

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

/// When a group is looked at again that is being sent.
const AGAIN: SignedDuration = SignedDuration::from_secs(1);

/// Groups that are read at the same time.
const READS: usize = 8;

/// Notifications that go in one mail and are queued.
pub(super) struct Group {
    /// One that is due.
    pub(super) first: Stored,
    pub(super) others: Vec<Stored>,
}

impl Group {
    /// The first as it is when it leads the group.
    fn lead(&self, claim: &Claim) -> Stored {
        let digest = digest_of([&self.first].into_iter().chain(&self.others));
        self.first.claimed(claim, digest).leading()
    }
}

impl NotificationStore {
    /// Claims notifications that are due, the longest due first, as many as go in `limit`
    /// mails: they are SENDING, and no other claim has them. With one that is gathered,
    /// those of its group are claimed that are queued, at most [`LARGEST`], and all get the
    /// same `digest_id`; of a group that is being sent, nothing is claimed.
    ///
    /// # Errors
    /// If the database is away. What was claimed nevertheless is taken back when the
    /// claim ends.
    pub async fn claim(
        &self,
        claim: &Claim,
        limit: usize,
    ) -> Result<Vec<Notification>, StoreError> {
        let (mut claimed, mut mails) = (Vec::new(), 0);
        // Of a group, one that is due is enough to claim all: then there is room for others.
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

    /// The groups that these belong to, until `room` notifications are in them; the first group
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

    /// Claims each of these groups, of which one is due. Returns those that were taken; the
    /// others are being sent, or somebody was faster.
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
        self.put_off(busy, claim.now).await?;
        self.follow(claim, &mut taken, others).await?;
        self.number_anew(&mut taken).await?;
        Ok(taken)
    }

    /// Claims the others of groups whose leads are claimed, as far as they are still queued, and
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
            // Another replica has put it off.
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

    /// Gives those that are not told by the mail that was meant another one: a claim that went on
    /// after its end may have some of the group.
    async fn number_anew(&self, groups: &mut [Vec<Stored>]) -> Result<(), StoreError> {
        for group in groups {
            let digest = digest_of(&*group);
            if group.first().map(|lead| lead.notification.digest_id) != Some(digest) {
                let numbered = self.change(std::mem::take(group), |taken| taken.numbered(digest));
                (*group, _) = numbered.await?;
            }
        }
        Ok(())
    }

    /// The others of a group, as far as they are queued and go in one mail.
    pub(super) async fn queued_with(&self, first: &Stored) -> Result<Vec<Stored>, StoreError> {
        let group = first.group().unwrap_or_default();
        let queued = Part::first(to_limit(LARGEST), group);
        let queued = self.0.list(&QUEUED, &queued).await?;
        let others = queued.into_iter();
        let others = others.filter(|other: &Stored| other.id() != first.id());
        Ok(others.take(LARGEST - 1).collect())
    }

    /// What came later into a group that is being sent: not before that is done, and not in
    /// the way of what else is due.
    pub(super) async fn put_off(
        &self,
        queued: Vec<Stored>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let again = now.saturating_add(AGAIN).unwrap_or(now);
        let due = queued.into_iter();
        let due = due.filter(|queued| queued.notification.due_at <= now);
        let put_off = |due: &Stored| {
            due.changed(Notification {
                due_at: again,
                ..due.notification.clone()
            })
        };
        // One that has changed meanwhile is claimed, or put off already.
        let _put_off = self.change(due.collect(), put_off).await?;
        Ok(())
    }
}

/// The mail that tells of these, if they are several.
fn digest_of<'a>(told: impl IntoIterator<Item = &'a Stored>) -> Option<NotificationId> {
    let ids: Vec<_> = told.into_iter().map(|told| told.notification.id).collect();
    (ids.len() > 1).then(|| digest::id(ids))
}
