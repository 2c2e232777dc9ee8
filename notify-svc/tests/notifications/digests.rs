//! Many notifications for one person: after the third they become a digest.

use std::{sync::Arc, time::Duration};

use notify_svc::{
    Stores,
    notification::{Filter, Notification, Outcome, State, To, store::Query},
    testing::Reaction,
};
use slipway_bus::{Actor, Event, event::Origin};
use slipway_proto::events::{CommentPostedEvent, CommentedTask, TaskAssignedEvent, UserRef};
use slipway_runtime::{
    clock::Clock as _,
    testing::{TIMEOUT, until},
};
use tokio::sync::Notify;
use uuid::Uuid;

use super::harness::{Replica, Scene, in_mongodb, outcomes};

const ADA: &str = "ada@example.com";
const MENTIONS: usize = 20;

/// A comment of grace on this task that mentions a user.
fn mention(scene: &Scene, task: Uuid, user: Uuid) -> Event {
    let named = |id, username: &str| UserRef {
        id,
        username: username.to_owned(),
    };
    let grace = Uuid::from_u128(0x6ace);
    let payload = CommentPostedEvent {
        task: CommentedTask {
            id: task,
            title: "Build the images".into(),
            release_id: Uuid::nil(),
            release_name: "Spring".into(),
            assignee: named(user, "ada"),
        },
        comment_id: Uuid::now_v7(),
        author: named(grace, "grace"),
        excerpt: "@ada".into(),
        mentions: vec![named(user, "ada")],
    };
    let origin = Origin {
        service: "forum-svc",
        key: task,
        subject: payload.comment_id,
        actor: &Actor::User {
            id: grace,
            username: "grace".into(),
        },
        time: scene.clock.now(),
    };
    Event::new(&payload, &origin)
}

/// A plan with this many tasks for one user.
fn plan(scene: &Scene, user: Uuid, tasks: u32) -> Vec<Event> {
    let release_id = Uuid::now_v7();
    let task = |n: u32| TaskAssignedEvent {
        developer_id: user,
        developer_name: "ada".into(),
        release_id,
        release_name: "Spring".into(),
        task_id: Uuid::now_v7(),
        task_title: format!("task {n}"),
        order_index: (10 * n).into(),
        position: Some(n),
        can_start: Some(n == 1),
        due_at: None,
        plan_tasks: Some(tasks),
    };
    (1..=tasks)
        .map(|n| scene.event(&task(n), release_id))
        .collect()
}

/// All notifications of a user, oldest first.
async fn log(replica: &Replica, user: Uuid) -> Vec<Notification> {
    let filter = Filter {
        to: vec![To::User(user)],
        ..Filter::default()
    };
    let query = Query::newest(filter, 10_000);
    let page = replica.stores.notifications.list(&query).await.unwrap();
    page.items.into_iter().rev().collect()
}

