//! notify-svc: the activity feed, the audit trail, notifications by mail, dead letters and incidents.
//!
//! A consumer appends events to the activity log, numbered 1, 2, 3, … without gaps;
//! `ActivityService` returns it page by page and as a stream. Another consumer creates
//! notifications from the events that concern somebody. A dispatcher mails them and records the
//! outcome of each.
//!
//! Each feature is one directory with the same files: `mod.rs` has types and rules, `store` the
//! collections, `service` translates between the protobuf contract and these types, `jobs` has the
//! consumers and other background work.
//!
//! | feature | to find a rule, look in |
//! | --- | --- |
//! | [`activity`] | the activity feed: how each event reads (`sentence`), filters (`filter`), numbering (`store`) |
//! | [`audit`] | the audit trail: what an entry has (`entry`), when the chain is whole (`chain`), evidence (`evidence`) |
//! | [`notification`] | recipients of each event ([`audience`](notification::audience)), at once or in a digest ([`gathering`]), the result of an attempt ([`outcome`](notification::outcome)), later delivery reports of the mail server's operator ([`confirmation`](notification::confirmation)) |
//! | [`notification::preferences`] | which notifications a user wants, and when |
//! | [`notification::recipients`] | the users and their addresses |
//! | [`notification::templates`] | the texts of mails, built in and edited by administrators |
//! | [`notification::intake`] | events that other programs announce: permissions and quotas |
//! | [`notification::dispatch`], [`notification::mail`] | from the queue to the mail server, once |
//! | [`dead_letters`] | events that consumers could not handle: checks of edited payloads (`edit`), replays (`replay`) |
//! | [`incidents`] | faults, and when administrators are mailed about them |
//! | [`log`] | what happened and failed, in one list: how sources are merged (`merge`), what is an act (`acts`) |
//! | [`reading`] | how far a user has read, and how much is unread |
//! | [`statistics`] | tasks by day, traffic by minute: what counts (`Fact`), buckets (`Day`, `Hour`) |
//!
//! Shared: [`store`] opens the database, `retention` deletes old data, `translate` converts common
//! types, `metrics` declares the metrics.

pub mod activity;
pub mod audit;
pub mod dead_letters;
pub mod incidents;
pub mod log;
pub mod metrics;
pub mod notification;
pub mod reading;
mod retention;
#[cfg(test)]
mod samples;
pub mod statistics;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod translate;

use std::{io, num::NonZeroU32, sync::Arc, time::Duration};

use jiff::SignedDuration;
use slipway_bus::{
    SharedBus, TopicSpec,
    consumer::{Group, Host},
};
use slipway_proto::notify::v1::{
    activity_service_server::ActivityServiceServer, audit_service_server::AuditServiceServer,
    dead_letter_service_server::DeadLetterServiceServer,
    incident_service_server::IncidentServiceServer, log_service_server::LogServiceServer,
    reading_service_server::ReadingServiceServer,
    statistics_service_server::StatisticsServiceServer,
};
use slipway_runtime::{
    clock::SharedClock,
    life::{Background, Health, Need},
};
use slipway_store::outbox::{Publisher, Wake};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use store::Stores;

use activity::{
    jobs::{LogEndPoller, Projection},
    log_end::LogEnd,
    service::ActivityApi,
};
use audit::{jobs::Recorder, service::AuditApi};
use dead_letters::{jobs::DeadLetterSink, replay::Replays, service::DeadLetterApi};
use incidents::{alerting::Alerting, service::IncidentApi};
use log::{service::LogApi, sources::Sources};
use notification::{
    dispatch::{self, Dispatcher, DomainLimits, MailServer},
    gathering::{self, Rule},
    jobs::EventConsumer,
    links::LinkSecrets,
    mail::SharedMailer,
    queue::Queue,
    recipients::{self, jobs::RecipientProjection},
    services,
    templates::Library,
};
use reading::service::ReadingApi;
use retention::Retention;
use statistics::service::StatisticsApi;

/// The service's name in events, metrics and logs.
pub const SERVICE: &str = "notify-svc";

const ACTIVITY_SERVICE: &str = "slipway.notify.v1.ActivityService";
const AUDIT_SERVICE: &str = "slipway.notify.v1.AuditService";
const DEAD_LETTER_SERVICE: &str = "slipway.notify.v1.DeadLetterService";
const LOG_SERVICE: &str = "slipway.notify.v1.LogService";
const READING_SERVICE: &str = "slipway.notify.v1.ReadingService";
const STATISTICS_SERVICE: &str = "slipway.notify.v1.StatisticsService";
const INCIDENT_SERVICE: &str = "slipway.notify.v1.IncidentService";

