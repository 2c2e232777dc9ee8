//! A bus, a log and replicas of notify-svc.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use notify_svc::{
    Config, Dependencies, Stores,
    activity::Activity,
    notification::mail::{Mail, Mailer, Sending},
    testing::MadeUpLinks,
};
use slipway_bus::{Actor, EmbeddedBus, Event, SharedBus, TopicSpec, event::Origin};
use slipway_proto::{
    events::{TOPICS, TaskAssignedEvent},
    notify::v1::{ActivityEntry, activity_service_client::ActivityServiceClient},
};
use slipway_rpc::access::{Principal, Role};
use slipway_runtime::{
    clock::{Clock as _, SystemClock},
    life::{Background, Health},
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::{
    Status,
    service::{Interceptor, Routes, interceptor::InterceptedService},
};
use uuid::Uuid;

pub(crate) type Client = ActivityServiceClient<InterceptedService<Routes, SignedIn>>;

/// The storage that replicas share.
pub(crate) struct Scene {
    dir: TempDir,
    pub(crate) bus: SharedBus,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bus = new_bus(&dir, "bus.db").await;
        Self { dir, bus }
    }

    /// Another handle on the log.
    pub(crate) fn stores(&self) -> Stores {
        Stores::sqlite(&self.dir.path().join("notify.db")).unwrap()
    }

    pub(crate) fn replica(&self) -> Replica {
        Replica::start(self.stores(), self.bus.clone())
    }

    /// A replica that receives no events: it has a bus of its own.
    pub(crate) async fn idle_replica(&self) -> Replica {
        let bus = new_bus(&self.dir, "idle-bus.db").await;
        Replica::start(self.stores(), bus)
    }

    pub(crate) async fn publish(&self, events: &[Event]) {
        let records = events.iter().map(Event::to_record).collect();
        self.bus.publish(records).await.unwrap();
    }

    /// Appends to the log without a bus.
    pub(crate) async fn append(&self, events: &[Event]) {
        let activities = events
            .iter()
            .map(|event| Activity::narrate(event).unwrap())
            .collect();
        let store = self.stores().activity;
        store.append(activities, SystemClock.now()).await.unwrap();
    }
}

async fn new_bus(dir: &TempDir, file: &str) -> SharedBus {
    let bus = EmbeddedBus::open(&dir.path().join(file), Arc::new(SystemClock)).unwrap();
    let bus: SharedBus = Arc::new(bus);
    let topics = TOPICS.iter().map(TopicSpec::from);
    bus.create_topics(&topics.collect::<Vec<_>>())
        .await
        .unwrap();
    bus
}

/// Accepts every mail: these tests are about the activity feed.
struct Nowhere;

#[async_trait]
impl Mailer for Nowhere {
    async fn send(&self, _: &Mail) -> Sending {
        Sending::Accepted("250 ok".to_owned())
    }

    async fn is_there(&self) -> Result<(), String> {
        Ok(())
    }
}

/// One notify-svc.
pub(crate) struct Replica {
    routes: Routes,
    pub(crate) background: Background,
    pub(crate) health: Health,
    pub(crate) drain: CancellationToken,
}

impl Replica {
    pub(crate) fn start(stores: Stores, bus: SharedBus) -> Self {
        let (background, health) = (Background::default(), Health::default());
        let drain = CancellationToken::new();
        let routes = Config::default()
            .build(Dependencies {
                stores,
                bus,
                mailer: Arc::new(Nowhere),
                links: Arc::new(MadeUpLinks::default()),
                clock: Arc::new(SystemClock),
                background: background.clone(),
                health: health.clone(),
                drain: drain.clone(),
            })
            .unwrap();
        Self {
            routes,
            background,
            health,
            drain,
        }
    }

    /// A client signed in as some user.
    pub(crate) fn client(&self) -> Client {
        self.client_of(Uuid::now_v7())
    }

    pub(crate) fn client_of(&self, user_id: Uuid) -> Client {
        let principal = Principal {
            user_id,
            username: "reader".into(),
            role: Role::Developer,
            scope: None,
            session_id: None,
            expires_at: Timestamp::MAX,
        };
        let signed_in = SignedIn(Some(Arc::new(principal)));
        ActivityServiceClient::with_interceptor(self.routes.clone(), signed_in)
    }

    pub(crate) fn anonymous(&self) -> Client {
        ActivityServiceClient::with_interceptor(self.routes.clone(), SignedIn(None))
    }

    pub(crate) async fn stop(self) {
        self.drain.cancel();
        self.background.stop(Duration::from_secs(5)).await;
    }
}

/// Adds the principal to requests, as the access layer does.
#[derive(Clone)]
pub(crate) struct SignedIn(Option<Arc<Principal>>);

impl Interceptor for SignedIn {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        if let Some(principal) = &self.0 {
            request.extensions_mut().insert(principal.clone());
        }
        Ok(request)
    }
}

/// The assignment of the `n`-th task of a release to `developer_id`.
pub(crate) fn assigned(release_id: Uuid, n: i64, developer_id: Uuid, actor: &Actor) -> Event {
    let payload = TaskAssignedEvent {
        developer_id,
        developer_name: "ada".into(),
        release_id,
        release_name: "Kubernetes 1.31".into(),
        task_id: Uuid::now_v7(),
        task_title: format!("Task {n}"),
        order_index: n,
        position: None,
        can_start: None,
        due_at: None,
        plan_tasks: None,
    };
    let origin = Origin {
        service: "release-svc",
        key: release_id,
        subject: payload.task_id,
        actor,
        time: SystemClock.now(),
    };
    Event::new(&payload, &origin)
}

/// `count` events of one release.
pub(crate) fn events(count: i64) -> Vec<Event> {
    let release_id = Uuid::now_v7();
    (1..=count)
        .map(|n| assigned(release_id, n, Uuid::now_v7(), &Actor::System))
        .collect()
}

pub(crate) fn ids(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.id.to_string()).collect()
}

pub(crate) fn entry_ids(entries: &[ActivityEntry]) -> Vec<String> {
    entries.iter().map(|entry| entry.id.clone()).collect()
}
