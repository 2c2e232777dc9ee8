//! notify-svc: the wall of activity, and the mails that tell people what they need to
//! know.
//!
//! A consumer projects the events of the topics into one log, numbered 1, 2, 3, … without
//! gaps; `ActivityService` reads it page by page and as a stream. Another makes
//! notifications of the events that somebody is to be told of; a dispatcher mails them,
//! and each keeps the record of what became of it.
//!
//! | module | what it gives |
//! | --- | --- |
//! | [`activity`] | entries, how each event reads, filters: pure |
//! | [`notification`] | who is told of what, and what an attempt leads to: pure |
//! | [`recipients`] | who can be written to: pure |
//! | [`preferences`] | what a user wants to be told, and when: pure |
//! | [`intake`] | events that other programs announce: pure |
//! | [`templates`] | the words of a mail, as they came and as administrators edit them |
//! | [`mail`] | sending one mail: to a mail server or into a file |
//! | [`dispatch`] | from the queue to the mailer, once |
//! | [`store`] | all of it in a database |
//! | `notifier` | the way into the queue |
//! | `grpc` | `slipway.notify.v1`: the wall, notifications, preferences, templates, events |
//! | `jobs` | consumers, pruning, looking out for other replicas' entries |

pub mod activity;
pub mod dispatch;
mod grpc;
pub mod intake;
mod jobs;
pub mod mail;
mod metrics;
mod newest;
pub mod notification;
mod notifier;
pub mod preferences;
pub mod recipients;
pub mod store;
pub mod templates;

use std::{num::NonZeroU32, path::Path, sync::Arc, time::Duration};

use slipway_mesh::{
    bus::SharedBus,
    clock::SharedClock,
    life::{Background, Health, Need},
    outbox::{OutboxStore, Publisher, Wake, sqlite::SqliteOutbox},
    receipts::{ReceiptStore, sqlite::SqliteReceipts},
    store::{mongo, sqlite::StorageError},
};
use slipway_proto::notify::v1::{
    activity_service_server::ActivityServiceServer, event_service_server::EventServiceServer,
    notification_service_server::NotificationServiceServer,
    preference_service_server::PreferenceServiceServer,
    template_service_server::TemplateServiceServer,
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use notifier::Notifier;

use dispatch::{Dispatcher, DomainLimits};
use grpc::{ActivityApi, EventApi, NotificationApi, PreferenceApi, TemplateApi};
use jobs::{Forgetting, Lookout, Notifying, Projection, Pruning, Recipients};
use mail::SharedMailer;
use newest::Newest;
use notifier::Bell;
use store::{
    activity::{ActivityStore, MongoActivityStore, SqliteActivityStore},
    intake::{IntakeStore, MongoIntakeStore, SqliteIntakeStore},
    notifications::{MongoNotificationStore, NotificationStore, SqliteNotificationStore},
    preferences::{MongoPreferenceStore, PreferenceStore, SqlitePreferenceStore},
    recipients::{MongoRecipientStore, RecipientStore, SqliteRecipientStore},
    templates::{MongoTemplateStore, SqliteTemplateStore, TemplateStore},
};
use templates::Library;

/// The service's name in events, metrics and logs.
pub const SERVICE: &str = "notify-svc";

const ACTIVITY_SERVICE: &str = "slipway.notify.v1.ActivityService";

/// Full protobuf names of what this crate serves.
pub const SERVICES: &[&str] = &[
    ACTIVITY_SERVICE,
    "slipway.notify.v1.NotificationService",
    "slipway.notify.v1.PreferenceService",
    "slipway.notify.v1.TemplateService",
    "slipway.notify.v1.EventService",
];

/// How notify-svc behaves.
#[derive(Debug, Clone)]
pub struct Config {
    /// How long entries are kept after they were logged. Longer than the bus keeps its
    /// records: an event delivered again is recognised by its entry.
    pub activity_retention: Duration,
    /// Where links in mails lead, without a path.
    pub public_url: String,
    /// Mails a second to one domain; `None`: as many as there are.
    pub mail_rate: Option<NonZeroU32>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            activity_retention: Duration::from_secs(90 * 24 * 3600),
            public_url: "http://127.0.0.1:8080".to_owned(),
            mail_rate: None,
        }
    }
}

