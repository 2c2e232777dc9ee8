//! Many notifications for one person: after the third they are one mail.

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

use super::harness::{Office, Replica, in_mongodb, outcomes};

const ADA: &str = "ada@example.com";
const MENTIONS: usize = 20;

/// A comment of grace on this task that mentions somebody.
fn mention(office: &Office, task: Uuid, user: Uuid) -> Event {
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
        time: office.clock.now(),
    };
    Event::new(&payload, &origin)
}

/// A plan with so many tasks for somebody.
fn plan(office: &Office, user: Uuid, tasks: u32) -> Vec<Event> {
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
        .map(|n| office.event(&task(n), release_id))
        .collect()
}

/// All that somebody was to be told of, oldest first.
async fn log(replica: &Replica, user: Uuid) -> Vec<Notification> {
    let filter = Filter {
        to: Some(To::User(user)),
        ..Filter::default()
    };
    let query = Query::newest(filter, 10_000);
    let page = replica.stores.notifications.list(&query).await.unwrap();
    page.items.into_iter().rev().collect()
}

/// Two replicas on these stores, and one discussion with many mentions of one person.
async fn after_the_third_mention_the_rest_is_one_mail(office: &Office, stores: [Stores; 2]) {
    let [first, second] = stores.map(|stores| office.replica_on(stores));
    let ada = office.hire(&first, ADA).await;
    let task = Uuid::now_v7();
    let events: Vec<_> = (0..MENTIONS).map(|_| mention(office, task, ada)).collect();
    office.publish(&events).await;
    first.count(State::Sent, 3).await;
    first.count(State::Queued, MENTIONS - 3).await;
    let waiting = log(&second, ada).await;
    for waits in waiting.iter().filter(|n| n.state == State::Queued) {
        assert!(waits.reason.as_ref().unwrap().starts_with("GATHERED: "));
        assert!(waits.has_waited(), "it says until when");
    }
    assert_eq!(office.server.count(), 3);

    office.pass(600);
    second.count(State::Sent, MENTIONS).await;
    first.background.stop(TIMEOUT).await;
    second.background.stop(TIMEOUT).await;
    assert_eq!(office.server.count(), 4, "one mail for the rest");
    let mail = office.server.taken().pop().unwrap();
    let text = mail.text.replace("=\r\n", "");
    assert!(text.contains("17 more mentions"), "{text}");
    let link = format!("/tasks/{task}/comments");
    assert!(text.matches(&link).count() >= MENTIONS - 3, "{text}");
    let message_id = mail.header("Message-ID").unwrap();
    let told = log(&second, ada).await;
    let told: Vec<_> = told.iter().filter(|n| n.group.is_some()).collect();
    assert_eq!(told.len(), MENTIONS - 3);
    for told in told {
        assert_eq!(message_id, format!("<{}@example.com>", told.mail_id()));
        assert_eq!(outcomes(told), [Outcome::Accepted]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_third_mention_the_rest_is_one_mail_of_two_replicas() {
    let office = Office::open().await;
    let stores = [office.stores(), office.stores()];
    after_the_third_mention_the_rest_is_one_mail(&office, stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_third_mention_the_rest_is_one_mail_on_mongodb() {
    let Some((_scratch, stores)) = in_mongodb().await else {
        return;
    };
    let office = Office::open().await;
    after_the_third_mention_the_rest_is_one_mail(&office, [stores.clone(), stores]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sender_on_many_tasks_causes_twenty_mails_and_one_more() {
    let office = Office::open().await;
    let replica = office.replica();
    let ada = office.hire(&replica, ADA).await;
    let events: Vec<_> = (0..50)
        .map(|_| mention(&office, Uuid::now_v7(), ada))
        .collect();
    office.publish(&events).await;
    replica.count(State::Sent, 20).await;
    replica.count(State::Queued, 30).await;
    office.pass(600);
    replica.count(State::Sent, 50).await;
    assert_eq!(office.server.count(), 21);
    let mail = office.server.taken().pop().unwrap();
    assert_eq!(
        mail.header("Subject"),
        Some("30 more notifications caused by grace")
    );
}

#[tokio::test]
async fn the_tasks_of_a_plan_are_one_mail_that_waits_for_all_of_them() {
    let office = Office::open().await;
    let replica = office.replica();
    let ada = office.hire(&replica, ADA).await;
    let events = plan(&office, ada, 5);
    // Not all of them are there at once: the publisher was interrupted.
    office.publish(&events[..3]).await;
    replica.count(State::Queued, 3).await;
    assert_eq!(office.server.count(), 0);
    office.publish(&events[3..]).await;
    // Those that are looked at while others come are looked at again a second later.
    let sent = until(async || {
        let log = log(&replica, ada).await;
        let are = |state| log.iter().filter(|n| n.state == state).count();
        if are(State::Queued) == 5 {
            office.pass(1);
        }
        if are(State::Sent) == 5 {
            Ok(())
        } else {
            Err(log)
        }
    });
    sent.await.unwrap();
    assert_eq!(office.server.count(), 1);
    let mail = &office.server.taken()[0];
    assert_eq!(mail.header("Subject"), Some("5 tasks for you (Spring)"));
    assert!(mail.text.contains("number 5: task 5"), "{}", mail.text);
    // Once in each of the two parts of the mail.
    assert_eq!(mail.text.matches("can start now").count(), 2, "the first");

    let bob = office.hire(&replica, "bob@example.com").await;
    office.publish(&plan(&office, bob, 1)).await;
    let alone = replica.notified(bob, |n| n.state == State::Sent).await;
    assert!(!alone.has_waited(), "one task waits for nothing");
}

#[tokio::test]
async fn what_never_comes_is_not_waited_for_long() {
    let office = Office::open().await;
    let replica = office.replica();
    let ada = office.hire(&replica, ADA).await;
    office.publish(&plan(&office, ada, 5)[..3]).await;
    replica.count(State::Queued, 3).await;
    assert_eq!(office.server.count(), 0);
    // It is looked at again and again, each time a second later by the clock.
    let sent = until(async || {
        office.pass(1);
        let log = log(&replica, ada).await;
        let sent = log.iter().filter(|n| n.state == State::Sent).count();
        if sent == 3 { Ok(()) } else { Err(log) }
    });
    sent.await.unwrap();
    assert_eq!(office.server.count(), 1);
}

#[tokio::test]
async fn a_mail_of_several_that_fails_is_sent_again_with_the_same_in_it() {
    let office = Office::open().await;
    let reactions = [Reaction::Data("451 4.3.0 later"), Reaction::Accept];
    office.server.will(ADA, reactions);
    let replica = office.replica();
    let ada = office.hire(&replica, ADA).await;
    office.publish(&plan(&office, ada, 3)).await;
    let tried = until(async || {
        let log = log(&replica, ada).await;
        let tried = log.len() == 3 && log.iter().all(|n| n.attempts.len() == 1);
        if tried { Ok(log) } else { Err(log) }
    });
    let first = tried.await.unwrap();
    office.pass(12);
    replica.count(State::Sent, 3).await;
    assert_eq!(office.server.count(), 1);
    for (before, after) in first.iter().zip(log(&replica, ada).await) {
        assert_eq!(after.digest_id, before.digest_id, "the same mail");
        assert_eq!(outcomes(&after), [Outcome::Temporary, Outcome::Accepted]);
    }
}

#[tokio::test]
async fn of_a_mail_that_a_process_left_behind_nothing_is_lost() {
    let office = Office::open().await;
    let never = Arc::new(Notify::new());
    office.server.will(ADA, [Reaction::Hold(never)]);
    let first = office.replica();
    let ada = office.hire(&first, ADA).await;
    office.publish(&plan(&office, ada, 7)).await;
    first.count(State::Sending, 7).await;
    // It holds the file alone, so what is claimed there is nobody's.
    let next = office.replica_on(Stores {
        sole_owner: true,
        ..office.stores()
    });
    next.count(State::Sent, 7).await;
    assert_eq!(office.server.count(), 1, "again one mail");
    for told in log(&next, ada).await {
        assert_eq!(outcomes(&told), [Outcome::Interrupted, Outcome::Accepted]);
    }
    first.background.stop(Duration::ZERO).await;
}
