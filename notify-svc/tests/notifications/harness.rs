//! A bus, a mail server and replicas of notify-svc.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use notify_svc::{
    Config, Dependencies, Stores,
    notification::{
        Filter, Notification, Outcome, State, To,
        mail::{SharedMailer, SmtpMailer},
        store::Query,
    },
    testing::{MadeUpLinks, SmtpServer},
};
use slipway_bus::{Actor, EmbeddedBus, Event, SharedBus, TopicSpec, event::Origin};
use slipway_mongo::testing::Scratch;
use slipway_proto::events::{Payload, Role, TOPICS, TaskAssignedEvent, UserRegisteredEvent};
use slipway_runtime::{
    clock::{Clock as _, ManualClock, SharedClock},
    life::{Background, Health},
    testing::{TIMEOUT, until},
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The environment that replicas share.
pub(crate) struct Scene {
    dir: TempDir,
    pub(crate) bus: SharedBus,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) server: SmtpServer,
    /// The secrets of links.
    pub(crate) links: Arc<MadeUpLinks>,
    /// Time limit for one mail.
    pub(crate) deadline: Duration,
    /// The sender of mails.
    pub(crate) from: &'static str,
}

impl Scene {
    pub(crate) async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let start: Timestamp = "2026-01-02T03:04:05.678Z".parse().unwrap();
        let clock = Arc::new(ManualClock::at(start));
        let shared: SharedClock = clock.clone();
        let bus = EmbeddedBus::open(&dir.path().join("bus.db"), shared).unwrap();
        let bus: SharedBus = Arc::new(bus);
        let topics: Vec<_> = TOPICS.iter().map(TopicSpec::from).collect();
        bus.create_topics(&topics).await.unwrap();
        Self {
            dir,
            bus,
            clock,
            server: SmtpServer::start().await,
            links: Arc::default(),
            deadline: TIMEOUT,
            from: "Slipway <slipway@example.com>",
        }
    }

    /// Another handle on the database, as several replicas have.
    pub(crate) fn stores(&self) -> Stores {
        Stores {
            sole_owner: false,
            ..Stores::sqlite(&self.dir.path().join("notify.db")).unwrap()
        }
    }

    /// A replica.
    pub(crate) fn replica(&self) -> Replica {
        self.replica_on(self.stores())
    }

    pub(crate) fn replica_on(&self, stores: Stores) -> Replica {
        let from = self.from.parse().unwrap();
        let mailer = SmtpMailer::new(&self.server.url().parse().unwrap(), None, from).unwrap();
        self.replica_with(stores, Arc::new(mailer.within(self.deadline)))
    }

    /// A replica that sends its mails through this mailer.
    pub(crate) fn replica_with(&self, stores: Stores, mailer: SharedMailer) -> Replica {
        let background = Background::default();
        let _routes = Config::default()
            .build(Dependencies {
                stores: stores.clone(),
                bus: self.bus.clone(),
                mailer,
                links: self.links.clone(),
                clock: self.clock.clone(),
                background: background.clone(),
                health: Health::default(),
                drain: CancellationToken::new(),
            })
            .unwrap();
        Replica { stores, background }
    }

    /// Stops the mail server; returns its address.
    pub(crate) async fn stop_server(&mut self) -> SocketAddr {
        let address = self.server.address();
        // From now on it is a different server at a different address.
        self.server = SmtpServer::start().await;
        address
    }

    /// Advances the clock.
    pub(crate) fn pass(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }

    pub(crate) fn event<P: Payload>(&self, payload: &P, key: Uuid) -> Event {
        let origin = Origin {
            service: "release-svc",
            key,
            subject: key,
            actor: &Actor::System,
            time: self.clock.now(),
        };
        Event::new(payload, &origin)
    }

    pub(crate) fn registered(&self, user: Uuid, email: &str) -> Event {
        let payload = UserRegisteredEvent {
            user_id: user,
            username: "ada".into(),
            email: email.into(),
            role: Role::Developer,
        };
        self.event(&payload, user)
    }

    pub(crate) fn assigned(&self, developer: Uuid) -> Event {
        let release_id = Uuid::now_v7();
        let payload = TaskAssignedEvent {
            developer_id: developer,
            developer_name: "ada".into(),
            release_id,
            release_name: "Kubernetes 1.31".into(),
            task_id: Uuid::now_v7(),
            task_title: "Build images".into(),
            order_index: 1,
            position: None,
            can_start: None,
            due_at: None,
            plan_tasks: None,
        };
        self.event(&payload, release_id)
    }

    pub(crate) async fn publish(&self, events: &[Event]) {
        let records = events.iter().map(Event::to_record).collect();
        self.bus.publish(records).await.unwrap();
    }

    /// Registers a user and waits until their address is known.
    pub(crate) async fn register(&self, replica: &Replica, email: &str) -> Uuid {
        let user = Uuid::now_v7();
        self.publish(&[self.registered(user, email)]).await;
        replica.knows(user).await;
        user
    }
}

/// One notify-svc.
pub(crate) struct Replica {
    pub(crate) stores: Stores,
    pub(crate) background: Background,
}

impl Replica {
    /// Waits until the only notification for `user` meets the condition; returns it.
    pub(crate) async fn notified(
        &self,
        user: Uuid,
        wanted: impl Fn(&Notification) -> bool,
    ) -> Notification {
        let filter = Filter {
            to: vec![To::User(user)],
            ..Filter::default()
        };
        let query = Query::newest(filter, 10);
        let found = until(async || {
            let mut items = self.stores.notifications.list(&query).await.unwrap().items;
            assert!(items.len() <= 1, "{items:#?}");
            match items.pop() {
                Some(notification) if wanted(&notification) => Ok(notification),
                found => Err(found),
            }
        });
        found.await.unwrap()
    }

    /// Waits until the address of `user` is known.
    pub(crate) async fn knows(&self, user: Uuid) {
        let known = until(async || {
            let mut known = self.stores.recipients.by_ids(&[user]).await.unwrap();
            known.pop().ok_or("nobody")
        });
        known.await.unwrap();
    }

    /// Waits until this many notifications have the state.
    pub(crate) async fn count(&self, state: State, count: usize) {
        let filter = Filter {
            state: Some(state),
            ..Filter::default()
        };
        let query = Query::newest(filter, 10_000);
        let log = &self.stores.notifications;
        let counted = until(async || {
            let found = log.list(&query).await.unwrap().items.len();
            (found == count).then_some(()).ok_or(found)
        });
        counted.await.unwrap();
    }
}

/// The outcomes of the attempts.
pub(crate) fn outcomes(notification: &Notification) -> Vec<Outcome> {
    notification.attempts.iter().map(|a| a.outcome).collect()
}

/// The same stores in MongoDB, if there is a server for tests.
pub(crate) async fn in_mongodb() -> Option<(Scratch, Stores)> {
    let scratch = Scratch::database().await?;
    let stores = Stores::mongo(scratch.client(), scratch.name()).await;
    Some((scratch, stores.unwrap()))
}
