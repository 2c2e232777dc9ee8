//! The recorded outcome of each kind of SMTP conversation.

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

use super::harness::{Replica, Scene, outcomes};

const ADA: &str = "ada@example.com";

/// A scene with one replica and ada; the mail server reacts to her mails as given.
async fn ada(reactions: impl IntoIterator<Item = Reaction>) -> (Scene, Replica, Uuid) {
    let scene = Scene::open().await;
    scene.server.will(ADA, reactions);
    let replica = scene.replica();
    let ada = scene.register(&replica, ADA).await;
    scene.publish(&[scene.assigned(ada)]).await;
    (scene, replica, ada)
}

/// The types of the events about outcomes.
async fn outcome_types(scene: &Scene, count: usize) -> Vec<String> {
    let topics = [NOTIFICATIONS.name.to_owned()];
    let mut events = scene.bus.subscribe("test", &topics).await.unwrap();
    let mut types = Vec::new();
    while types.len() < count {
        let next = tokio::time::timeout(TIMEOUT, events.next(10)).await;
        let deliveries = next.expect("an event").unwrap();
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
async fn an_accepted_mail_is_sent_once_and_published() {
    let (scene, replica, ada) = ada([]).await;
    let sent = replica.notified(ada, |n| n.state == State::Sent).await;
    assert_eq!(outcomes(&sent), [Outcome::Accepted]);
    assert_eq!(sent.attempts[0].answer, "250 2.0.0 taken");
    let mails = scene.server.taken();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].header("To"), Some(ADA));
    assert_eq!(
        mails[0].header("From"),
        Some("Slipway <slipway@example.com>")
    );
    assert_eq!(mails[0].header("Subject"), Some(sent.subject.as_str()));
    let id = format!("<{}@example.com>", sent.id);
    assert_eq!(mails[0].header("Message-ID"), Some(id.as_str()));
    assert_eq!(
        outcome_types(&scene, 1).await,
        [NotificationSentEvent::TYPE]
    );
}

#[tokio::test]
async fn a_permanent_refusal_fails_at_once() {
    let refusals = [
        Reaction::Recipient("550 5.1.1 no such user"),
        Reaction::Data("554 5.7.1 looks like spam"),
    ];
    for refusal in refusals {
        let (scene, replica, ada) = ada([refusal]).await;
        let failed = replica.notified(ada, |n| n.state == State::Failed).await;
        assert_eq!(outcomes(&failed), [Outcome::Permanent]);
        let reason = failed.reason.unwrap();
        assert!(
            reason.contains("no such user") || reason.contains("spam"),
            "{reason}"
        );
        assert_eq!(scene.server.count(), 0);
        assert_eq!(
            outcome_types(&scene, 1).await,
            [NotificationFailedEvent::TYPE]
        );
    }
}

#[tokio::test]
async fn a_temporary_refusal_is_retried_when_due() {
    let later = Reaction::Data("451 4.3.0 later");
    let (scene, replica, ada) = ada([Reaction::Recipient("450 4.2.1 busy"), later]).await;
    for (tries, seconds) in [(1, 12), (2, 72)] {
        let waiting = |n: &notify_svc::notification::Notification| {
            n.state == State::Queued && n.attempts.len() == tries
        };
        let queued = replica.notified(ada, waiting).await;
        assert_eq!(queued.attempts[tries - 1].outcome, Outcome::Temporary);
        scene.pass(seconds);
    }
    let sent = replica.notified(ada, |n| n.state == State::Sent).await;
    use Outcome::{Accepted, Temporary};
    assert_eq!(outcomes(&sent), [Temporary, Temporary, Accepted]);
    assert!(sent.attempts[0].answer.contains("4.2.1 busy"));
    assert_eq!(scene.server.count(), 1);
}

#[tokio::test]
async fn after_three_retries_it_fails() {
    let (scene, replica, ada) = ada([const { Reaction::Data("451 4.3.0 later") }; 4]).await;
    for tries in 1..=3 {
        replica
            .notified(ada, |n| {
                n.state == State::Queued && n.attempts.len() == tries
            })
            .await;
        scene.pass(360);
    }
    let failed = replica.notified(ada, |n| n.state == State::Failed).await;
    assert_eq!(outcomes(&failed), [Outcome::Temporary; 4]);
    assert_eq!(scene.server.count(), 0);
    assert_eq!(
        outcome_types(&scene, 1).await,
        [NotificationFailedEvent::TYPE]
    );
}

#[tokio::test]
async fn a_stalled_server_is_a_temporary_failure() {
    let mut scene = Scene::open().await;
    scene.deadline = Duration::from_millis(300);
    scene.server.will(ADA, [Reaction::Stall]);
    let replica = scene.replica();
    let ada = scene.register(&replica, ADA).await;
    scene.publish(&[scene.assigned(ada)]).await;
    let queued = replica.notified(ada, |n| !n.attempts.is_empty()).await;
    assert_eq!(outcomes(&queued), [Outcome::Temporary]);
    assert!(queued.attempts[0].answer.contains("did not finish"));
    scene.pass(12);
    let sent = replica.notified(ada, |n| n.state == State::Sent).await;
    assert_eq!(sent.attempts.len(), 2);
    assert_eq!(scene.server.count(), 1);
}

