//! Claiming and settling notifications that go into one mail.

use std::{collections::BTreeSet, sync::Arc};

use futures::future::join_all;
use tokio::sync::Barrier;

use super::{
    Opened, after, claim, notification, notifications,
    outcomes::{attempt, outcome_event},
    user,
};
use crate::{
    notification::{
        Notification, Outcome, State, digest,
        store::{NotificationStore, claims::Group},
    },
    store::testing::on_each,
};

on_each!(Opened:
    a_group_is_claimed_together
    concurrent_claims_take_whole_groups
    a_new_member_of_a_group_being_sent_waits
    members_of_another_claim_are_not_in_the_mail
    a_failed_group_is_claimed_again_as_the_same_mail
    the_outcome_of_a_digest_is_stored_for_each_member
);

/// The `n`-th notification, to `recipient`, in this group.
fn gathered(n: u128, recipient: u128, group: &str) -> Notification {
    let due = notification(n).due_at;
    let to = user(recipient);
    Notification {
        to,
        ..notification(n)
    }
    .gathered(group, "GATHERED: together", due)
}

/// A group of notifications that is due.
async fn queued(store: &NotificationStore, count: u128) -> Vec<Notification> {
    let group: Vec<_> = (1..=count).map(|n| gathered(n, 1, "release:1")).collect();
    store.enqueue(group.clone()).await.unwrap();
    group
}

fn digest_of(group: &[Notification]) -> crate::notification::NotificationId {
    digest::id(group.iter().map(|n| n.id))
}

