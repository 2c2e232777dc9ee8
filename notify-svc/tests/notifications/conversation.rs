//! What the log says after each kind of conversation with a mail server.

use std::time::Duration;

use notify_svc::{
    notification::{Outcome, State},
    testing::Reaction,
};
use slipway_proto::events::{
    NOTIFICATIONS, NotificationFailedEvent, NotificationSentEvent, Payload as _,
};
use slipway_runtime::testing::TIMEOUT;
use uuid::Uuid;

use super::harness::{Office, Replica, outcomes};

const ADA: &str = "ada@example.com";

/// An office with one replica, and Ada, to whose mails the server reacts like this.
async fn ada(reactions: impl IntoIterator<Item = Reaction>) -> (Office, Replica, Uuid) {
    let office = Office::open().await;
    office.server.will(ADA, reactions);
    let replica = office.replica();
    let ada = office.hire(&replica, ADA).await;
    office.publish(&[office.assigned(ada)]).await;
    (office, replica, ada)
}

/// The types of the events that tell what became of notifications.
async fn told(office: &Office, count: usize) -> Vec<String> {
    let topics = [NOTIFICATIONS.name.to_owned()];
    let mut told = office.bus.subscribe("test", &topics).await.unwrap();
    let mut types = Vec::new();
    while types.len() < count {
        let next = tokio::time::timeout(TIMEOUT, told.next(10)).await;
        let deliveries = next.expect("it is told").unwrap();
        types.extend(
            deliveries
                .iter()
                .filter_map(|delivery| delivery.record.header("ce_type"))
                .map(str::to_owned),
        );
    }
    types
}

#[tokio::test]
async fn what_the_server_takes_is_sent_once_and_told() {
    let (office, replica, ada) = ada([]).await;
    let sent = replica.notified(ada, |n| n.state == State::Sent).await;
    assert_eq!(outcomes(&sent), [Outcome::Accepted]);
    assert_eq!(sent.attempts[0].answer, "250 2.0.0 taken");
    let mails = office.server.taken();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].header("To"), Some(ADA));
    assert_eq!(
        mails[0].header("From"),
        Some("Slipway <slipway@example.com>")
    );
    assert_eq!(mails[0].header("Subject"), Some(sent.subject.as_str()));
    let id = format!("<{}@example.com>", sent.id);
    assert_eq!(mails[0].header("Message-ID"), Some(id.as_str()));
    assert_eq!(told(&office, 1).await, [NotificationSentEvent::TYPE]);
}

#[tokio::test]
async fn what_is_refused_for_good_fails_at_once() {
    let refusals = [
        Reaction::Recipient("550 5.1.1 no such user"),
        Reaction::Data("554 5.7.1 looks like spam"),
    ];
    for refusal in refusals {
        let (office, replica, ada) = ada([refusal]).await;
        let failed = replica.notified(ada, |n| n.state == State::Failed).await;
        assert_eq!(outcomes(&failed), [Outcome::Permanent]);
        let reason = failed.reason.unwrap();
        assert!(
            reason.contains("no such user") || reason.contains("spam"),
            "{reason}"
        );
        assert_eq!(office.server.count(), 0);
        assert_eq!(told(&office, 1).await, [NotificationFailedEvent::TYPE]);
    }
}

#[tokio::test]
async fn what_is_refused_for_now_is_tried_again_when_it_is_due() {
    let later = Reaction::Data("451 4.3.0 later");
    let (office, replica, ada) = ada([Reaction::Recipient("450 4.2.1 busy"), later]).await;
    for (tries, seconds) in [(1, 12), (2, 72)] {
        let waiting = |n: &notify_svc::notification::Notification| {
            n.state == State::Queued && n.attempts.len() == tries
        };
        let queued = replica.notified(ada, waiting).await;
        assert_eq!(queued.attempts[tries - 1].outcome, Outcome::Temporary);
        office.pass(seconds);
    }
    let sent = replica.notified(ada, |n| n.state == State::Sent).await;
    use Outcome::{Accepted, Temporary};
    assert_eq!(outcomes(&sent), [Temporary, Temporary, Accepted]);
    assert!(sent.attempts[0].answer.contains("4.2.1 busy"));
    assert_eq!(office.server.count(), 1);
}

#[tokio::test]
async fn after_three_retries_it_fails() {
    let (office, replica, ada) = ada([const { Reaction::Data("451 4.3.0 later") }; 4]).await;
    for tries in 1..=3 {
        replica
            .notified(ada, |n| {
                n.state == State::Queued && n.attempts.len() == tries
            })
            .await;
        office.pass(360);
    }
    let failed = replica.notified(ada, |n| n.state == State::Failed).await;
    assert_eq!(outcomes(&failed), [Outcome::Temporary; 4]);
    assert_eq!(office.server.count(), 0);
    assert_eq!(told(&office, 1).await, [NotificationFailedEvent::TYPE]);
}

