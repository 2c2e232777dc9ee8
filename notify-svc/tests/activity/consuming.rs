//! The consumer of the activity log: every event, once, in order.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use slipway_bus::{
    Actor, Bus, BusError, Delivery, Event, Record, SharedBus, Subscription, TopicSpec, Unpublished,
    event::Origin,
};
use slipway_proto::{
    events::{Role, UserRegisteredEvent},
    notify::v1::{ActivityEntry, ActivityServiceWatchRequest},
};
use slipway_runtime::{
    clock::{Clock as _, SystemClock},
    life::{Check, Problem},
};
use uuid::Uuid;

use crate::harness::{Replica, Scene, assigned, entry_ids, events, ids};

/// The log from its beginning, once it has at least `count` entries.
async fn log(replica: &Replica, count: usize) -> Vec<ActivityEntry> {
    let request = ActivityServiceWatchRequest { after: 0 };
    let mut stream = replica.client().watch(request).await.unwrap().into_inner();
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(stream.message().await.unwrap().unwrap().entries);
    }
    assert!((1..).zip(&all).all(|(n, entry)| entry.sequence == n));
    all
}

/// A bus that loses the first commit, so handled events are delivered again.
struct Forgetful {
    bus: SharedBus,
    forgotten: Arc<AtomicBool>,
}

struct ForgetfulMember {
    member: Box<dyn Subscription>,
    forgotten: Arc<AtomicBool>,
}

#[async_trait]
impl Bus for Forgetful {
    async fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), BusError> {
        self.bus.create_topics(topics).await
    }

    async fn topics(&self) -> Result<Vec<String>, BusError> {
        self.bus.topics().await
    }

    async fn publish(&self, records: Vec<Record>) -> Result<(), Unpublished> {
        self.bus.publish(records).await
    }

    async fn subscribe(
        &self,
        group: &str,
        topics: &[String],
    ) -> Result<Box<dyn Subscription>, BusError> {
        Ok(Box::new(ForgetfulMember {
            member: self.bus.subscribe(group, topics).await?,
            forgotten: self.forgotten.clone(),
        }))
    }
}

#[async_trait]
impl Check for Forgetful {
    async fn check(&self) -> Result<(), Problem> {
        self.bus.check().await
    }
}

#[async_trait]
impl Subscription for ForgetfulMember {
    async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, BusError> {
        self.member.next(max).await
    }

    async fn commit(&mut self, done: &[Delivery]) -> Result<(), BusError> {
        if !self.forgotten.swap(true, Ordering::SeqCst) {
            return Err(BusError::Unavailable("the broker has gone".into()));
        }
        self.member.commit(done).await
    }
}

#[tokio::test]
async fn a_redelivered_event_is_logged_once() {
    let scene = Scene::new().await;
    let events = events(5);
    scene.publish(&events[..4]).await;
    let forgotten = Arc::new(AtomicBool::new(false));
    let bus = Forgetful {
        bus: scene.bus.clone(),
        forgotten: forgotten.clone(),
    };
    let replica = Replica::start(scene.stores(), Arc::new(bus));
    log(&replica, 4).await;
    // One key, one partition: the fifth event is delivered after the repeated four.
    scene.publish(&events[4..]).await;
    assert_eq!(entry_ids(&log(&replica, 5).await), ids(&events));
    assert!(forgotten.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_restart_loses_and_repeats_nothing() {
    let scene = Scene::new().await;
    let events = events(6);
    for (round, pair) in events.chunks(2).enumerate() {
        let replica = scene.replica();
        scene.publish(pair).await;
        let so_far = (round + 1) * 2;
        assert_eq!(
            entry_ids(&log(&replica, so_far).await),
            ids(&events[..so_far])
        );
        replica.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_members_share_one_sequence() {
    let scene = Scene::new().await;
    let (first, second) = (scene.replica(), scene.replica());
    let releases: Vec<_> = (0..20).map(|_| events(10)).collect();
    for n in 0..10 {
        let round: Vec<Event> = releases.iter().map(|events| events[n].clone()).collect();
        scene.publish(&round).await;
    }
    let entries = log(&first, 200).await;
    assert_eq!(log(&second, 200).await, entries);

    let mut by_release: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in entries {
        by_release
            .entry(entry.release_id)
            .or_default()
            .push(entry.id);
    }
    assert_eq!(by_release.len(), 20);
    for events in releases {
        assert_eq!(
            by_release[&events[0].key],
            ids(&events),
            "a release in order"
        );
    }
}

#[tokio::test]
async fn unknown_versions_are_logged_and_schema_violations_are_not() {
    let scene = Scene::new().await;
    let release_id = Uuid::now_v7();
    let event = || assigned(release_id, 1, Uuid::now_v7(), &Actor::System);
    let unknown = Event {
        event_type: "task.split".into(),
        ..event()
    };
    let newer = Event {
        dataschema: "task.assigned/2".into(),
        data: br#"{"taskTitle": 7}"#.to_vec().into(),
        ..event()
    };
    let misfit = Event {
        data: br#"{"taskTitle": 7}"#.to_vec().into(),
        ..event()
    };
    let events = [unknown, misfit, newer, event()];
    scene.publish(&events).await;
    let entries = log(&scene.replica(), 3).await;
    let summaries: Vec<_> = entries.iter().map(|entry| &*entry.summary).collect();
    assert_eq!(
        summaries,
        [
            "Slipway caused an event of type task.split",
            "Slipway caused an event of type task.assigned",
            "Slipway assigned “Task 1” in Kubernetes 1.31 to ada",
        ]
    );
    assert_eq!(entries[1].data_json, r#"{"taskTitle": 7}"#);
}

#[tokio::test]
async fn no_email_address_is_in_the_feed() {
    let scene = Scene::new().await;
    let user_id = Uuid::now_v7();
    let payload = UserRegisteredEvent {
        user_id,
        username: "ada".into(),
        email: "ada@example.com".into(),
        role: Role::Developer,
    };
    let origin = Origin {
        service: "release-svc",
        key: user_id,
        subject: user_id,
        actor: &Actor::System,
        time: SystemClock.now(),
    };
    scene.publish(&[Event::new(&payload, &origin)]).await;
    let entries = log(&scene.replica(), 1).await;
    assert_eq!(entries[0].summary, "ada joined as a developer");
    assert!(!format!("{entries:?}").contains("example.com"));
}