async fn a_group_is_claimed_together(open: impl Fn() -> Opened) {
    let store = open().store;
    let mut group: Vec<_> = (10..=14).map(|n| gathered(n, 1, "release:1")).collect();
    // A member that is not due yet is claimed too.
    group[4] = group[4].clone().deferred(after(9_000));
    let alone = gathered(15, 2, "release:1");
    let other = gathered(16, 1, "release:2");
    let mut queue = notifications(2);
    queue.extend(group.clone());
    queue.extend([alone.clone(), other.clone()]);
    store.enqueue(queue).await.unwrap();
    let read = store.get(group[0].id).await.unwrap();
    assert_eq!(
        read.as_ref(),
        Some(&group[0]),
        "it is read as it was written"
    );

    // Two single mails, and the group as the third.
    let three = store.claim(&claim(after(100)), 3).await.unwrap();
    assert_eq!(three.len(), 2 + 5);
    let (together, single): (Vec<_>, Vec<_>) = three.into_iter().partition(|n| n.group.is_some());
    assert!(single.iter().all(|n| n.digest_id.is_none()));
    assert!(together.iter().all(|n| n.state == State::Sending));
    assert!(
        together
            .iter()
            .all(|n| n.digest_id == Some(digest_of(&group)))
    );
    let ids: BTreeSet<_> = together.iter().map(|n| n.id).collect();
    assert_eq!(ids, group.iter().map(|n| n.id).collect());

    let rest = store.claim(&claim(after(100)), 10).await.unwrap();
    let ids: Vec<_> = rest.iter().map(|n| n.id).collect();
    assert_eq!(
        ids,
        [alone.id, other.id],
        "of another recipient, and another group"
    );
    assert!(rest.iter().all(|n| n.digest_id.is_none()), "each is alone");
    assert!(
        store
            .claim(&claim(after(100)), 10)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn concurrent_claims_take_whole_groups(open: impl Fn() -> Opened) {
    const GROUPS: u128 = 5;
    const MEMBERS: u128 = 40;
    let all = (0..GROUPS * MEMBERS).map(|n| gathered(n + 1, n % GROUPS, "release:1"));
    open().store.enqueue(all.collect()).await.unwrap();
    let barrier = Arc::new(Barrier::new(4));
    let claimers = (0..4).map(|_| {
        let (store, barrier) = (open().store, Arc::clone(&barrier));
        tokio::spawn(async move {
            barrier.wait().await;
            let mut mine = Vec::new();
            for _ in 0..10 {
                mine.push(store.claim(&claim(after(1000)), 1).await.unwrap());
            }
            mine
        })
    });
    let claims = join_all(claimers)
        .await
        .into_iter()
        .flat_map(Result::unwrap);
    let claims: Vec<_> = claims.filter(|claim| !claim.is_empty()).collect();
    assert_eq!(claims.len(), GROUPS as usize, "each group is one mail");
    for claimed in claims {
        assert_eq!(claimed.len(), MEMBERS as usize);
        assert!(claimed.iter().all(|n| n.to == claimed[0].to));
    }
}

async fn a_new_member_of_a_group_being_sent_waits(open: impl Fn() -> Opened) {
    let store = open().store;
    queued(&store, 3).await;
    let first = claim(after(100));
    let sending = store.claim(&first, 1).await.unwrap();
    assert_eq!(sending.len(), 3);
    let (later, other) = (gathered(4, 1, "release:1"), notification(5));
    store
        .enqueue(vec![later.clone(), other.clone()])
        .await
        .unwrap();
    let claimed = store.claim(&claim(after(100)), 1).await.unwrap();
    let ids: Vec<_> = claimed.iter().map(|n| n.id).collect();
    assert_eq!(ids, [other.id], "it is in nobody's way");

    let settled = sending.into_iter().map(|n| {
        let settled = n.settle(attempt(Outcome::Accepted), 0.0, after(100));
        (settled.notification, vec![])
    });
    store.settle(first.id, settled.collect()).await.unwrap();
    let claimed = store.claim(&claim(after(2_000)), 10).await.unwrap();
    let ids: Vec<_> = claimed.iter().map(|n| n.id).collect();
    assert_eq!(ids, [later.id]);
}

async fn members_of_another_claim_are_not_in_the_mail(open: impl Fn() -> Opened) {
    let store = open().store;
    let group = queued(&store, 4).await;
    let first = store.due(after(100), 1).await.unwrap().remove(0);
    let others = store.queued_with(&first).await.unwrap();
    // In the meantime, another replica postpones one member, and a claim that continues after its
    // end takes another.
    let postponed = store.postpone(vec![others[0].clone()], after(100));
    postponed.await.unwrap();
    let late = claim(after(50));
    let take = store.change(vec![others[1].clone()], |other| other.claimed(&late, None));
    assert_eq!(take.await.unwrap().0.len(), 1);
    let claim = claim(after(100));
    let groups = vec![Group { first, others }];
    let claimed = store.claim_groups(&claim, groups).await.unwrap().remove(0);
    let members = [&group[0], &group[1], &group[3]];
    let ids: BTreeSet<_> = claimed.iter().map(|n| n.notification.id).collect();
    assert_eq!(ids, members.iter().map(|n| n.id).collect());
    let digest = Some(digest::id(members.iter().map(|n| n.id)));
    for notification in members {
        let stored = store.get(notification.id).await.unwrap().unwrap();
        assert_eq!((stored.state, stored.digest_id), (State::Sending, digest));
    }
}

async fn a_failed_group_is_claimed_again_as_the_same_mail(open: impl Fn() -> Opened) {
    let store = open().store;
    let group = queued(&store, 5).await;
    let first = claim(after(100));
    let claimed = store.claim(&first, 1).await.unwrap();
    let digest = claimed[0].digest_id;
    assert_eq!(digest, Some(digest_of(&group)));
    let settled = claimed.into_iter().map(|n| {
        let settled = n.settle(attempt(Outcome::Temporary), 0.0, after(100));
        (settled.notification, vec![])
    });
    let settled: Vec<_> = settled.collect();
    let due = settled[0].0.due_at;
    assert_eq!(store.settle(first.id, settled).await.unwrap(), 5);
    let second = claim(due);
    let again = store.claim(&second, 1).await.unwrap();
    assert_eq!(again.len(), 5);
    assert!(
        again
            .iter()
            .all(|n| n.digest_id == digest && n.tries() == 1)
    );

    // Also after the process has ended.
    assert_eq!(
        store
            .take_back(second.until, second.until, 9)
            .await
            .unwrap(),
        5
    );
    let third = store.claim(&claim(second.until), 1).await.unwrap();
    assert_eq!(third.len(), 5);
    assert!(
        third
            .iter()
            .all(|n| n.digest_id == digest && n.tries() == 1)
    );
}

async fn the_outcome_of_a_digest_is_stored_for_each_member(open: impl Fn() -> Opened) {
    let Opened { store, outbox } = open();
    let group = queued(&store, 40).await;
    let claim = claim(after(100));
    let claimed = store.claim(&claim, 1).await.unwrap();
    let digest = claimed[0].digest_id.unwrap();
    let settled = claimed.into_iter().map(|n| {
        let sent = n
            .settle(attempt(Outcome::Accepted), 0.0, after(100))
            .notification;
        let event = outcome_event(&sent);
        (sent, vec![event])
    });
    let settled: Vec<_> = settled.collect();
    assert_eq!(store.settle(claim.id, settled.clone()).await.unwrap(), 40);
    assert_eq!(outbox.count().await.unwrap(), 40);
    assert_eq!(
        store.settle(claim.id, settled.clone()).await.unwrap(),
        0,
        "once"
    );
    assert_eq!(outbox.count().await.unwrap(), 40);

    let mut found = store.mailed_as(&[digest, group[0].id]).await.unwrap();
    found.sort_by_key(|n| n.id);
    found.dedup();
    let expected: Vec<_> = settled.into_iter().map(|(n, _)| n).collect();
    assert_eq!(found, expected, "by the mail, and by itself");
    assert!(
        found.iter().all(|n| n.reason.is_none()),
        "none waits any more"
    );
}