#[tokio::test]
async fn a_mail_dropped_before_acceptance_arrives_once() {
    let (scene, replica, ada) = ada([Reaction::Drop]).await;
    let queued = replica.notified(ada, |n| !n.attempts.is_empty()).await;
    assert_eq!(outcomes(&queued), [Outcome::Temporary]);
    scene.pass(12);
    replica.notified(ada, |n| n.state == State::Sent).await;
    assert_eq!(scene.server.count(), 1);
}

#[tokio::test]
async fn a_mail_dropped_after_acceptance_arrives_twice_with_the_same_id() {
    let (scene, replica, ada) = ada([Reaction::TakeAndDrop]).await;
    let queued = replica.notified(ada, |n| !n.attempts.is_empty()).await;
    assert_eq!(outcomes(&queued), [Outcome::Temporary]);
    scene.pass(12);
    replica.notified(ada, |n| n.state == State::Sent).await;
    let mails = scene.server.taken();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].header("Message-ID"), mails[1].header("Message-ID"));
}

#[tokio::test]
async fn a_mail_to_an_unknown_recipient_is_retried() {
    let scene = Scene::open().await;
    let (replica, ada) = (scene.replica(), Uuid::now_v7());
    scene.publish(&[scene.assigned(ada)]).await;
    let queued = replica.notified(ada, |n| !n.attempts.is_empty()).await;
    assert_eq!(outcomes(&queued), [Outcome::Temporary]);
    assert!(queued.attempts[0].answer.contains("not known yet"));
    scene.publish(&[scene.registered(ada, ADA)]).await;
    replica.knows(ada).await;
    scene.pass(12);
    replica.notified(ada, |n| n.state == State::Sent).await;
    assert_eq!(scene.server.count(), 1);
}

#[tokio::test]
async fn an_address_that_injects_a_header_is_never_used() {
    let scene = Scene::open().await;
    let replica = scene.replica();
    let eve = scene
        .register(&replica, "eve@example.com\r\nBcc: all@example.com")
        .await;
    scene.publish(&[scene.assigned(eve)]).await;
    let failed = replica.notified(eve, |n| n.state == State::Failed).await;
    assert_eq!(outcomes(&failed), [Outcome::Permanent]);
    assert_eq!(scene.server.count(), 0);
}

#[tokio::test]
async fn a_non_ascii_domain_is_ascii_in_envelope_and_headers() {
    let mut scene = Scene::open().await;
    scene.from = "Bücher <post@bücher.example>";
    scene.server.take_ascii_only();
    let replica = scene.replica();
    let ada = scene.register(&replica, "ada@bücher.example").await;
    scene.publish(&[scene.assigned(ada)]).await;
    let sent = replica.notified(ada, |n| n.state == State::Sent).await;
    let mail = scene.server.taken().remove(0);
    assert_eq!(mail.from, "post@xn--bcher-kva.example");
    assert_eq!(mail.to, "ada@xn--bcher-kva.example");
    assert_eq!(mail.header("To"), Some("ada@xn--bcher-kva.example"));
    let id = format!("<{}@xn--bcher-kva.example>", sent.id);
    assert_eq!(mail.header("Message-ID"), Some(id.as_str()));
    let from = mail.header("From").unwrap();
    assert!(from.ends_with("<post@xn--bcher-kva.example>"), "{from}");
}

#[tokio::test]
async fn an_address_the_server_cannot_accept_fails_at_once() {
    let scene = Scene::open().await;
    scene.server.take_ascii_only();
    let replica = scene.replica();
    let ädä = scene.register(&replica, "ädä@example.com").await;
    let ada = scene.register(&replica, ADA).await;
    scene.publish(&[scene.assigned(ädä)]).await;
    let failed = replica.notified(ädä, |n| n.state == State::Failed).await;
    assert_eq!(outcomes(&failed), [Outcome::Permanent]);
    let reason = failed.reason.unwrap();
    assert!(reason.contains("SMTPUTF8"), "{reason}");
    scene.publish(&[scene.assigned(ada)]).await;
    replica.notified(ada, |n| n.state == State::Sent).await;
    assert_eq!(scene.server.count(), 1);
}

#[tokio::test]
async fn a_server_with_smtputf8_gets_non_ascii_addresses() {
    let scene = Scene::open().await;
    let replica = scene.replica();
    let ädä = scene.register(&replica, "ädä@bücher.example").await;
    scene.publish(&[scene.assigned(ädä)]).await;
    replica.notified(ädä, |n| n.state == State::Sent).await;
    let mail = scene.server.taken().remove(0);
    assert_eq!(mail.to, "ädä@xn--bcher-kva.example");
    assert_eq!(mail.header("To"), Some("ädä@xn--bcher-kva.example"));
}
