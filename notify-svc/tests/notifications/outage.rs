//! A mail server that is away: nothing is lost, and nobody's retries are used up.

use notify_svc::{
    notification::{Outcome, State},
    testing::SmtpServer,
};

use super::harness::{Office, outcomes};

#[tokio::test]
async fn what_is_made_during_an_outage_is_sent_after_it_once_each() {
    let mut office = Office::open().await;
    let replica = office.replica();
    let first = office.hire(&replica, "first@example.com").await;
    let mut others = Vec::new();
    for n in 0..10 {
        others.push(office.hire(&replica, &format!("dev-{n}@example.com")).await);
    }
    let address = office.server.address();
    drop(std::mem::replace(
        &mut office.server,
        SmtpServer::start().await,
    ));

    office.publish(&[office.assigned(first)]).await;
    let tried = replica.notified(first, |n| !n.attempts.is_empty()).await;
    assert_eq!((tried.state, tried.reason), (State::Queued, None));
    assert_eq!(tried.attempts[0].outcome, Outcome::Unreachable);
    assert!(
        tried.attempts[0].answer.contains("refused"),
        "{:?}",
        tried.attempts
    );
    let assigned: Vec<_> = others.iter().map(|dev| office.assigned(*dev)).collect();
    office.publish(&assigned).await;
    replica.count(State::Queued, 11).await;

    office.server = SmtpServer::start_on(address).await;
    office.pass(12);
    replica.count(State::Sent, 11).await;
    assert_eq!(office.server.count(), 11);
    for dev in others {
        let sent = replica.notified(dev, |_| true).await;
        assert_eq!(outcomes(&sent), [Outcome::Accepted], "no retry was used up");
    }
}