/// Full protobuf names of the services in this crate.
pub const SERVICES: &[&str] = &[
    ACTIVITY_SERVICE,
    AUDIT_SERVICE,
    DEAD_LETTER_SERVICE,
    INCIDENT_SERVICE,
    LOG_SERVICE,
    READING_SERVICE,
    STATISTICS_SERVICE,
    "slipway.notify.v1.NotificationService",
    "slipway.notify.v1.PreferenceService",
    "slipway.notify.v1.TemplateService",
    "slipway.notify.v1.EventService",
];

/// The retry and dead-letter topics of this service's consumer groups. A process creates them
/// before it serves, to find out early whether it can.
#[must_use]
pub fn own_topics() -> Vec<TopicSpec> {
    let groups = [
        activity::jobs::group(),
        audit::jobs::group(),
        notification::jobs::group(),
        recipients::jobs::group(),
        incidents::jobs::group(),
        statistics::jobs::group(),
    ];
    groups.iter().flat_map(Group::own_topics).collect()
}

/// Configuration of notify-svc.
#[derive(Debug, Clone)]
pub struct Config {
    /// How long activity entries are kept after they were logged. Must be longer than the bus keeps
    /// its records: an event that is delivered again is recognised by its entry.
    pub activity_retention: Duration,
    /// How long notifications are kept after they were created. Must also be longer than the bus
    /// keeps its records.
    pub notification_retention: Duration,
    /// Base URL of the links in mails.
    pub public_url: String,
    /// Mails a second to one domain; `None`: no limit.
    pub mail_rate: Option<NonZeroU32>,
    /// Maximum number of mails sent concurrently, up to [`dispatch::MAX_CONNECTIONS`].
    pub mail_connections: usize,
    /// The window in which mails to one person about one thing are counted. Those after the third
    /// are gathered into a digest at its end.
    pub gather_for: Duration,
    /// Addresses that are mailed about incidents; empty: all administrators.
    pub alert_emails: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            activity_retention: Duration::from_secs(90 * 24 * 3600),
            notification_retention: Duration::from_secs(90 * 24 * 3600),
            public_url: "http://127.0.0.1:8080".to_owned(),
            mail_rate: None,
            mail_connections: dispatch::CONNECTIONS,
            gather_for: gathering::WINDOW.unsigned_abs(),
            alert_emails: Vec::new(),
        }
    }
}

/// Dependencies of notify-svc.
pub struct Dependencies {
    /// Its databases.
    pub stores: Stores,
    /// The event bus.
    pub bus: SharedBus,
    /// Sends mails.
    pub mailer: SharedMailer,
    /// Has the secrets of links in mails.
    pub links: Arc<dyn LinkSecrets>,
    /// Clock for all jobs.
    pub clock: SharedClock,
    /// Runs the consumers, the dispatcher and other jobs.
    pub background: Background,
    /// Registry for the health of its dependencies.
    pub health: Health,
    /// Cancelled when the process begins to drain; open streams then end.
    pub drain: CancellationToken,
}

impl Dependencies {
    /// What the consumers run on.
    fn host(&self) -> Host {
        Host {
            bus: self.bus.clone(),
            clock: self.clock.clone(),
            background: self.background.clone(),
            health: self.health.clone(),
        }
    }
}