/// Where notify-svc keeps what it knows.
#[derive(Clone)]
pub struct Stores {
    /// The activity log.
    pub activity: Arc<dyn ActivityStore>,
    /// Who can be written to.
    pub recipients: Arc<dyn RecipientStore>,
    /// Notifications.
    pub notifications: Arc<dyn NotificationStore>,
    /// What users want.
    pub preferences: Arc<dyn PreferenceStore>,
    /// What administrators have saved of templates.
    pub templates: Arc<dyn TemplateStore>,
    /// Events that other programs have announced.
    pub intake: Arc<dyn IntakeStore>,
    /// What repeated requests were answered.
    pub receipts: Arc<dyn ReceiptStore>,
    /// Events that are not published yet.
    pub outbox: Arc<dyn OutboxStore>,
    /// Whether no other process can work on them at the same time.
    pub sole_owner: bool,
}

impl Stores {
    /// Opens or creates the SQLite file at `path`, which no other process may use at the
    /// same time. Blocks: call it at start.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn sqlite(path: &Path) -> Result<Self, StorageError> {
        let db = store::open(path)?;
        Ok(Self {
            activity: Arc::new(SqliteActivityStore::new(db.clone())),
            recipients: Arc::new(SqliteRecipientStore::new(db.clone())),
            notifications: Arc::new(SqliteNotificationStore::new(db.clone())),
            preferences: Arc::new(SqlitePreferenceStore::new(db.clone())),
            templates: Arc::new(SqliteTemplateStore::new(db.clone())),
            intake: Arc::new(SqliteIntakeStore::new(db.clone())),
            receipts: Arc::new(SqliteReceipts::new(db.clone())),
            outbox: Arc::new(SqliteOutbox::new(db)),
            sole_owner: true,
        })
    }

    /// Opens the MongoDB database `name`, usually [`store::DATABASE`].
    ///
    /// # Errors
    /// If the server is away, or an index exists with another definition.
    pub async fn mongo(client: &mongo::Client, name: &str) -> Result<Self, mongo::StorageError> {
        let notifications = MongoNotificationStore::open(client, name).await?;
        let intake = MongoIntakeStore::open(client, name).await?;
        Ok(Self {
            activity: Arc::new(MongoActivityStore::open(client, name).await?),
            recipients: Arc::new(MongoRecipientStore::open(client, name).await?),
            preferences: Arc::new(MongoPreferenceStore::open(client, name).await?),
            templates: Arc::new(MongoTemplateStore::open(client, name).await?),
            receipts: Arc::new(intake.receipts()),
            intake: Arc::new(intake),
            outbox: Arc::new(notifications.outbox()),
            notifications: Arc::new(notifications),
            sole_owner: false,
        })
    }
}

/// What notify-svc needs.
pub struct Dependencies {
    /// Its databases.
    pub stores: Stores,
    /// Where events come from.
    pub bus: SharedBus,
    /// Where mails go.
    pub mailer: SharedMailer,
    /// The time.
    pub clock: SharedClock,
    /// Runs the consumers, the dispatcher and the other jobs.
    pub background: Background,
    /// Where its dependencies are registered.
    pub health: Health,
    /// Cancelled when the process begins to drain: streams end.
    pub drain: CancellationToken,
}

