//! The table of all configuration keys: each has its name, type, default, format and description
//! here and nowhere else. Settings, flags, names in the environment, `config check` and the pages
//! in `docs` come from it.

use std::{collections::BTreeSet, net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use http::HeaderValue;
use notify_svc::notification::{
    dispatch::MAX_CONNECTIONS,
    gathering::LONGEST_WINDOW,
    mail::{Sender, SmtpUrl},
};
use release_svc::{
    identity::{Email, Username},
    provider::{Issuer, person::ClaimPath},
};
use slipway_bus::{embedded, security::Mechanism};
use slipway_rpc::{
    grpc::{Authorities, Origins},
    http::{ClientHeader, Networks},
};
use slipway_runtime::telemetry::logs;

use super::{
    Secret,
    format::{self, Format},
    keys::{Fallback, Key, keys},
    pem::PemFile,
    rules::Reader,
    tls::{Certificates, PrivateKey},
};
use crate::cli::Role;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What remembers events must remember them for longer than the bus, which may deliver them again.
const SHORTEST_RETENTION: Duration = embedded::RETENTION.saturating_add(DAY);

/// The roles that read a key.
const EVERY: &[Role] = &[
    Role::Gateway,
    Role::Release,
    Role::Forum,
    Role::Chat,
    Role::Notify,
];
const SERVICES: &[Role] = &[Role::Release, Role::Forum, Role::Chat, Role::Notify];
const GATEWAY: &[Role] = &[Role::Gateway];
const RELEASE: &[Role] = &[Role::Release];
const CHAT: &[Role] = &[Role::Chat];
const NOTIFY: &[Role] = &[Role::Notify];
const GATEWAY_NOTIFY: &[Role] = &[Role::Gateway, Role::Notify];
/// Those that send people to pages of Slipway.
const WITH_LINKS: &[Role] = &[Role::Gateway, Role::Release, Role::Notify];
/// Those that call the release service.
const CALL_RELEASE: &[Role] = &[Role::Gateway, Role::Forum, Role::Chat, Role::Notify];
/// Those that call the notification service: all report incidents to it.
const CALL_NOTIFY: &[Role] = &[Role::Gateway, Role::Release, Role::Forum, Role::Chat];

keys! {
    /// Directory for the embedded databases, the signing keys, and mails without a mail server
    data_dir: PathBuf = default("./slipway-data"), format::path(), SERVICES;

    /// Directory in which a process with embedded databases makes backups by itself; on another disk
    backup_dir: PathBuf = unset("no such backups", "/var/backups/slipway"), format::path(), SERVICES;

    /// Interval between those backups
    backup_every: Duration = default("24h"), format::duration(SECOND..=31 * DAY), SERVICES;

    /// Number of those backups that are kept; older ones are deleted
    backup_keep: usize = default("7"), format::number(1..=1_000), SERVICES;

    /// Address where the gateway listens for HTTP
    http_addr: SocketAddr = default("127.0.0.1:8080"), format::address(), GATEWAY_NOTIFY;

    /// Address where the services of this process listen for gRPC
    grpc_addr: SocketAddr = default("127.0.0.1:50051"), format::address(), SERVICES;

    /// Address for metrics and health checks
    ops_addr: SocketAddr = default("127.0.0.1:9464"), format::address(), EVERY;

    /// Maximum number of open client connections of one process; fewer if its limit of open files
    /// is low
    max_connections: usize = default("25000"), format::number(16..=1_000_000), EVERY;

    /// Maximum share of the connections and of the requests in flight that one client address may
    /// use, in percent; a trusted proxy may use all of them
    per_client_percent: usize = default("50"), format::number(1..=100), EVERY;

    /// Addresses and networks of the reverse proxies that are trusted to name the client of a
    /// request; from others that header is ignored
    trusted_proxies: Networks = unset("no proxy is trusted", "10.0.0.0/8,192.0.2.7"),
        format::networks(), EVERY;

    /// Header in which those proxies name the client; each must append to it the address that it
    /// was called from
    forwarded_header: ClientHeader = default("x-forwarded-for"),
        format::choice([
            ("x-forwarded-for", ClientHeader::XForwardedFor),
            ("forwarded", ClientHeader::Forwarded),
        ]), EVERY;

    /// Maximum number of open activity streams of one account, counted separately for REST and gRPC
    streams_per_user: usize = default("20"), format::number(1..=100_000), EVERY;

    /// Maximum number of requests of one account in a minute; each process counts its own
    user_rate: NonZeroU32 = default("12000"), format::number(1..=1_000_000), EVERY;

    /// Maximum number of REST requests from one network address in a minute; each process counts its
    /// own
    address_rate: NonZeroU32 = default("60000"), format::number(1..=1_000_000), EVERY;

    /// Maximum number of sign-ins, registrations, refreshes and the like from one network address in
    /// a minute; each process counts its own
    sign_in_rate: NonZeroU32 = default("600"), format::number(1..=1_000_000), RELEASE;

    /// URL of MongoDB, with a user and a password if it needs them
    mongodb_url: Secret = unset("embedded SQLite", "mongodb://mongodb:27017"),
        format::mongodb_url(), SERVICES, secret;

    /// Addresses of Kafka brokers; one that can be reached is enough to find the others
    kafka_brokers: String = unset("the embedded bus", "kafka-1:9092,kafka-2:9092"),
        format::kafka_brokers(), SERVICES;

    /// Whether connections to Kafka use TLS
    kafka_tls: bool = default("false"), format::boolean(), SERVICES;

    /// PEM file with the CA certificates that Kafka's certificates are verified with
    kafka_ca_file: PathBuf = unset("the system's root CAs", "/etc/slipway/kafka-ca.pem"),
        format::path(), SERVICES;

    /// PEM file with the client certificate for Kafka
    kafka_cert_file: PathBuf = unset("no client certificate", "/etc/slipway/kafka-client.pem"),
        format::path(), SERVICES;

    /// PEM file with the private key of the client certificate for Kafka
    kafka_key_file: PathBuf = unset("no client certificate", "/etc/slipway/kafka-client.key"),
        format::path(), SERVICES;

    /// SASL mechanism for signing in to Kafka
    kafka_sasl_mechanism: Mechanism = unset("no sign-in", "SCRAM-SHA-512"),
        format::choice(Mechanism::ALL.map(|mechanism| (mechanism.as_str(), mechanism))), SERVICES;

    /// User name for signing in to Kafka
    kafka_sasl_username: String = unset("no sign-in", "slipway"), format::text("a name"), SERVICES;

    /// Password for signing in to Kafka
    kafka_sasl_password: Secret = unset("no sign-in", "a password"),
        format::password(), SERVICES, secret;

    /// URLs of the release service
    release_url: Origins = unset("in this process", "http://release:50051"),
        format::service_urls(), CALL_RELEASE;

    /// URLs of the forum service
    forum_url: Origins = unset("in this process", "http://forum:50051"),
        format::service_urls(), GATEWAY;

    /// URLs of the chat service
    chat_url: Origins = unset("in this process", "http://chat:50051"),
        format::service_urls(), GATEWAY;

    /// URLs of the notification service
    notify_url: Origins = unset("in this process", "http://notify:50051"),
        format::service_urls(), CALL_NOTIFY;

    /// PEM file with the certificate of the gateway for HTTP, followed by its intermediate
    /// certificates; read again when it changes
    http_tls_cert_file: PemFile<Certificates> = unset("HTTP without TLS", "tls/cert.pem"),
        format::pem(Certificates::from_pem), GATEWAY;

    /// PEM file with the private key of that certificate
    http_tls_key_file: PemFile<PrivateKey> = unset("HTTP without TLS", "tls/key.pem"),
        format::pem(PrivateKey::from_pem), GATEWAY;

    /// Origins of other sites whose pages may call the API from a browser, with a token in
    /// `Authorization`; cookies of users are never accepted from them
    cors_origins: Vec<HeaderValue> = unset("no other site", "https://dashboard.example.com"),
        format::origins(), GATEWAY;

    /// PEM file with the certificate of this process for gRPC, followed by its intermediate
    /// certificates
    tls_cert_file: PemFile<Certificates> = unset("gRPC without TLS", "tls/cert.pem"),
        format::pem(Certificates::from_pem), EVERY;

    /// PEM file with the private key of that certificate
    tls_key_file: PemFile<PrivateKey> = unset("gRPC without TLS", "tls/key.pem"),
        format::pem(PrivateKey::from_pem), EVERY;

    /// PEM file with the CA certificates that services with an https URL are verified with
    tls_ca_file: PemFile<Authorities> = unset("no https URLs", "tls/ca.pem"),
        format::pem(Authorities::from_pem), EVERY;

    /// PEM file with the CA certificates that callers of the gRPC services must have a certificate
    /// from
    tls_client_ca_file: PemFile<Authorities> = unset("callers need no certificate", "tls/ca.pem"),
        format::pem(Authorities::from_pem), SERVICES;

    /// User name of the first administrator, who is created if there is none
    admin_username: Username = default("admin"), format::username(), RELEASE;

    /// Email address of the first administrator
    admin_email: Email = default("admin@localhost"), format::email(), RELEASE;

    /// Password of the first administrator
    admin_password: Secret = unset("random, printed once", "correct horse battery staple"),
        format::password_of_account(), RELEASE, secret;

    /// Whether anybody can register, or only administrators create accounts
    registration: bool = default("open"), format::choice([("open", true), ("closed", false)]),
        RELEASE;

    /// Maximum number of accounts that one network address can register in an hour; administrators
    /// have no limit
    registration_rate: NonZeroU32 = default("30"), format::number(1..=1_000_000), RELEASE;

    /// Whether anybody can register as an administrator; only for demonstrations
    allow_admin_registration: bool = default("false"), format::boolean(), RELEASE;

    /// URL by which the identity provider (OpenID Connect) calls itself; with it, people sign in
    /// there
    oidc_issuer: Issuer = unset("no identity provider", "https://id.example.com/realms/slipway"),
        format::issuer(), RELEASE;

    /// Name by which the identity provider knows Slipway
    oidc_client_id: String = unset("no identity provider", "slipway"),
        format::text("the id of a client"), RELEASE;

    /// Secret with which Slipway signs in to the identity provider
    oidc_client_secret: Secret = unset("a public client", "a random text"),
        format::password(), RELEASE, secret;

    /// PEM file with the CA certificates that the identity provider's certificate is verified with
    oidc_ca_file: PemFile<Authorities> = unset("the system's root CAs", "tls/ca.pem"),
        format::pem(Authorities::from_pem), RELEASE;

    /// What the identity provider is asked for, in addition to `openid`
    oidc_scopes: Vec<String> = default("profile email"), format::scopes(), RELEASE;

    /// Claim of the identity provider that decides at every sign-in whether somebody is an
    /// administrator
    oidc_role_claim: ClaimPath = unset("administrators change roles", "realm_access.roles"),
        format::claim_path(), RELEASE;

    /// Values of that claim that make somebody an administrator
    oidc_admin_role: Vec<String> = default("slipway-admin"), format::texts(), RELEASE;

    /// What people call the identity provider, on the button of the sign-in page
    oidc_name: String = default("your company account"), format::label(), RELEASE;

    /// Whether everybody can sign in with a password, or only one administrator, who gets in while
    /// the identity provider is away
    passwords: bool = default("on"), format::choice([("on", true), ("break-glass", false)]),
        RELEASE;

    /// User name of that administrator
    break_glass_admin: Username = unset("the value of admin_username", "admin"),
        format::username(), RELEASE;

    /// PEM file with the keys that sign and verify tokens
    jwt_key_file: PathBuf = unset("generated in the data directory", "/run/secrets/slipway-jwt.pem"),
        format::path(), RELEASE;

    /// How long an access token is valid; then its client refreshes it
    token_ttl: Duration = default("15m"), format::duration(MINUTE..=30 * DAY), RELEASE;

    /// How long a sign-in lasts: for a program since its last refresh, for a browser in all
    session_ttl: Duration = default("30d"), format::duration(MINUTE..=365 * DAY), RELEASE;

    /// How long a task may be in process before its owner is reminded that it is stale
    stale_after: Duration = default("48h"), format::duration(SECOND..=365 * DAY), RELEASE;

    /// How often that reminder is repeated while the task stays in process
    stale_repeat: Duration = default("24h"), format::duration(SECOND..=365 * DAY), RELEASE;

    /// Shared secret for calls between services, the same in all processes
    service_secret: Secret = unset("none, all services in one process", "a random text of 32 characters or more"),
        format::secret(32), EVERY, secret;

    /// URL of the mail server, with a user and a password if it needs them
    smtp_url: SmtpUrl = unset("mails become files in the data directory", "smtp://mail.example:587?tls=required"),
        format::smtp_url(), NOTIFY, secret;

    /// PEM file with the CA certificates that the mail server's certificate is verified with
    smtp_ca_file: PemFile<Authorities> = unset("public root CAs", "tls/ca.pem"),
        format::pem(Authorities::from_pem), NOTIFY;

    /// Sender of mails
    mail_from: Sender = default("Slipway <slipway@localhost>"), format::mail_sender(), NOTIFY;

    /// Maximum number of mails that one process sends to one domain in a second; without effect
    /// if there is no mail server
    mail_rate: NonZeroU32 = default("50"), format::number(1..=100_000), NOTIFY;

    /// Maximum number of mails that one process sends at the same time, each over its own
    /// connection
    mail_connections: usize = default("16"), format::number(1..=MAX_CONNECTIONS), NOTIFY;

    /// Time window for collecting mails: after three mails to one person about the same thing, the
    /// next ones are sent as one mail at the end of the window
    mail_gather: Duration = default("10m"),
        format::duration(SECOND..=LONGEST_WINDOW.unsigned_abs()), NOTIFY;

    /// Email addresses for alerts about Slipway itself
    alert_emails: Vec<String> = unset("all administrators", "ops@example.com,oncall@example.com"),
        format::emails(), NOTIFY;

    /// Bearer token for `POST /hooks/*`: alerts, and whether mails arrived
    webhook_secret: Secret = unset("tokens for programs only", "at-least-sixteen-characters"),
        format::bearer_token(16), GATEWAY, secret;

    /// URL where users reach Slipway: links in mails begin with it, the identity provider sends
    /// browsers there, and with https the session cookie is Secure
    public_url: String = unset("the address of the HTTP listener", "https://slipway.example.com"),
        format::public_url(), WITH_LINKS;

    /// URL of Ollama, whose model answers questions
    ollama_url: String = unset("the built-in assistant", "http://127.0.0.1:11434"),
        format::ollama_url(), CHAT;

    /// Model that Ollama answers with
    ollama_model: String = default("llama3.2"), format::ollama_model(), CHAT;

    /// Context window of the model, in tokens
    ollama_num_ctx: u32 = default("8192"), format::number(2_048..=131_072), CHAT;

    /// Maximum time for one answer
    ollama_timeout: Duration = default("2m"), format::duration(SECOND..=4 * MINUTE), CHAT;

    /// Number of earlier messages of a conversation that the model gets
    chat_history: u32 = default("5"), format::number(chat_svc::HISTORY), CHAT;

    /// Maximum number of answers that one process writes at the same time
    chat_concurrency: usize = default("4"), format::number(1..=1_000), CHAT;

    /// Maximum number of questions that wait for an answer
    chat_queue: usize = default("64"), format::number(0..=10_000), CHAT;

    /// How long the activity feed is kept; longer than the bus keeps events
    activity_retention: Duration = default("90d"), format::duration_from(SHORTEST_RETENTION), NOTIFY;

    /// How long notifications and their delivery status are kept; longer than the bus keeps events
    notification_retention: Duration = default("90d"),
        format::duration_from(SHORTEST_RETENTION), NOTIFY;

    /// Log filter
    log: String = default("info"), format::log_filter(), EVERY;

    /// Format of log lines
    log_format: logs::Format = unset("human on a terminal, otherwise json", "json"),
        format::log_format(), EVERY;

    /// Whether each request is logged when its response begins: method, route, status, duration,
    /// client address, account and trace id, but no query and no header
    access_log: bool = default("false"), format::boolean(), EVERY;

    /// URL of an OpenTelemetry collector that takes OTLP over gRPC, to which traces are exported
    otlp_url: String = unset("no traces are exported", "http://127.0.0.1:4317"),
        format::otlp_url(), EVERY;

    /// Share of the traces that are exported, in percent; a trace that the client has begun and
    /// marked as sampled is always exported
    otlp_percent: u8 = default("100"), format::number(0..=100), EVERY;

    /// Maximum time for requests in flight, and then for mails being sent, when the process stops
    drain_deadline: Duration = default("8s"), format::duration(SECOND..=MINUTE), EVERY;
}

impl Settings {
    /// Whether `key` has a value other than its default.
    #[must_use]
    pub fn sets(&self, key: &Key) -> bool {
        self.set.contains(key.name)
    }

    /// Whether anything is kept in the data directory.
    #[must_use]
    pub fn uses_data_dir(&self) -> bool {
        self.mongodb_url.is_none() || self.kafka_brokers.is_none()
    }

    /// The format of log lines.
    #[must_use]
    pub fn log_format(&self) -> logs::Format {
        self.log_format.unwrap_or_else(logs::Format::for_stderr)
    }
}
