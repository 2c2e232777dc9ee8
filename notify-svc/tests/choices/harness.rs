//! A bus, databases and a clock, with replicas of notify-svc.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use notify_svc::{
    Config, Dependencies, Stores,
    notification::{
        mail::{Mail, Mailer, Sending},
        recipients::Recipient,
    },
    testing::MadeUpLinks,
};
use slipway_bus::{Actor, EmbeddedBus, Event, SharedBus, TopicSpec, event::Origin};
use slipway_proto::{
    events::{self, TOPICS, TaskAssignedEvent},
    notify::v1::{
        ListNotificationsRequest, Notification, NotificationState, UpdatePreferencesRequest,
        event_service_client::EventServiceClient,
        notification_service_client::NotificationServiceClient,
        preference_service_client::PreferenceServiceClient,
        template_service_client::TemplateServiceClient,
    },
};
use slipway_rpc::access::{Principal, Role};
use slipway_runtime::{
    clock::{Clock as _, ManualClock, SystemClock},
    life::{Background, Health},
    testing::until,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::{
    Status,
    service::{Interceptor, Routes, interceptor::InterceptedService},
};
use uuid::Uuid;

/// The recipient and the caller: an administrator.
pub(crate) const ADA: Uuid = Uuid::from_u128(0xada);

type Channel = InterceptedService<Routes, SignedIn>;

/// The storage and the clock that replicas share.
pub(crate) struct Scene {
    dir: TempDir,
    bus: SharedBus,
    clock: Arc<ManualClock>,
    mails: Arc<Collected>,
}

/// Accepts every mail and records its id.
#[derive(Default)]
struct Collected(std::sync::Mutex<Vec<String>>);

#[async_trait]
impl Mailer for Collected {
    async fn send(&self, mail: &Mail) -> Sending {
        self.0.lock().unwrap().push(mail.id.to_string());
        Sending::Accepted("250 ok".to_owned())
    }

    async fn is_there(&self) -> Result<(), String> {
        Ok(())
    }
}

impl Scene {
    pub(crate) async fn at(now: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bus = EmbeddedBus::open(&dir.path().join("bus.db"), Arc::new(SystemClock)).unwrap();
        let bus: SharedBus = Arc::new(bus);
        let topics = TOPICS.iter().map(TopicSpec::from);
        bus.create_topics(&topics.collect::<Vec<_>>())
            .await
            .unwrap();
        let scene = Self {
            dir,
            bus,
            clock: Arc::new(ManualClock::at(now.parse().unwrap())),
            mails: Arc::default(),
        };
        let ada = Recipient {
            id: ADA,
            username: "ada".to_owned(),
            email: "ada@example.com".to_owned(),
            role: events::Role::Admin,
            disabled: false,
        };
        scene.stores().recipients.put(vec![ada]).await.unwrap();
        scene
    }

    pub(crate) fn stores(&self) -> Stores {
        let stores = Stores::sqlite(&self.dir.path().join("notify.db")).unwrap();
        Stores {
            sole_owner: false,
            ..stores
        }
    }

    pub(crate) fn replica(&self) -> Replica {
        let background = Background::default();
        let routes = Config::default()
            .build(Dependencies {
                stores: self.stores(),
                bus: self.bus.clone(),
                mailer: self.mails.clone(),
                links: Arc::new(MadeUpLinks::default()),
                clock: self.clock.clone(),
                background: background.clone(),
                health: Health::default(),
                drain: CancellationToken::new(),
            })
            .unwrap();
        Replica {
            routes,
            _background: background,
        }
    }

    /// Sets the clock to this time.
    pub(crate) fn move_to(&self, time: &str) {
        let time: Timestamp = time.parse().unwrap();
        self.clock.advance(time.duration_since(self.clock.now()));
    }

    /// Assigns a task to ada.
    pub(crate) async fn assign(&self) {
        let payload = TaskAssignedEvent {
            developer_id: ADA,
            developer_name: "ada".into(),
            release_id: Uuid::now_v7(),
            release_name: "Spring".into(),
            task_id: Uuid::now_v7(),
            task_title: "Build the images".into(),
            order_index: 1,
            position: None,
            can_start: None,
            due_at: None,
            plan_tasks: None,
        };
        let origin = Origin {
            service: "release-svc",
            key: payload.release_id,
            subject: payload.task_id,
            actor: &Actor::System,
            time: self.clock.now(),
        };
        let record = Event::new(&payload, &origin).to_record();
        self.bus.publish(vec![record]).await.unwrap();
    }

    /// The ids of the notifications that were mailed.
    pub(crate) fn mails(&self) -> Vec<String> {
        self.mails.0.lock().unwrap().clone()
    }
}

/// One notify-svc.
pub(crate) struct Replica {
    routes: Routes,
    /// Stops the background work at the end of the test.
    _background: Background,
}

impl Replica {
    fn channel(&self) -> (Routes, SignedIn) {
        (self.routes.clone(), SignedIn)
    }

    pub(crate) fn templates(&self) -> TemplateServiceClient<Channel> {
        let (routes, signed_in) = self.channel();
        TemplateServiceClient::with_interceptor(routes, signed_in)
    }

    pub(crate) fn events(&self) -> EventServiceClient<Channel> {
        let (routes, signed_in) = self.channel();
        EventServiceClient::with_interceptor(routes, signed_in)
    }

    pub(crate) async fn choose(&self, preferences: UpdatePreferencesRequest) {
        let (routes, signed_in) = self.channel();
        let mut client = PreferenceServiceClient::with_interceptor(routes, signed_in);
        client.update_preferences(preferences).await.unwrap();
    }

    /// Ada's only notification, once it has this state.
    pub(crate) async fn until(&self, state: NotificationState) -> Notification {
        self.wait(|notification| notification.state() == state)
            .await
    }

    /// Ada's only notification, once the condition holds.
    pub(crate) async fn wait(&self, should: impl Fn(&Notification) -> bool) -> Notification {
        let (routes, signed_in) = self.channel();
        let mut client = NotificationServiceClient::with_interceptor(routes, signed_in);
        let found = until(async || {
            let list = client.list_notifications(ListNotificationsRequest::default());
            let mut found = list.await.unwrap().into_inner().notifications;
            assert!(found.len() < 2, "{found:#?}");
            match found.pop() {
                Some(notification) if should(&notification) => Ok(notification),
                found => Err(found),
            }
        });
        found.await.unwrap()
    }
}

/// Adds the principal to requests, as the access layer does.
#[derive(Clone)]
pub(crate) struct SignedIn;

impl Interceptor for SignedIn {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        let principal = Principal {
            user_id: ADA,
            username: "ada".into(),
            role: Role::Admin,
            scope: None,
            session_id: None,
            expires_at: Timestamp::MAX,
        };
        request.extensions_mut().insert(Arc::new(principal));
        Ok(request)
    }
}

/// A time as text.
pub(crate) fn time(time: prost_types::Timestamp) -> String {
    let time = Timestamp::new(time.seconds, time.nanos).unwrap();
    time.to_string()
}