impl Config {
    /// Builds the services of this crate, and starts the consumers and the dispatcher in the
    /// background.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub fn build(self, dependencies: Dependencies) -> io::Result<Routes> {
        metrics::describe();
        metrics::begin();
        let health = &dependencies.health;
        let store = Arc::new(dependencies.stores.documents.clone());
        for service in SERVICES {
            health.depends(service, "store", Need::Required, store.clone());
            // Stored data can be read without the bus; new events arrive late.
            let bus = dependencies.bus.clone();
            health.depends(service, "bus", Need::Degraded, bus);
        }
        let outbox = Wake::default();
        Publisher {
            service: SERVICE,
            store: dependencies.stores.outbox.clone(),
            bus: dependencies.bus.clone(),
            wake: outbox.clone(),
            clock: dependencies.clock.clone(),
        }
        .spawn(&dependencies.background);
        Retention {
            stores: dependencies.stores.clone(),
            clock: dependencies.clock.clone(),
            activity: self.activity_retention,
            notifications: self.notification_retention,
        }
        .spawn(&dependencies.background);
        let log_end = LogEnd::default();
        let activity = activity(&dependencies, &log_end);
        let host = dependencies.host();
        let statistics = &dependencies.stores.statistics;
        statistics::jobs::spawn(statistics, log_end.subscribe(), &host);
        let dead_letters = dead_letters(&dependencies, outbox.clone());
        let routes = Routes::new(ActivityServiceServer::new(activity))
            .add_service(AuditServiceServer::new(audit(&dependencies)))
            .add_service(DeadLetterServiceServer::new(dead_letters))
            .add_service(LogServiceServer::new(log(&dependencies.stores)))
            .add_service(ReadingServiceServer::new(ReadingApi {
                positions: dependencies.stores.reading.clone(),
                activity: dependencies.stores.activity.clone(),
                notifications: dependencies.stores.notifications.clone(),
                clock: dependencies.clock.clone(),
            }))
            .add_service(StatisticsServiceServer::new(StatisticsApi {
                store: statistics.clone(),
                clock: dependencies.clock.clone(),
            }));
        self.notifications_and_incidents(dependencies, outbox, routes)
    }

    /// Builds both together, because incidents are reported as notifications.
    fn notifications_and_incidents(
        &self,
        dependencies: Dependencies,
        outbox: Wake,
        routes: Routes,
    ) -> io::Result<Routes> {
        let host = dependencies.host();
        let Dependencies {
            stores,
            mailer,
            links,
            clock,
            background,
            ..
        } = dependencies;
        let library = Library::new(stores.templates.clone(), &self.public_url);
        let library = Arc::new(library?);
        library.spawn(&background);
        let queue = Queue {
            store: stores.notifications.clone(),
            preferences: stores.preferences.clone(),
            tallies: stores.tallies.clone(),
            rule: Rule {
                window: SignedDuration::try_from(self.gather_for)
                    .unwrap_or(gathering::LONGEST_WINDOW)
                    .min(gathering::LONGEST_WINDOW),
            },
            templates: library,
            clock: clock.clone(),
            due: Arc::default(),
        };
        let mail_server = MailServer::default();
        let shown = Arc::new(mail_server.clone());
        host.health.shows(SERVICE, "mail server", shown);
        let limits = self.mail_rate.map(DomainLimits::per_second);
        Dispatcher {
            notifications: stores.notifications.clone(),
            recipients: stores.recipients.clone(),
            preferences: stores.preferences.clone(),
            mailer: mailer.clone(),
            templates: queue.templates.clone(),
            links,
            limits: limits.map(Arc::new),
            connections: self.mail_connections,
            clock: clock.clone(),
            due: queue.due.clone(),
            outbox: outbox.clone(),
            server: mail_server,
            sole_owner: stores.sole_owner,
        }
        .spawn(&background);
        let routes = services::add_to(routes, &stores, &queue, outbox);
        RecipientProjection::new(stores.recipients.clone()).spawn(&host);
        EventConsumer::new(queue.clone()).spawn(&host);
        let alerting = Arc::new(Alerting::new(
            stores.incidents,
            stores.recipients,
            queue,
            mailer,
            self.alert_emails.clone(),
        ));
        incidents::jobs::spawn(&alerting, &host);
        Ok(routes.add_service(IncidentServiceServer::new(IncidentApi::new(alerting))))
    }
}

fn dead_letters(dependencies: &Dependencies, outbox: Wake) -> DeadLetterApi {
    let clock = &dependencies.clock;
    let store = dependencies.stores.dead_letters.clone();
    let topics = DeadLetterSink::new(store.clone(), clock.clone()).spawn(&dependencies.host());
    DeadLetterApi::new(Replays::new(store, topics, outbox, clock.clone()))
}

fn audit(dependencies: &Dependencies) -> AuditApi {
    let store = dependencies.stores.audit.clone();
    Recorder::new(store.clone(), dependencies.clock.clone()).spawn(&dependencies.host());
    audit::jobs::note_head(store.clone(), &dependencies.background);
    AuditApi(store)
}

fn log(stores: &Stores) -> LogApi {
    LogApi(Sources {
        incidents: stores.incidents.clone(),
        dead_letters: stores.dead_letters.clone(),
        notifications: stores.notifications.clone(),
        audit: stores.audit.clone(),
    })
}

fn activity(dependencies: &Dependencies, log_end: &LogEnd) -> ActivityApi {
    let Dependencies {
        stores,
        clock,
        background,
        drain,
        ..
    } = dependencies;
    let (store, log_end) = (stores.activity.clone(), log_end.clone());
    Projection::new(store.clone(), log_end.clone(), clock.clone()).spawn(&dependencies.host());
    LogEndPoller::new(store.clone(), log_end.clone()).spawn(background);
    ActivityApi::new(store, log_end, drain.clone())
}
