//! A mail server that is away: nothing is lost, and nobody's retries are used up. The clock
//! stands still in these tests, so what waited for a delay would wait for ever.

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

use super::harness::{Office, Replica, outcomes};

const DAY: i64 = 24 * 60 * 60;

fn is_tried(notification: &Notification) -> bool {
    !notification.attempts.is_empty()
}

/// Hires so many, beside the first, who is told something that does not arrive.
async fn crew(office: &Office, replica: &Replica, others: usize) -> (Uuid, Vec<Uuid>) {
    let first = office.hire(replica, "first@example.com").await;
    let mut crew = Vec::new();
    for n in 0..others {
        crew.push(office.hire(replica, &format!("dev-{n}@example.com")).await);
    }
    (first, crew)
}

#[tokio::test]
async fn what_is_made_during_an_outage_is_sent_when_it_is_over_once_each() {
    let mut office = Office::open().await;
    let replica = office.replica();
    let (first, others) = crew(&office, &replica, 10).await;
    let address = office.server_leaves().await;

    office.publish(&[office.assigned(first)]).await;
    let tried = replica.notified(first, is_tried).await;
    assert_eq!((tried.state, &tried.reason), (State::Queued, &None));
    assert_eq!(tried.due_at, tried.created_at, "it keeps its place");
    assert_eq!(outcomes(&tried), [Outcome::Unreachable]);
    let answer = &tried.attempts[0].answer;
    assert!(answer.contains("refused"), "{answer}");
    let assigned: Vec<_> = others.iter().map(|dev| office.assigned(*dev)).collect();
    office.publish(&assigned).await;
    replica.count(State::Queued, 11).await;

    office.server = SmtpServer::start_on(address).await;
    replica.count(State::Sent, 11).await;
    assert_eq!(office.server.count(), 11);
    for dev in others {
        let sent = replica.notified(dev, |_| true).await;
        assert_eq!(outcomes(&sent), [Outcome::Accepted], "no retry was used up");
    }
}

#[tokio::test]
async fn an_outage_is_over_for_each_replica_and_for_those_that_come_after_it() {
    let mut office = Office::open().await;
    let replicas = [office.replica(), office.replica()];
    let (first, others) = crew(&office, &replicas[0], 10).await;
    let address = office.server_leaves().await;
    office.publish(&[office.assigned(first)]).await;
    replicas[0].notified(first, is_tried).await;
    let assigned: Vec<_> = others.iter().map(|dev| office.assigned(*dev)).collect();
    office.publish(&assigned).await;
    replicas[0].count(State::Queued, 11).await;
    replicas[0].background.stop(TIMEOUT).await;

    office.server = SmtpServer::start_on(address).await;
    let next = office.replica();
    next.count(State::Sent, 11).await;
    assert_eq!(office.server.count(), 11, "each was sent by one of them");
    let unreached = async |dev| outcomes(&next.notified(dev, |_| true).await).len() - 1;
    let mut tries = unreached(first).await;
    for dev in others {
        tries += unreached(dev).await;
    }
    assert!((1..=2).contains(&tries), "one mail a process found it out");
    replicas[1].background.stop(TIMEOUT).await;
}

/// A mail server that counts how often it is asked and sent something.
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

    /// It is back as soon as it is asked.
    async fn is_there(&self) -> Result<(), String> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.is_back.store(true, Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test]
async fn the_process_asks_for_the_server_and_not_each_mail() {
    let office = Office::open().await;
    let server = Arc::new(Counting::default());
    let replica = office.replica_with(office.stores(), server.clone());
    let (first, others) = crew(&office, &replica, 10).await;
    let everybody = others.iter().chain([&first]);
    let assigned: Vec<_> = everybody.map(|dev| office.assigned(*dev)).collect();
    office.publish(&assigned).await;
    replica.count(State::Sent, 11).await;
    let counted = |count: &AtomicUsize| count.load(Ordering::SeqCst);
    assert_eq!((counted(&server.asked), counted(&server.sent)), (1, 12));
}

#[tokio::test]
async fn what_waited_for_a_day_is_given_up_whether_it_was_tried_or_not() {
    let mut office = Office::open().await;
    let replica = office.replica();
    let (first, others) = crew(&office, &replica, 2).await;
    office.server_leaves().await;
    office.publish(&[office.assigned(first)]).await;
    replica.notified(first, is_tried).await;
    office.publish(&[office.assigned(others[0])]).await;
    replica.count(State::Queued, 2).await;
    office.pass(DAY / 2);
    office.publish(&[office.assigned(others[1])]).await;
    replica.count(State::Queued, 3).await;
    office.pass(DAY / 2);

    for (dev, attempts) in [(first, 2), (others[0], 1)] {
        let failed = replica.notified(dev, |n| n.state == State::Failed).await;
        assert_eq!(outcomes(&failed), vec![Outcome::Unreachable; attempts]);
        let reason = failed.reason.unwrap();
        assert!(reason.contains("refused"), "{reason}");
    }
    let waits = replica.notified(others[1], |_| true).await;
    assert_eq!((waits.state, waits.attempts.len()), (State::Queued, 0));
}
