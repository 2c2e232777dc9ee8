//! Records delivery reports of the mail server's operator, each once.
//!
//! The notifications of all reports in a request are read together, then each report is evaluated,
//! and the notifications that change are stored. Each write is guarded by the notification's state,
//! so that of two replicas with different reports only the first one succeeds. A report about a
//! digest applies to each notification in it.

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

/// How many notifications are stored concurrently.
const AT_ONCE: usize = 16;

/// How many times reports are evaluated again because another writer was faster. A notification
/// changes only once this way, so the second time is enough.
const TRIES: usize = 3;

/// The result of a report. For a digest it is the last of these that applies to one of its
/// notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ConfirmationOutcome {
    /// The notification has this state, by this report or an earlier one.
    Recorded,
    /// The notification has a different final state, which stays.
    Contradicts,
    /// The notification is not yet recorded as sent: repeat the report later.
    TooEarly,
    /// There is no such notification, or it was deleted.
    Unknown,
}

/// Records delivery reports.
pub(crate) struct Confirmations {
    pub(crate) store: NotificationStore,
    pub(crate) clock: SharedClock,
    pub(crate) outbox: Wake,
}

impl Confirmations {
    /// Records reports in this order and returns the result of each. A repetition changes nothing
    /// and has the same result.
    ///
    /// # Errors
    /// If the database is unavailable. Some may have been stored: repeat all of them.
    pub(crate) async fn take_up(
        &self,
        reports: &[Confirmation],
    ) -> Result<Vec<ConfirmationOutcome>, StoreError> {
        for _ in 0..TRIES {
            let known = self.look_up(reports).await?;
            let (taken, changed) = self.decide(reports, known);
            if self.store(changed).await? {
                return Ok(taken);
            }
        }
        Err(StoreError::Contended(TRIES))
    }

    async fn look_up(
        &self,
        reports: &[Confirmation],
    ) -> Result<BTreeMap<NotificationId, Notification>, StoreError> {
        let mut ids: Vec<_> = reports.iter().map(|confirmation| confirmation.id).collect();
        ids.sort_unstable();
        ids.dedup();
        let found = self.store.mailed_as(&ids).await?;
        Ok(found.into_iter().map(|found| (found.id, found)).collect())
    }

    /// The result of each report, and the notifications that change.
    fn decide(
        &self,
        reports: &[Confirmation],
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
        let taken = reports.iter().map(|confirmation| {
            let notifications = mails.get(&confirmation.id).into_iter().flatten();
            let taken = notifications.filter_map(|id| {
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

    /// Stores all of them; `false` if one was changed in the meantime.
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
        // The reason may have the address. The notification has it.
        tracing::error!(notification = %notification.id, kind, "mail bounced");
        m::count_state(m::FAILED, notification);
    } else {
        m::count_state(m::DELIVERED, notification);
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

    /// Two notifications that were sent, and one that is queued.
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
            let settled = notification.notification().settle(attempt, 0.0, now);
            let settled = [(settled.notification, vec![])];
            assert_eq!(store.settle(&[notification], &settled).await.unwrap(), 1);
        }
        store.enqueue(made[2..].to_vec()).await.unwrap();
        let confirmations = Confirmations {
            store,
            clock: Arc::new(SystemClock),
            outbox: Wake::default(),
        };
        (dir, confirmations, [0, 1, 2].map(|n| made[n].id))
    }

    fn report(id: NotificationId, arrival: DeliveryReport) -> Confirmation {
        Confirmation {
            id,
            arrival,
            at: Timestamp::UNIX_EPOCH,
            detail: "550 no such mailbox".to_owned(),
        }
    }

    #[tokio::test]
    async fn each_report_has_its_own_result_and_a_repetition_the_same() {
        use DeliveryReport::{Bounced, Delivered};
        let (_dir, confirmations, [first, second, waiting]) = scene().await;
        let nobody = NotificationId(Uuid::now_v7());
        let words = [
            report(nobody, Delivered),
            report(first, Delivered),
            report(waiting, Delivered),
            report(second, Bounced),
            // The first report counts, also within one request.
            report(first, Bounced),
            report(second, Bounced),
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
    async fn a_report_about_a_digest_applies_to_each_notification_in_it() {
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
        let early = [report(mail, DeliveryReport::Delivered)];
        assert_eq!(
            confirmations.take_up(&early).await.unwrap(),
            [ConfirmationOutcome::TooEarly]
        );
        let settled = claimed.iter().map(|n| {
            let attempt = Attempt::new(now, Duration::ZERO, Outcome::Accepted, "250 taken");
            (
                n.notification().settle(attempt, 0.0, now).notification,
                vec![],
            )
        });
        let settled: Vec<_> = settled.collect();
        assert_eq!(store.settle(&claimed, &settled).await.unwrap(), 3);

        let bounced = [
            report(mail, DeliveryReport::Bounced),
            report(mail, DeliveryReport::Delivered),
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
