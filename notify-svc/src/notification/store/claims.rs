//! Claiming what is due, whoever else does so at the same time.
//!
//! A claim reads what is due and then takes it, each in a write of its own: of two claims
//! that read the same, each gets what the other has not taken.
//!
//! Of those that go in one mail, a claim takes one first, which has the group as a unique
//! key: so one claim at a time can do that, and that one takes the others.

use std::collections::HashSet;

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
            let mut groups = HashSet::new();
            for first in gathered {
                if claimed.len() < LARGEST && groups.insert(first.group()) {
                    let others = self.queued_with(&first).await?;
                    let taken = self.claim_group(claim, first, others).await?;
                    mails += usize::from(!taken.is_empty());
                    claimed.extend(taken);
                }
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

    /// Claims `first`, which is due, and the others that go in one mail with it. None, if
    /// others were faster or the group is being sent.
    pub(super) async fn claim_group(
        &self,
        claim: &Claim,
        first: Stored,
        others: Vec<Stored>,
    ) -> Result<Vec<Stored>, StoreError> {
        let digest = digest_of([&first].into_iter().chain(&others));
        let lead = first.claimed(claim, digest).leading();
        match self.0.write(Write::replace(&first, &lead)).await? {
            Ok(()) => {}
            Err(Refusal::Taken(_)) => {
                self.put_off(first, others, claim.now).await?;
                return Ok(Vec::new());
            }
            Err(_) => return Ok(Vec::new()),
        }
        let mut taken = vec![lead];
        taken.extend(self.follow(claim, others, digest).await?);
        // A claim that went on after its end may have some of them.
        let digest_of_taken = digest_of(&taken);
        if digest_of_taken != digest {
            let number = |taken: &Stored| taken.numbered(digest_of_taken);
            (taken, _) = self.change(taken, number).await?;
        }
        Ok(taken)
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

    /// Claims the others of a group; returns those that were still queued.
    async fn follow(
        &self,
        claim: &Claim,
        others: Vec<Stored>,
        digest: Option<NotificationId>,
    ) -> Result<Vec<Stored>, StoreError> {
        let take = |other: &Stored| other.claimed(claim, digest);
        let (mut taken, changed) = self.change(others, take).await?;
        for other in changed {
            // Another replica has put it off.
            let take = self.0.update(other.id(), |now: Option<&Stored>| {
                let queued = now.filter(|now| now.notification.state == State::Queued);
                queued.map(take)
            });
            taken.extend(take.await?);
        }
        Ok(taken)
    }

    /// What came later into a group that is being sent: not before that is done, and not in
    /// the way of what else is due.
    pub(super) async fn put_off(
        &self,
        first: Stored,
        others: Vec<Stored>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let again = now.saturating_add(AGAIN).unwrap_or(now);
        let group = std::iter::once(first).chain(others);
        let due = group.filter(|queued| queued.notification.due_at <= now);
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