impl Config {
    /// The services of this crate. Begins to consume and to send in the background.
    #[must_use]
    pub fn build(self, dependencies: Dependencies) -> Routes {
        metrics::describe();
        let health = &dependencies.health;
        for service in SERVICES {
            let store = dependencies.stores.activity.clone();
            health.depends(service, "store", Need::Required, store);
            // What is there is read without it: what is new is late.
            let bus = Arc::new(dependencies.bus.clone());
            health.depends(service, "bus", Need::Degraded, bus);
        }
        let activity = self.build_activity(&dependencies);
        let apis = self.build_notifications(dependencies);
        apis.serve(Routes::new(ActivityServiceServer::new(activity)))
    }

    fn build_activity(&self, dependencies: &Dependencies) -> ActivityApi {
        let Dependencies {
            stores: Stores {
                activity: store, ..
            },
            bus,
            clock,
            background,
            drain,
            ..
        } = dependencies;
        let newest = Newest::default();
        Projection::new(store.clone(), newest.clone(), clock.clone()).spawn(bus, clock, background);
        Lookout::new(store.clone(), newest.clone()).spawn(background);
        Pruning::new(store.clone(), clock.clone(), self.activity_retention).spawn(background);
        ActivityApi::new(store.clone(), newest, drain.clone())
    }

    fn build_notifications(&self, dependencies: Dependencies) -> Apis {
        let Dependencies {
            stores,
            bus,
            mailer,
            clock,
            background,
            ..
        } = dependencies;
        let library = Arc::new(Library::new(stores.templates.clone(), &self.public_url));
        library.spawn(&background);
        let notifier = Notifier {
            store: stores.notifications.clone(),
            preferences: stores.preferences.clone(),
            templates: library,
            clock: clock.clone(),
            bell: Bell::default(),
        };
        let outbox = Wake::default();
        Publisher {
            service: SERVICE,
            store: stores.outbox.clone(),
            bus: bus.clone(),
            wake: outbox.clone(),
            clock: clock.clone(),
        }
        .spawn(&background);
        Dispatcher {
            notifications: stores.notifications.clone(),
            recipients: stores.recipients.clone(),
            preferences: stores.preferences.clone(),
            mailer,
            templates: notifier.templates.clone(),
            limits: self
                .mail_rate
                .map(|rate| Arc::new(DomainLimits::per_second(rate))),
            clock: clock.clone(),
            bell: notifier.bell.clone(),
            outbox: outbox.clone(),
            sole_owner: stores.sole_owner,
        }
        .spawn(&background);
        let apis = Apis::new(&stores, &notifier, outbox);
        Forgetting::new(stores.intake, stores.receipts, clock.clone()).spawn(&background);
        Recipients::new(stores.recipients).spawn(&bus, &clock, &background);
        Notifying::new(notifier).spawn(&bus, &clock, &background);
        apis
    }
}

/// What is asked of notifications, from outside.
struct Apis {
    notifications: NotificationApi,
    preferences: PreferenceApi,
    templates: TemplateApi,
    events: EventApi,
}

impl Apis {
    fn new(stores: &Stores, notifier: &Notifier, outbox: Wake) -> Self {
        let (templates, clock) = (notifier.templates.clone(), notifier.clock.clone());
        Self {
            notifications: NotificationApi {
                notifications: stores.notifications.clone(),
                recipients: stores.recipients.clone(),
            },
            preferences: PreferenceApi {
                preferences: stores.preferences.clone(),
                templates: templates.clone(),
                clock: clock.clone(),
            },
            templates: TemplateApi {
                store: stores.templates.clone(),
                templates: templates.clone(),
                clock: clock.clone(),
            },
            events: EventApi {
                intake: stores.intake.clone(),
                receipts: stores.receipts.clone(),
                notifications: stores.notifications.clone(),
                recipients: stores.recipients.clone(),
                templates,
                clock,
                outbox,
            },
        }
    }

    fn serve(self, routes: Routes) -> Routes {
        routes
            .add_service(NotificationServiceServer::new(self.notifications))
            .add_service(PreferenceServiceServer::new(self.preferences))
            .add_service(TemplateServiceServer::new(self.templates))
            .add_service(EventServiceServer::new(self.events))
    }
}
