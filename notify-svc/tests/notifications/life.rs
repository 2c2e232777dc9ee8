//! Several replicas, repeated events, ends and new beginnings.

use std::{sync::Arc, time::Duration};

use notify_svc::{
    Stores,
    notification::{Outcome, State},
    testing::Reaction,
};
use slipway_runtime::testing::TIMEOUT;
use tokio::sync::Notify;

use super::harness::{Office, in_mongodb, outcomes};

const ADA: &str = "ada@example.com";
const MAILS: usize = 150;

/// Two replicas on these stores send everything, and none of it twice.
async fn two_replicas_share_the_work(office: &Office, stores: [Stores; 2]) {
    let [first, second] = stores.map(|stores| office.replica_on(stores));
    let ada = office.hire(&first, ADA).await;
    let events: Vec<_> = (0..MAILS).map(|_| office.assigned(ada)).collect();
    office.publish(&events).await;
    second.count(State::Sent, MAILS).await;
    first.background.stop(TIMEOUT).await;
    second.background.stop(TIMEOUT).await;
    assert_eq!(office.server.count(), MAILS, "no mail was sent by both");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_send_each_mail_once() {
    let office = Office::open().await;
    let stores = [office.stores(), office.stores()];
    two_replicas_share_the_work(&office, stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_on_mongodb_send_each_mail_once() {
    let Some((_scratch, stores)) = in_mongodb().await else {
        return;
    };
    let office = Office::open().await;
    two_replicas_share_the_work(&office, [stores.clone(), stores]).await;
}

#[tokio::test]
async fn an_event_that_is_delivered_again_is_mailed_once() {
    let office = Office::open().await;
    let replica = office.replica();
    let ada = office.hire(&replica, ADA).await;
    let event = office.assigned(ada);
    office.publish(&[event.clone(), event.clone()]).await;
    replica.notified(ada, |n| n.state == State::Sent).await;
    office.publish(&[event, office.assigned(ada)]).await;
    replica.count(State::Sent, 2).await;
    assert_eq!(office.server.count(), 2);
}

#[tokio::test]
async fn a_process_that_is_told_to_stop_finishes_the_mail_it_is_sending() {
    let office = Office::open().await;
    let told = Arc::new(Notify::new());
    office.server.will(ADA, [Reaction::Hold(told.clone())]);
    let replica = office.replica();
    let ada = office.hire(&replica, ADA).await;
    office.publish(&[office.assigned(ada)]).await;
    replica.notified(ada, |n| n.state == State::Sending).await;
    let stopping = replica.background.clone();
    let stopped = tokio::spawn(async move { stopping.stop(TIMEOUT).await });
    told.notify_one();
    stopped.await.unwrap();
    let sent = replica.notified(ada, |_| true).await;
    assert_eq!((sent.state, office.server.count()), (State::Sent, 1));
}

#[tokio::test]
async fn what_a_process_left_behind_is_sent_by_the_next_and_the_log_says_so() {
    let office = Office::open().await;
    office
        .server
        .will(ADA, [Reaction::Hold(Arc::new(Notify::new()))]);
    let first = office.replica();
    let ada = office.hire(&first, ADA).await;
    office.publish(&[office.assigned(ada)]).await;
    let left = first.notified(ada, |n| n.state == State::Sending).await;
    assert!(left.attempts.is_empty());

    // It holds the file alone, so what is claimed there is nobody's.
    let next = office.replica_on(Stores {
        sole_owner: true,
        ..office.stores()
    });
    let sent = next.notified(ada, |n| n.state == State::Sent).await;
    assert_eq!(outcomes(&sent), [Outcome::Interrupted, Outcome::Accepted]);
    assert_eq!(office.server.count(), 1);
    first.background.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn with_other_replicas_a_claim_is_left_alone_until_it_ends() {
    let office = Office::open().await;
    office
        .server
        .will(ADA, [Reaction::Hold(Arc::new(Notify::new()))]);
    let first = office.replica();
    let ada = office.hire(&first, ADA).await;
    office.publish(&[office.assigned(ada)]).await;
    first.notified(ada, |n| n.state == State::Sending).await;
    let second = office.replica();
    let bob = office.hire(&second, "bob@example.com").await;
    office.publish(&[office.assigned(bob)]).await;
    second.notified(bob, |n| n.state == State::Sent).await;
    assert_eq!(office.server.count(), 1, "ada's is being sent");
    office.pass(46);
    let sent = second.notified(ada, |n| n.state == State::Sent).await;
    assert_eq!(outcomes(&sent), [Outcome::Interrupted, Outcome::Accepted]);
    first.background.stop(Duration::ZERO).await;
}
