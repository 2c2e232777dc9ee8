//! The state shared by all handlers: clients of the services, and the hub of the activity stream.

use std::{sync::Arc, time::Duration};

use slipway_proto::{
    chat::v1::chat_service_client::ChatServiceClient,
    forum::v1::forum_service_client::ForumServiceClient,
    identity::v1::identity_service_client::IdentityServiceClient,
    notify::v1::{
        activity_service_client::ActivityServiceClient, audit_service_client::AuditServiceClient,
        dead_letter_service_client::DeadLetterServiceClient,
        event_service_client::EventServiceClient, incident_service_client::IncidentServiceClient,
        log_service_client::LogServiceClient,
        notification_service_client::NotificationServiceClient,
        preference_service_client::PreferenceServiceClient,
        reading_service_client::ReadingServiceClient,
        statistics_service_client::StatisticsServiceClient,
        template_service_client::TemplateServiceClient,
    },
    release::v1::{
        release_service_client::ReleaseServiceClient, task_service_client::TaskServiceClient,
    },
};
use slipway_rpc::{
    access::{ProgramTokens, ServiceTokens, StreamLimits, Verifier},
    grpc::Link,
};
use slipway_runtime::clock::SharedClock;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Dependencies, StreamConfig, activity::Hub, browser::BrowserSessions,
    processes::Processes,
};

/// The largest answer of a service, in bytes. tonic's default of 4 MiB is too small: a release
/// with 500 tasks of 8,000 characters has 16 MiB, 200 comments of 10,000 characters have 8 MiB,
/// and 200 messages of a session, half of them answers of 256 KiB, have 29 MiB.
const MAX_ANSWER: usize = 40 * 1024 * 1024;

/// Pages of missed entries that are fetched at the same time, for all streams together.
const CATCH_UPS_AT_ONCE: usize = 16;

/// The state of the router.
pub(crate) type AppState = Arc<App>;

/// Clients of the services, and the hub of the activity stream.
pub(crate) struct App {
    identity: IdentityServiceClient<Link>,
    releases: ReleaseServiceClient<Link>,
    tasks: TaskServiceClient<Link>,
    forum: ForumServiceClient<Link>,
    chat: ChatServiceClient<Link>,
    activity: ActivityServiceClient<Link>,
    audit: AuditServiceClient<Link>,
    dead_letters: DeadLetterServiceClient<Link>,
    incidents: IncidentServiceClient<Link>,
    log: LogServiceClient<Link>,
    reading: ReadingServiceClient<Link>,
    statistics: StatisticsServiceClient<Link>,
    pub(crate) processes: Arc<Processes>,
    pub(crate) webhook_secret: Option<String>,
    pub(crate) services: Arc<ServiceTokens>,
    pub(crate) programs: Arc<ProgramTokens>,
    notifications: NotificationServiceClient<Link>,
    preferences: PreferenceServiceClient<Link>,
    templates: TemplateServiceClient<Link>,
    events: EventServiceClient<Link>,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) drain: CancellationToken,
    pub(crate) clock: SharedClock,
    pub(crate) deadline: Duration,
    pub(crate) browser: Arc<BrowserSessions>,
    pub(crate) stream: StreamConfig,
    pub(crate) streams: StreamLimits,
    /// Limits parallel fetches of missed entries: many clients that resume at the same time must
    /// not use up the capacity for other requests.
    pub(crate) catching_up: Semaphore,
}

