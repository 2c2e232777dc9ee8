//! An unavailable mail server: nothing is lost, and no retries are used up. The clock stands still
//! in these tests, so a notification that waited for a delay would wait forever.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use notify_svc::{
    notification::{
        Notification, Outcome, State,
        mail::{Mail, Mailer, Sending},
    },
    testing::SmtpServer,
};
use slipway_runtime::testing::TIMEOUT;
use uuid::Uuid;

use super::harness::{Replica, Scene, outcomes};

const DAY: i64 = 24 * 60 * 60;

fn is_tried(notification: &Notification) -> bool {
    !notification.attempts.is_empty()
}

/// Registers this many users besides the first one, who gets a notification that does not arrive.
async fn registered_users(scene: &Scene, replica: &Replica, others: usize) -> (Uuid, Vec<Uuid>) {
    let first = scene.register(replica, "first@example.com").await;
    let mut registered_users = Vec::new();
    for n in 0..others {
        registered_users.push(
            scene
                .register(replica, &format!("dev-{n}@example.com"))
                .await,
        );
    }
    (first, registered_users)
}

#[tokio::test]
async fn notifications_of_an_outage_are_sent_once_after_it() {
    let mut scene = Scene::open().await;
    let replica = scene.replica();
    let (first, others) = registered_users(&scene, &replica, 10).await;
    let address = scene.stop_server().await;

    scene.publish(&[scene.assigned(first)]).await;
    let tried = replica.notified(first, is_tried).await;
    assert_eq!((tried.state, &tried.reason), (State::Queued, &None));
    assert_eq!(tried.due_at, tried.created_at, "it keeps its place");
    assert_eq!(outcomes(&tried), [Outcome::Unreachable]);
    let answer = &tried.attempts[0].answer;
    assert!(answer.contains("refused"), "{answer}");
    let assigned: Vec<_> = others.iter().map(|dev| scene.assigned(*dev)).collect();
    scene.publish(&assigned).await;
    replica.count(State::Queued, 11).await;

    scene.server = SmtpServer::start_on(address).await;
    replica.count(State::Sent, 11).await;
    assert_eq!(scene.server.count(), 11);
    for dev in others {
        let sent = replica.notified(dev, |_| true).await;
        assert_eq!(outcomes(&sent), [Outcome::Accepted], "no retry was used up");
    }
}

#[tokio::test]
async fn every_replica_notices_the_end_of_an_outage() {
    let mut scene = Scene::open().await;
    let replicas = [scene.replica(), scene.replica()];
    let (first, others) = registered_users(&scene, &replicas[0], 10).await;
    let address = scene.stop_server().await;
    scene.publish(&[scene.assigned(first)]).await;
    replicas[0].notified(first, is_tried).await;
    let assigned: Vec<_> = others.iter().map(|dev| scene.assigned(*dev)).collect();
    scene.publish(&assigned).await;
    replicas[0].count(State::Queued, 11).await;
    replicas[0].background.stop(TIMEOUT).await;

    scene.server = SmtpServer::start_on(address).await;
    let next = scene.replica();
    next.count(State::Sent, 11).await;
    assert_eq!(scene.server.count(), 11, "each was sent by one of them");
    let unreached = async |dev| outcomes(&next.notified(dev, |_| true).await).len() - 1;
    let mut tries = unreached(first).await;
    for dev in others {
        tries += unreached(dev).await;
    }
    assert!((1..=2).contains(&tries), "one mail a process found it out");
    replicas[1].background.stop(TIMEOUT).await;
}

/// A mail server that counts probes and mails.
#[derive(Default)]
struct Counting {
    is_back: AtomicBool,
    asked: AtomicUsize,
    sent: AtomicUsize,
}

#[async_trait]
impl Mailer for Counting {
    async fn send(&self, _: &Mail) -> Sending {
        self.sent.fetch_add(1, Ordering::SeqCst);
        match self.is_back.load(Ordering::SeqCst) {
            true => Sending::Accepted("250 ok".to_owned()),
            false => Sending::Unreachable("away".to_owned()),
        }
    }

    /// Available again as soon as it is probed.
    async fn is_there(&self) -> Result<(), String> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.is_back.store(true, Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test]
async fn one_probe_per_process_instead_of_one_per_mail() {
    let scene = Scene::open().await;
    let server = Arc::new(Counting::default());
    let replica = scene.replica_with(scene.stores(), server.clone());
    let (first, others) = registered_users(&scene, &replica, 10).await;
    let everybody = others.iter().chain([&first]);
    let assigned: Vec<_> = everybody.map(|dev| scene.assigned(*dev)).collect();
    scene.publish(&assigned).await;
    replica.count(State::Sent, 11).await;
    let counted = |count: &AtomicUsize| count.load(Ordering::SeqCst);
    assert_eq!((counted(&server.asked), counted(&server.sent)), (1, 12));
}

#[tokio::test]
async fn after_a_day_notifications_fail_tried_or_not() {
    let mut scene = Scene::open().await;
    let replica = scene.replica();
    let (first, others) = registered_users(&scene, &replica, 2).await;
    scene.stop_server().await;
    scene.publish(&[scene.assigned(first)]).await;
    replica.notified(first, is_tried).await;
    scene.publish(&[scene.assigned(others[0])]).await;
    replica.count(State::Queued, 2).await;
    scene.pass(DAY / 2);
    scene.publish(&[scene.assigned(others[1])]).await;
    replica.count(State::Queued, 3).await;
    scene.pass(DAY / 2);

    for (dev, attempts) in [(first, 2), (others[0], 1)] {
        let failed = replica.notified(dev, |n| n.state == State::Failed).await;
        assert_eq!(outcomes(&failed), vec![Outcome::Unreachable; attempts]);
        let reason = failed.reason.unwrap();
        assert!(reason.contains("refused"), "{reason}");
    }
    let waits = replica.notified(others[1], |_| true).await;
    assert_eq!((waits.state, waits.attempts.len()), (State::Queued, 0));
}
