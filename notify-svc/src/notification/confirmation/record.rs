//! What the mail server's operator says of mails that were sent: taken up, once.
//!
//! Of several at once, all are looked up together, decided on, and those that change a
//! notification are stored: guarded by its state, so that of two replicas that hear
//! different things one has its way and the other learns of it. What is said of a mail that
//! told of several notifications is said of each of them.

use std::collections::{BTreeMap, HashMap};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use slipway_runtime::clock::SharedClock;
use slipway_store::outbox::Wake;

use crate::{
    metrics as m,
    notification::{
        Confirmation, Confirmed, Notification, NotificationId, State, events::outcome_event,
        store::NotificationStore,
    },
    store::StoreError,
};

/// How many are stored at the same time.
const AT_ONCE: usize = 16;

/// How often it is decided anew because others were faster. A notification changes by
/// this once, so a second time is enough.
const TRIES: usize = 3;

/// What became of a confirmation. Of a mail that told of several notifications it is the
/// last of these that became of one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ConfirmationOutcome {
    /// The log says so, by this one or by an earlier one.
    Recorded,
    /// The log has another end of it, which stays.
    Contradicts,
    /// The log does not say yet that it was sent: to be repeated.
    TooEarly,
    /// There is no such notification, or not any more.
    Unknown,
}

/// Takes up confirmations.
pub(crate) struct Confirmations {
    pub(crate) store: NotificationStore,
    pub(crate) clock: SharedClock,
    pub(crate) outbox: Wake,
}

impl Confirmations {
    /// Takes up what was said, in this order; what became of each. A repetition changes
    /// nothing and is answered alike.
    ///
    /// # Errors
    /// If the database is away: then it is not known which are stored, and all of it is to
    /// be repeated.
    pub(crate) async fn take_up(
        &self,
        said: &[Confirmation],
    ) -> Result<Vec<ConfirmationOutcome>, StoreError> {
        for _ in 0..TRIES {
            let known = self.look_up(said).await?;
            let (taken, changed) = self.decide(said, known);
            if self.store(changed).await? {
                return Ok(taken);
            }
        }
        Err(StoreError::Contended(TRIES))
    }

    async fn look_up(
        &self,
        said: &[Confirmation],
    ) -> Result<BTreeMap<NotificationId, Notification>, StoreError> {
        let mut ids: Vec<_> = said.iter().map(|confirmation| confirmation.id).collect();
        ids.sort_unstable();
        ids.dedup();
        let found = self.store.mailed_as(&ids).await?;
        Ok(found.into_iter().map(|found| (found.id, found)).collect())
    }

    /// What becomes of each, and the notifications that change by it.
    fn decide(
        &self,
        said: &[Confirmation],
        mut known: BTreeMap<NotificationId, Notification>,
    ) -> (Vec<ConfirmationOutcome>, Vec<Notification>) {
        let (now, mut changed) = (self.clock.now(), Vec::new());
        let mut mails: HashMap<NotificationId, Vec<NotificationId>> = HashMap::new();
        for notification in known.values() {
            let ids = [Some(notification.id), notification.digest_id];
            for id in ids.into_iter().flatten() {
                mails.entry(id).or_default().push(notification.id);
            }
        }
        let taken = said.iter().map(|confirmation| {
            let told = mails.get(&confirmation.id).into_iter().flatten();
            let taken = told.filter_map(|id| {
                let notification = known.get_mut(id)?;
                Some(match notification.confirm(confirmation, now) {
                    Confirmed::Changed(next) => {
                        notification.clone_from(&next);
                        changed.push(*next);
                        ConfirmationOutcome::Recorded
                    }
                    Confirmed::Already => ConfirmationOutcome::Recorded,
                    Confirmed::Contradicts => ConfirmationOutcome::Contradicts,
                    Confirmed::TooEarly => ConfirmationOutcome::TooEarly,
                })
            });
            taken.max().unwrap_or(ConfirmationOutcome::Unknown)
        });
        (taken.collect(), changed)
    }

    /// Whether all of them are stored; `false` if one has changed meanwhile.
    async fn store(&self, changed: Vec<Notification>) -> Result<bool, StoreError> {
        let storing = changed.into_iter().map(|next| self.store_one(next));
        let stored = stream::iter(storing).buffer_unordered(AT_ONCE);
        stored.try_fold(true, async |all, one| Ok(all && one)).await
    }

    async fn store_one(&self, next: Notification) -> Result<bool, StoreError> {
        let events = match next.state {
            State::Failed => vec![outcome_event(&next)],
            _ => vec![],
        };
        let tells = !events.is_empty();
        let stored = self.store.confirm(&next, events).await?;
        if stored {
            count(&next);
            if tells {
                self.outbox.wake(next.id.0);
            }
        }
        Ok(stored)
    }
}