impl App {
    /// Creates the clients, and starts to follow the activity log.
    pub(crate) fn new(config: Config, dependencies: Dependencies) -> Self {
        let Dependencies {
            release,
            forum,
            chat,
            notify,
            processes,
            verifier,
            webhook_secret,
            services,
            programs,
            background,
            drain,
            clock,
            streams,
        } = dependencies;
        let dead_letters =
            DeadLetterServiceClient::new(notify.clone()).max_decoding_message_size(MAX_ANSWER);
        let audit = AuditServiceClient::new(notify.clone()).max_decoding_message_size(MAX_ANSWER);
        let incidents = IncidentServiceClient::new(notify.clone());
        let log = LogServiceClient::new(notify.clone()).max_decoding_message_size(MAX_ANSWER);
        let reading = ReadingServiceClient::new(notify.clone());
        let statistics = StatisticsServiceClient::new(notify.clone());
        let notifications =
            NotificationServiceClient::new(notify.clone()).max_decoding_message_size(MAX_ANSWER);
        let templates =
            TemplateServiceClient::new(notify.clone()).max_decoding_message_size(MAX_ANSWER);
        let preferences = PreferenceServiceClient::new(notify.clone());
        let events = EventServiceClient::new(notify.clone());
        let activity = ActivityServiceClient::new(notify).max_decoding_message_size(MAX_ANSWER);
        let hub = Arc::new(Hub::new(config.stream.reader_bound));
        hub.follow(
            activity.clone(),
            services.clone(),
            drain.clone(),
            &background,
        );
        Self {
            identity: IdentityServiceClient::new(release.clone())
                .max_decoding_message_size(MAX_ANSWER),
            releases: ReleaseServiceClient::new(release.clone())
                .max_decoding_message_size(MAX_ANSWER),
            tasks: TaskServiceClient::new(release).max_decoding_message_size(MAX_ANSWER),
            forum: ForumServiceClient::new(forum).max_decoding_message_size(MAX_ANSWER),
            chat: ChatServiceClient::new(chat).max_decoding_message_size(MAX_ANSWER),
            activity,
            audit,
            dead_letters,
            incidents,
            log,
            reading,
            statistics,
            processes: Arc::new(Processes::new(processes)),
            webhook_secret,
            services,
            programs,
            notifications,
            preferences,
            templates,
            events,
            verifier,
            hub,
            drain,
            clock,
            deadline: config.request_deadline,
            browser: Arc::new(BrowserSessions::new(config.public_url.as_deref())),
            stream: config.stream,
            streams,
            catching_up: Semaphore::new(CATCH_UPS_AT_ONCE),
        }
    }

    /// A client of the identity service.
    pub(crate) fn identity(&self) -> IdentityServiceClient<Link> {
        self.identity.clone()
    }

    /// A client of the release service.
    pub(crate) fn releases(&self) -> ReleaseServiceClient<Link> {
        self.releases.clone()
    }

    /// A client of the task service.
    pub(crate) fn tasks(&self) -> TaskServiceClient<Link> {
        self.tasks.clone()
    }

    /// A client of the forum service.
    pub(crate) fn forum(&self) -> ForumServiceClient<Link> {
        self.forum.clone()
    }

    /// A client of the chat service.
    pub(crate) fn chat(&self) -> ChatServiceClient<Link> {
        self.chat.clone()
    }

    /// A client of the audit service.
    pub(crate) fn audit(&self) -> AuditServiceClient<Link> {
        self.audit.clone()
    }

    /// A client of the incident service.
    pub(crate) fn incidents(&self) -> IncidentServiceClient<Link> {
        self.incidents.clone()
    }

    /// A client of the log service.
    pub(crate) fn log(&self) -> LogServiceClient<Link> {
        self.log.clone()
    }

    /// A client of the reading service.
    pub(crate) fn reading(&self) -> ReadingServiceClient<Link> {
        self.reading.clone()
    }

    /// A client of the statistics service.
    pub(crate) fn statistics(&self) -> StatisticsServiceClient<Link> {
        self.statistics.clone()
    }

    /// A client of the dead letter service.
    pub(crate) fn dead_letters(&self) -> DeadLetterServiceClient<Link> {
        self.dead_letters.clone()
    }

    /// A client of the notification service.
    pub(crate) fn notifications(&self) -> NotificationServiceClient<Link> {
        self.notifications.clone()
    }

    /// A client of the preference service.
    pub(crate) fn preferences(&self) -> PreferenceServiceClient<Link> {
        self.preferences.clone()
    }

    /// A client of the template service.
    pub(crate) fn templates(&self) -> TemplateServiceClient<Link> {
        self.templates.clone()
    }

    /// A client of the event service.
    pub(crate) fn events(&self) -> EventServiceClient<Link> {
        self.events.clone()
    }

    /// A client of the activity service.
    pub(crate) fn activity(&self) -> ActivityServiceClient<Link> {
        self.activity.clone()
    }
}
