//! Mails with a link: its secret is asked for when the mail is sent, and is stored nowhere.

use jiff::SignedDuration;
use notify_svc::{
    notification::{Filter, Notification, Outcome, State, To, links::NoSecret, store::Query},
    testing::{Reaction, Taken},
};
use slipway_bus::Event;
use slipway_proto::events::PasswordResetRequestedEvent;
use slipway_runtime::{clock::Clock as _, testing::until};
use uuid::Uuid;

use crate::harness::{Replica, Scene, outcomes};

const ADDRESS: &str = "ada@example.com";

/// Somebody asks for a link that is valid for 30 minutes.
fn requested(scene: &Scene) -> (Uuid, Event) {
    let (user_id, link_id) = (Uuid::now_v7(), Uuid::now_v7());
    let payload = PasswordResetRequestedEvent {
        user_id,
        username: "ada".into(),
        email: ADDRESS.into(),
        link_id,
        expires_at: scene.clock.now() + SignedDuration::from_mins(30),
    };
    (link_id, scene.event(&payload, user_id))
}

/// Waits until the only notification to the address meets the condition.
async fn notified(replica: &Replica, wanted: impl Fn(&Notification) -> bool) -> Notification {
    let filter = Filter {
        to: vec![To::address(ADDRESS)],
        ..Filter::default()
    };
    let query = Query::newest(filter, 10);
    let found = until(async || {
        let mut items = replica
            .stores
            .notifications
            .list(&query)
            .await
            .unwrap()
            .items;
        assert!(items.len() <= 1, "{items:#?}");
        match items.pop() {
            Some(notification) if wanted(&notification) => Ok(notification),
            found => Err(found),
        }
    });
    found.await.unwrap()
}

fn text(mail: &Taken) -> String {
    mail.text.replace("=\r\n", "").replace("=3D", "=")
}

#[tokio::test]
async fn the_secret_is_in_the_mail_and_not_in_what_is_stored() {
    let scene = Scene::open().await;
    let replica = scene.replica();
    let (link, event) = requested(&scene);
    scene.publish(&[event]).await;
    let sent = notified(&replica, |n| n.state == State::Sent).await;
    let asked = scene.links.asked();
    assert_eq!(asked.iter().map(|link| link.id).collect::<Vec<_>>(), [link]);
    let mail = text(&scene.server.taken()[0]);
    assert!(mail.contains("/password/reset?token=secret-1"), "{mail}");
    let stored = serde_json::to_string(&sent).unwrap();
    assert!(!stored.contains("secret-1"), "{stored}");
    assert_eq!(sent.data["secret"], "hidden");
}

#[tokio::test]
async fn each_attempt_gets_a_secret_of_its_own() {
    let scene = Scene::open().await;
    scene.server.will(ADDRESS, [Reaction::TakeAndDrop]);
    let replica = scene.replica();
    scene.publish(&[requested(&scene).1]).await;
    notified(&replica, |n| n.attempts.len() == 1).await;
    scene.pass(15);
    let sent = notified(&replica, |n| n.state == State::Sent).await;
    assert_eq!(outcomes(&sent), [Outcome::Temporary, Outcome::Accepted]);
    let mails: Vec<_> = scene.server.taken().iter().map(text).collect();
    // The first may be the one that is read.
    assert!(mails[0].contains("token=secret-1") && mails[1].contains("token=secret-2"));
}

#[tokio::test]
async fn a_mail_waits_while_no_secret_can_be_had() {
    let scene = Scene::open().await;
    scene.links.refuse(Some(NoSecret::Away));
    let replica = scene.replica();
    scene.publish(&[requested(&scene).1]).await;
    let waits = |n: &Notification| n.state == State::Queued && n.due_at > n.created_at;
    let waiting = notified(&replica, waits).await;
    assert_eq!(outcomes(&waiting), [], "it uses up no attempt");
    scene.links.refuse(None);
    scene.pass(15);
    notified(&replica, |n| n.state == State::Sent).await;
}

#[tokio::test]
async fn a_mail_with_a_link_that_is_not_valid_any_more_is_not_sent() {
    for (why, code) in [(Some(NoSecret::Void), "LINK_VOID"), (None, "LINK_EXPIRED")] {
        let scene = Scene::open().await;
        scene.links.refuse(why);
        let (_, event) = requested(&scene);
        if why.is_none() {
            scene.pass(30 * 60);
        }
        let replica = scene.replica();
        scene.publish(&[event]).await;
        let withheld = notified(&replica, |n| n.state == State::Suppressed).await;
        let reason = withheld.reason.unwrap();
        assert!(reason.starts_with(code), "{reason}");
        assert!(scene.server.taken().is_empty());
    }
}