/// Two replicas on these stores, and a discussion with many mentions of one user.
async fn after_the_third_mention_the_rest_is_one_mail(scene: &Scene, stores: [Stores; 2]) {
    let [first, second] = stores.map(|stores| scene.replica_on(stores));
    let ada = scene.register(&first, ADA).await;
    let task = Uuid::now_v7();
    let events: Vec<_> = (0..MENTIONS).map(|_| mention(scene, task, ada)).collect();
    scene.publish(&events).await;
    first.count(State::Sent, 3).await;
    first.count(State::Queued, MENTIONS - 3).await;
    let waiting = log(&second, ada).await;
    for waits in waiting.iter().filter(|n| n.state == State::Queued) {
        assert!(waits.reason.as_ref().unwrap().starts_with("GATHERED: "));
        assert!(waits.has_waited(), "it says until when");
    }
    assert_eq!(scene.server.count(), 3);

    scene.pass(600);
    second.count(State::Sent, MENTIONS).await;
    first.background.stop(TIMEOUT).await;
    second.background.stop(TIMEOUT).await;
    assert_eq!(scene.server.count(), 4, "one mail for the rest");
    let mail = scene.server.taken().pop().unwrap();
    let text = mail.text.replace("=\r\n", "");
    assert!(text.contains("17 more mentions"), "{text}");
    let link = format!("/tasks/{task}/comments");
    assert!(text.matches(&link).count() >= MENTIONS - 3, "{text}");
    let message_id = mail.header("Message-ID").unwrap();
    let members = log(&second, ada).await;
    let members: Vec<_> = members.iter().filter(|n| n.group.is_some()).collect();
    assert_eq!(members.len(), MENTIONS - 3);
    for member in members {
        assert_eq!(message_id, format!("<{}@example.com>", member.mail_id()));
        assert_eq!(outcomes(member), [Outcome::Accepted]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_third_mention_the_rest_is_one_mail_of_two_replicas() {
    let scene = Scene::open().await;
    let stores = [scene.stores(), scene.stores()];
    after_the_third_mention_the_rest_is_one_mail(&scene, stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_third_mention_the_rest_is_one_mail_on_mongodb() {
    let Some((_scratch, stores)) = in_mongodb().await else {
        return;
    };
    let scene = Scene::open().await;
    after_the_third_mention_the_rest_is_one_mail(&scene, [stores.clone(), stores]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sender_on_many_tasks_causes_twenty_mails_and_one_more() {
    let scene = Scene::open().await;
    let replica = scene.replica();
    let ada = scene.register(&replica, ADA).await;
    let events: Vec<_> = (0..50)
        .map(|_| mention(&scene, Uuid::now_v7(), ada))
        .collect();
    scene.publish(&events).await;
    replica.count(State::Sent, 20).await;
    replica.count(State::Queued, 30).await;
    scene.pass(600);
    replica.count(State::Sent, 50).await;
    assert_eq!(scene.server.count(), 21);
    let mail = scene.server.taken().pop().unwrap();
    assert_eq!(
        mail.header("Subject"),
        Some("30 more notifications caused by grace")
    );
}

#[tokio::test]
async fn the_tasks_of_a_plan_are_one_mail_once_all_are_queued() {
    let scene = Scene::open().await;
    let replica = scene.replica();
    let ada = scene.register(&replica, ADA).await;
    let events = plan(&scene, ada, 5);
    // The events do not arrive together: the publisher was interrupted.
    scene.publish(&events[..3]).await;
    replica.count(State::Queued, 3).await;
    assert_eq!(scene.server.count(), 0);
    scene.publish(&events[3..]).await;
    // Those claimed while others arrive are looked at again one second later.
    let sent = until(async || {
        let log = log(&replica, ada).await;
        let are = |state| log.iter().filter(|n| n.state == state).count();
        if are(State::Queued) == 5 {
            scene.pass(1);
        }
        if are(State::Sent) == 5 {
            Ok(())
        } else {
            Err(log)
        }
    });
    sent.await.unwrap();
    assert_eq!(scene.server.count(), 1);
    let mail = &scene.server.taken()[0];
    assert_eq!(mail.header("Subject"), Some("5 tasks for you (Spring)"));
    assert!(mail.text.contains("number 5: task 5"), "{}", mail.text);
    // Once in each of the two parts of the mail.
    assert_eq!(mail.text.matches("can start now").count(), 2, "the first");

    let bob = scene.register(&replica, "bob@example.com").await;
    scene.publish(&plan(&scene, bob, 1)).await;
    let alone = replica.notified(bob, |n| n.state == State::Sent).await;
    assert!(!alone.has_waited(), "one task waits for nothing");
}

#[tokio::test]
async fn the_wait_for_missing_tasks_is_bounded() {
    let scene = Scene::open().await;
    let replica = scene.replica();
    let ada = scene.register(&replica, ADA).await;
    scene.publish(&plan(&scene, ada, 5)[..3]).await;
    replica.count(State::Queued, 3).await;
    assert_eq!(scene.server.count(), 0);
    // It is looked at repeatedly, one second apart by the clock.
    let sent = until(async || {
        scene.pass(1);
        let log = log(&replica, ada).await;
        let sent = log.iter().filter(|n| n.state == State::Sent).count();
        if sent == 3 { Ok(()) } else { Err(log) }
    });
    sent.await.unwrap();
    assert_eq!(scene.server.count(), 1);
}

#[tokio::test]
async fn a_failed_digest_is_sent_again_with_the_same_content() {
    let scene = Scene::open().await;
    let reactions = [Reaction::Data("451 4.3.0 later"), Reaction::Accept];
    scene.server.will(ADA, reactions);
    let replica = scene.replica();
    let ada = scene.register(&replica, ADA).await;
    scene.publish(&plan(&scene, ada, 3)).await;
    let tried = until(async || {
        let log = log(&replica, ada).await;
        let tried = log.len() == 3 && log.iter().all(|n| n.attempts.len() == 1);
        if tried { Ok(log) } else { Err(log) }
    });
    let first = tried.await.unwrap();
    scene.pass(12);
    replica.count(State::Sent, 3).await;
    assert_eq!(scene.server.count(), 1);
    for (before, after) in first.iter().zip(log(&replica, ada).await) {
        assert_eq!(after.digest_id, before.digest_id, "the same mail");
        assert_eq!(outcomes(&after), [Outcome::Temporary, Outcome::Accepted]);
    }
}

#[tokio::test]
async fn a_digest_of_an_ended_process_is_not_lost() {
    let scene = Scene::open().await;
    let never = Arc::new(Notify::new());
    scene.server.will(ADA, [Reaction::Hold(never)]);
    let first = scene.replica();
    let ada = scene.register(&first, ADA).await;
    scene.publish(&plan(&scene, ada, 7)).await;
    first.count(State::Sending, 7).await;
    // It owns the file exclusively, so the claims in it belong to no process.
    let next = scene.replica_on(Stores {
        sole_owner: true,
        ..scene.stores()
    });
    next.count(State::Sent, 7).await;
    assert_eq!(scene.server.count(), 1, "again one mail");
    for member in log(&next, ada).await {
        assert_eq!(outcomes(&member), [Outcome::Interrupted, Outcome::Accepted]);
    }
    first.background.stop(Duration::ZERO).await;
}
