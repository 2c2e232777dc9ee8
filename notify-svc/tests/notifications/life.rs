//! Several replicas, repeated events, and restarts.

use std::{sync::Arc, time::Duration};

use notify_svc::{
    Stores,
    notification::{Outcome, State},
    testing::Reaction,
};
use slipway_runtime::testing::TIMEOUT;
use tokio::sync::Notify;

use super::harness::{Scene, in_mongodb, outcomes};

const ADA: &str = "ada@example.com";
const MAILS: usize = 150;

/// Two replicas on these stores send every mail, and none twice.
async fn two_replicas_share_the_work(scene: &Scene, stores: [Stores; 2]) {
    let [first, second] = stores.map(|stores| scene.replica_on(stores));
    let ada = scene.register(&first, ADA).await;
    let events: Vec<_> = (0..MAILS).map(|_| scene.assigned(ada)).collect();
    scene.publish(&events).await;
    second.count(State::Sent, MAILS).await;
    first.background.stop(TIMEOUT).await;
    second.background.stop(TIMEOUT).await;
    assert_eq!(scene.server.count(), MAILS, "no mail was sent by both");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_send_each_mail_once() {
    let scene = Scene::open().await;
    let stores = [scene.stores(), scene.stores()];
    two_replicas_share_the_work(&scene, stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_on_mongodb_send_each_mail_once() {
    let Some((_scratch, stores)) = in_mongodb().await else {
        return;
    };
    let scene = Scene::open().await;
    two_replicas_share_the_work(&scene, [stores.clone(), stores]).await;
}

#[tokio::test]
async fn an_event_that_is_delivered_again_is_mailed_once() {
    let scene = Scene::open().await;
    let replica = scene.replica();
    let ada = scene.register(&replica, ADA).await;
    let event = scene.assigned(ada);
    scene.publish(&[event.clone(), event.clone()]).await;
    replica.notified(ada, |n| n.state == State::Sent).await;
    scene.publish(&[event, scene.assigned(ada)]).await;
    replica.count(State::Sent, 2).await;
    assert_eq!(scene.server.count(), 2);
}

#[tokio::test]
async fn a_process_that_is_told_to_stop_finishes_the_mail_it_is_sending() {
    let scene = Scene::open().await;
    let notify = Arc::new(Notify::new());
    scene.server.will(ADA, [Reaction::Hold(notify.clone())]);
    let replica = scene.replica();
    let ada = scene.register(&replica, ADA).await;
    scene.publish(&[scene.assigned(ada)]).await;
    replica.notified(ada, |n| n.state == State::Sending).await;
    let stopping = replica.background.clone();
    let stopped = tokio::spawn(async move { stopping.stop(TIMEOUT).await });
    notify.notify_one();
    stopped.await.unwrap();
    let sent = replica.notified(ada, |_| true).await;
    assert_eq!((sent.state, scene.server.count()), (State::Sent, 1));
}

#[tokio::test]
async fn the_next_process_sends_interrupted_mails_and_records_it() {
    let scene = Scene::open().await;
    scene
        .server
        .will(ADA, [Reaction::Hold(Arc::new(Notify::new()))]);
    let first = scene.replica();
    let ada = scene.register(&first, ADA).await;
    scene.publish(&[scene.assigned(ada)]).await;
    let left = first.notified(ada, |n| n.state == State::Sending).await;
    assert!(left.attempts.is_empty());

    // It owns the file exclusively, so the claims in it belong to no process.
    let next = scene.replica_on(Stores {
        sole_owner: true,
        ..scene.stores()
    });
    let sent = next.notified(ada, |n| n.state == State::Sent).await;
    assert_eq!(outcomes(&sent), [Outcome::Interrupted, Outcome::Accepted]);
    assert_eq!(scene.server.count(), 1);
    first.background.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn with_other_replicas_a_claim_is_respected_until_it_ends() {
    let scene = Scene::open().await;
    scene
        .server
        .will(ADA, [Reaction::Hold(Arc::new(Notify::new()))]);
    let first = scene.replica();
    let ada = scene.register(&first, ADA).await;
    scene.publish(&[scene.assigned(ada)]).await;
    first.notified(ada, |n| n.state == State::Sending).await;
    let second = scene.replica();
    let bob = scene.register(&second, "bob@example.com").await;
    scene.publish(&[scene.assigned(bob)]).await;
    second.notified(bob, |n| n.state == State::Sent).await;
    assert_eq!(scene.server.count(), 1, "ada's is being sent");
    scene.pass(46);
    let sent = second.notified(ada, |n| n.state == State::Sent).await;
    assert_eq!(outcomes(&sent), [Outcome::Interrupted, Outcome::Accepted]);
    first.background.stop(Duration::ZERO).await;
}