fn count(notification: &Notification) {
    let kind = notification.kind.as_str();
    if notification.state == State::Failed {
        tracing::error!(notification = %notification.id, kind, reason = notification.reason,
            "mail bounced");
        metrics::counter!(m::FAILED, "type" => m::type_label(kind)).increment(1);
    } else {
        metrics::counter!(m::DELIVERED, "type" => m::type_label(kind)).increment(1);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use jiff::Timestamp;
    use serde_json::json;
    use slipway_runtime::clock::SystemClock;
    use tempfile::TempDir;
    use uuid::Uuid;

    use super::*;
    use crate::notification::{Attempt, DeliveryReport, Draft, Outcome, Subject, To, store::Claim};

    /// Two notifications that were sent, and one that waits.
    async fn scene() -> (TempDir, Confirmations, [NotificationId; 3]) {
        let dir = tempfile::tempdir().unwrap();
        let documents = crate::store::open(&dir.path().join("notify.db")).unwrap();
        let store = NotificationStore::new(documents);
        let now = Timestamp::UNIX_EPOCH;
        let made = (0..3).map(|n| {
            let draft = Draft {
                kind: "task.assigned".to_owned(),
                to: To::address("ada@example.com"),
                data: json!({}),
                sender: None,
            };
            Notification::new(draft, Uuid::from_u128(n), Subject::new("x"), now)
        });
        let made: Vec<_> = made.collect();
        store.enqueue(made[..2].to_vec()).await.unwrap();
        let claim = Claim {
            id: Uuid::now_v7(),
            now,
            until: Timestamp::MAX,
        };
        for notification in store.claim(&claim, 10).await.unwrap() {
            let attempt = Attempt::new(now, Duration::ZERO, Outcome::Accepted, "250 taken");
            let settled = notification.settle(attempt, 0.0, now);
            let settled = vec![(settled.notification, vec![])];
            assert_eq!(store.settle(claim.id, settled).await.unwrap(), 1);
        }
        store.enqueue(made[2..].to_vec()).await.unwrap();
        let confirmations = Confirmations {
            store,
            clock: Arc::new(SystemClock),
            outbox: Wake::default(),
        };
        (dir, confirmations, [0, 1, 2].map(|n| made[n].id))
    }

    fn said(id: NotificationId, arrival: DeliveryReport) -> Confirmation {
        Confirmation {
            id,
            arrival,
            at: Timestamp::UNIX_EPOCH,
            detail: "550 no such mailbox".to_owned(),
        }
    }

    #[tokio::test]
    async fn each_is_answered_for_itself_and_a_repetition_alike() {
        use DeliveryReport::{Bounced, Delivered};
        let (_dir, confirmations, [first, second, waiting]) = scene().await;
        let nobody = NotificationId(Uuid::now_v7());
        let words = [
            said(nobody, Delivered),
            said(first, Delivered),
            said(waiting, Delivered),
            said(second, Bounced),
            // The first word stands, also within one request.
            said(first, Bounced),
            said(second, Bounced),
        ];
        let answers = [
            ConfirmationOutcome::Unknown,
            ConfirmationOutcome::Recorded,
            ConfirmationOutcome::TooEarly,
            ConfirmationOutcome::Recorded,
            ConfirmationOutcome::Contradicts,
            ConfirmationOutcome::Recorded,
        ];
        for _ in 0..2 {
            assert_eq!(confirmations.take_up(&words).await.unwrap(), answers);
        }
        let log = |id| confirmations.store.get(id);
        let (first, second) = (log(first).await.unwrap(), log(second).await.unwrap());
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!((first.state, first.attempts.len()), (State::Delivered, 2));
        assert_eq!((second.state, second.attempts.len()), (State::Failed, 2));
        assert_eq!(second.reason.as_deref(), Some("550 no such mailbox"));
        assert_eq!(log(waiting).await.unwrap().unwrap().state, State::Queued);
    }

    #[tokio::test]
    async fn what_is_said_of_a_mail_is_said_of_all_it_told() {
        let (_dir, confirmations, _) = scene().await;
        let store = &confirmations.store;
        let now = Timestamp::UNIX_EPOCH;
        let made = (10..13).map(|n| {
            let draft = Draft {
                kind: "task.assigned".to_owned(),
                to: To::address("grace@example.com"),
                data: json!({}),
                sender: None,
            };
            let made = Notification::new(draft, Uuid::from_u128(n), Subject::new("x"), now);
            made.gathered("release:1", "GATHERED: together", now)
        });
        store.enqueue(made.collect()).await.unwrap();
        let claim = Claim {
            id: Uuid::now_v7(),
            now,
            until: Timestamp::MAX,
        };
        let mut claimed = store.claim(&claim, 10).await.unwrap();
        claimed.retain(|n| n.group.is_some());
        let mail = claimed[0].mail_id();
        let early = [said(mail, DeliveryReport::Delivered)];
        assert_eq!(
            confirmations.take_up(&early).await.unwrap(),
            [ConfirmationOutcome::TooEarly]
        );
        let settled = claimed.iter().cloned().map(|n| {
            let attempt = Attempt::new(now, Duration::ZERO, Outcome::Accepted, "250 taken");
            (n.settle(attempt, 0.0, now).notification, vec![])
        });
        assert_eq!(store.settle(claim.id, settled.collect()).await.unwrap(), 3);

        let bounced = [
            said(mail, DeliveryReport::Bounced),
            said(mail, DeliveryReport::Delivered),
        ];
        let expected = [
            ConfirmationOutcome::Recorded,
            ConfirmationOutcome::Contradicts,
        ];
        assert_eq!(confirmations.take_up(&bounced).await.unwrap(), expected);
        for notification in claimed {
            let log = store.get(notification.id).await.unwrap().unwrap();
            assert_eq!((log.state, log.attempts.len()), (State::Failed, 2));
        }
    }
}