#[tokio::test]
async fn a_server_that_stalls_is_given_up_and_tried_again() {
    let mut office = Office::open().await;
    office.deadline = Duration::from_millis(300);
    office.server.will(ADA, [Reaction::Stall]);
    let replica = office.replica();
    let ada = office.hire(&replica, ADA).await;
    office.publish(&[office.assigned(ada)]).await;
    let queued = replica.notified(ada, |n| !n.attempts.is_empty()).await;
    assert_eq!(outcomes(&queued), [Outcome::Temporary]);
    assert!(queued.attempts[0].answer.contains("did not finish"));
    office.pass(12);
    let sent = replica.notified(ada, |n| n.state == State::Sent).await;
    assert_eq!(sent.attempts.len(), 2);
    assert_eq!(office.server.count(), 1);
}

#[tokio::test]
async fn a_mail_whose_line_dropped_untaken_arrives_once() {
    let (office, replica, ada) = ada([Reaction::Drop]).await;
    let queued = replica.notified(ada, |n| !n.attempts.is_empty()).await;
    assert_eq!(outcomes(&queued), [Outcome::Temporary]);
    office.pass(12);
    replica.notified(ada, |n| n.state == State::Sent).await;
    assert_eq!(office.server.count(), 1);
}

#[tokio::test]
async fn a_mail_whose_line_dropped_after_it_was_taken_arrives_twice_and_can_be_recognised() {
    let (office, replica, ada) = ada([Reaction::TakeAndDrop]).await;
    let queued = replica.notified(ada, |n| !n.attempts.is_empty()).await;
    assert_eq!(outcomes(&queued), [Outcome::Temporary]);
    office.pass(12);
    replica.notified(ada, |n| n.state == State::Sent).await;
    let mails = office.server.taken();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].header("Message-ID"), mails[1].header("Message-ID"));
}

#[tokio::test]
async fn a_recipient_who_is_not_known_yet_is_waited_for() {
    let office = Office::open().await;
    let (replica, ada) = (office.replica(), Uuid::now_v7());
    office.publish(&[office.assigned(ada)]).await;
    let queued = replica.notified(ada, |n| !n.attempts.is_empty()).await;
    assert_eq!(outcomes(&queued), [Outcome::Temporary]);
    assert!(queued.attempts[0].answer.contains("not known yet"));
    office.publish(&[office.registered(ada, ADA)]).await;
    replica.knows(ada).await;
    office.pass(12);
    replica.notified(ada, |n| n.state == State::Sent).await;
    assert_eq!(office.server.count(), 1);
}

#[tokio::test]
async fn an_address_that_would_be_more_than_one_header_is_never_used() {
    let office = Office::open().await;
    let replica = office.replica();
    let eve = office
        .hire(&replica, "eve@example.com\r\nBcc: all@example.com")
        .await;
    office.publish(&[office.assigned(eve)]).await;
    let failed = replica.notified(eve, |n| n.state == State::Failed).await;
    assert_eq!(outcomes(&failed), [Outcome::Permanent]);
    assert_eq!(office.server.count(), 0);
}

#[tokio::test]
async fn a_domain_of_other_letters_is_ascii_in_the_envelope_and_in_every_header() {
    let mut office = Office::open().await;
    office.from = "Bücher <post@bücher.example>";
    office.server.take_ascii_only();
    let replica = office.replica();
    let ada = office.hire(&replica, "ada@bücher.example").await;
    office.publish(&[office.assigned(ada)]).await;
    let sent = replica.notified(ada, |n| n.state == State::Sent).await;
    let mail = office.server.taken().remove(0);
    assert_eq!(mail.from, "post@xn--bcher-kva.example");
    assert_eq!(mail.to, "ada@xn--bcher-kva.example");
    assert_eq!(mail.header("To"), Some("ada@xn--bcher-kva.example"));
    let id = format!("<{}@xn--bcher-kva.example>", sent.id);
    assert_eq!(mail.header("Message-ID"), Some(id.as_str()));
    let from = mail.header("From").unwrap();
    assert!(from.ends_with("<post@xn--bcher-kva.example>"), "{from}");
}

#[tokio::test]
async fn an_address_that_the_server_cannot_take_fails_at_once_and_holds_up_nobody() {
    let office = Office::open().await;
    office.server.take_ascii_only();
    let replica = office.replica();
    let ädä = office.hire(&replica, "ädä@example.com").await;
    let ada = office.hire(&replica, ADA).await;
    office.publish(&[office.assigned(ädä)]).await;
    let failed = replica.notified(ädä, |n| n.state == State::Failed).await;
    assert_eq!(outcomes(&failed), [Outcome::Permanent]);
    let reason = failed.reason.unwrap();
    assert!(reason.contains("SMTPUTF8"), "{reason}");
    office.publish(&[office.assigned(ada)]).await;
    replica.notified(ada, |n| n.state == State::Sent).await;
    assert_eq!(office.server.count(), 1);
}

#[tokio::test]
async fn a_server_that_takes_every_address_is_given_it() {
    let office = Office::open().await;
    let replica = office.replica();
    let ädä = office.hire(&replica, "ädä@bücher.example").await;
    office.publish(&[office.assigned(ädä)]).await;
    replica.notified(ädä, |n| n.state == State::Sent).await;
    let mail = office.server.taken().remove(0);
    assert_eq!(mail.to, "ädä@xn--bcher-kva.example");
    assert_eq!(mail.header("To"), Some("ädä@xn--bcher-kva.example"));
}
