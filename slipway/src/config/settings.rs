//! The settings that the program works with, and the rules they have to obey.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use notify_svc::notification::mail::{Sender, SmtpUrl};
use release_svc::{
    RegistrationRules,
    identity::{Email, NewPassword, Username},
};
use slipway_bus::Security;
use slipway_mongo as mongo;
use slipway_rpc::grpc::{Authorities, Origins};
use slipway_runtime::telemetry::logs::Format;

use super::{Invalid, Key, Layers, Problem, Secret, kafka, keys, parse, tls::Tls};
use crate::cli::Role;

/// A valid configuration. `Debug` does not show secrets.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the embedded storage and generated keys are.
    pub data_dir: PathBuf,
    /// Where the gateway listens. Port 0 lets the system choose, here and below.
    pub http_addr: SocketAddr,
    /// Where the gRPC services of this process listen, all on one port.
    pub grpc_addr: SocketAddr,
    /// Where metrics and health are served.
    pub ops_addr: SocketAddr,
    /// Client connections at the same time.
    pub max_connections: u32,
    /// The part of them that one client address may have, in percent.
    pub per_client_percent: u32,
    /// Streams of activity that one account has open at the same time.
    pub streams_per_user: u32,
    /// Where MongoDB is; `None`: everything is kept in the data directory.
    pub mongodb_url: Option<Secret>,
    /// Some of Kafka's brokers; `None`: the embedded bus.
    pub kafka_brokers: Option<String>,
    /// What connections to Kafka are secured with.
    pub kafka_security: Security,
    /// Where the release service is; `None`: in this process, or not needed.
    pub release_url: Option<Origins>,
    /// Where the forum service is; `None`: in this process, or not needed.
    pub forum_url: Option<Origins>,
    /// Where the chat service is; `None`: in this process, or not needed.
    pub chat_url: Option<Origins>,
    /// Where the notification service is; `None`: in this process, or not needed.
    pub notify_url: Option<Origins>,
    /// How processes speak TLS with each other.
    pub tls: Tls,
    /// Name of the first administrator, who is made when there is none.
    pub admin_username: Username,
    /// Whether that name was set, rather than left at its default.
    pub admin_username_is_set: bool,
    /// Email address of the first administrator.
    pub admin_email: Email,
    /// Whether that address was set.
    pub admin_email_is_set: bool,
    /// Password of the first administrator; `None`: a random one, printed once.
    pub admin_password: Option<NewPassword>,
    /// Who may register.
    pub registration: RegistrationRules,
    /// PEM file with the keys of tokens; `None`: generated in the data directory.
    pub jwt_key_file: Option<PathBuf>,
    /// How long a token is valid.
    pub token_ttl: Duration,
    /// What the processes of one mesh know each other by. Always there when one of the
    /// URLs is.
    pub service_secret: Option<Secret>,
    /// Where the mail server is; `None`: mails are files in the data directory.
    pub smtp_url: Option<SmtpUrl>,
    /// Who vouches for it; `None`: those who vouch for servers of the internet.
    pub smtp_authorities: Option<Authorities>,
    /// Whom mails are from.
    pub mail_from: Sender,
    /// Mails a second that one process sends to one domain, if there is a mail server.
    pub mail_rate: NonZeroU32,
    /// Mails that one process sends at the same time.
    pub mail_connections: u32,
    /// How long mails to one person about one thing are counted.
    pub mail_gather: Duration,
    /// Who is mailed when something is wrong; `None`: every administrator.
    pub alert_emails: Option<Vec<String>>,
    /// What programs that send alerts show; `None`: there is no address for them.
    pub webhook_secret: Option<Secret>,
    /// Where users find Slipway; `None`: where HTTP is served.
    pub public_url: Option<String>,
    /// Where Ollama is; `None`: the built-in assistant answers.
    pub ollama_url: Option<String>,
    /// The model there that answers.
    pub ollama_model: String,
    /// Its context window, in tokens.
    pub ollama_num_ctx: u32,
    /// How long an answer may take.
    pub ollama_timeout: Duration,
    /// How many earlier messages of a conversation a model is shown.
    pub chat_history: u32,
    /// How many answers are written at the same time.
    pub chat_concurrency: u32,
    /// How many questions may wait for their turn.
    pub chat_queue: u32,
    /// How long the wall of activity is kept.
    pub activity_retention: Duration,
    /// How long notifications are kept.
    pub notification_retention: Duration,
    /// A filter that the logs accept.
    pub log: String,
    /// How log lines look.
    pub log_format: Format,
    /// Whether each request is logged.
    pub access_log: bool,
    /// How long requests in flight may take when the process is told to stop.
    pub drain_deadline: Duration,
}

impl Settings {
    /// Whether anything is kept in the data directory.
    #[must_use]
    pub fn uses_data_dir(&self) -> bool {
        self.mongodb_url.is_none() || self.kafka_brokers.is_none()
    }
}

impl Layers {
    /// How the log looks, also if the rest of the configuration cannot be used.
    #[must_use]
    pub fn log_format(&self) -> Format {
        let text = self.effective(&keys::LOG_FORMAT).text;
        text.and_then(|text| parse::log_format(&text))
            .unwrap_or_else(Format::for_stderr)
    }

    /// The settings, checked for `role` if one is given.
    ///
    /// # Errors
    /// Everything that is wrong, in the layers, in the values and between them.
    pub fn settings(&self, role: Option<Role>) -> Result<Settings, Invalid> {
        let mut reader = Reader {
            layers: self,
            problems: self.problems().to_vec(),
        };
        let settings = reader.settings(role);
        match settings {
            Some(settings) if reader.problems.is_empty() => Ok(settings),
            _ => Err(Invalid {
                problems: reader.problems,
            }),
        }
    }
}

pub(super) struct Reader<'a> {
    pub(super) layers: &'a Layers,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    /// `None` if a key that must have a value has a malformed one. Every key is read
    /// before that is decided, so that every problem is found.
    fn settings(&mut self, role: Option<Role>) -> Option<Settings> {
        let data_dir = self.read(&keys::DATA_DIR, parse::path);
        let http_addr = self.read(&keys::HTTP_ADDR, parse::address);
        let grpc_addr = self.read(&keys::GRPC_ADDR, parse::address);
        let ops_addr = self.read(&keys::OPS_ADDR, parse::address);
        let max_connections = self.read(&keys::MAX_CONNECTIONS, parse::max_connections);
        let per_client_percent = self.read(&keys::PER_CLIENT_PERCENT, parse::per_client_percent);
        let streams_per_user = self.read(&keys::STREAMS_PER_USER, parse::streams_per_user);
        let mongodb_url = self.mongodb_url();
        let kafka_brokers = self.read(&keys::KAFKA_BROKERS, parse::kafka_brokers);
        let kafka_security = kafka::security(self);
        let release_url = self.read(&keys::RELEASE_URL, parse::service_urls);
        let forum_url = self.read(&keys::FORUM_URL, parse::service_urls);
        let chat_url = self.read(&keys::CHAT_URL, parse::service_urls);
        let notify_url = self.read(&keys::NOTIFY_URL, parse::service_urls);
        let tls = self.tls(&[
            release_url.as_ref(),
            forum_url.as_ref(),
            chat_url.as_ref(),
            notify_url.as_ref(),
        ]);
        let admin_username = self.read(&keys::ADMIN_USERNAME, parse::username);
        let admin_email = self.read(&keys::ADMIN_EMAIL, parse::email);
        let admin_password = self.admin_password();
        let registration = self.registration();
        let jwt_key_file = self.read(&keys::JWT_KEY_FILE, parse::path);
        let token_ttl = self.read(&keys::TOKEN_TTL, parse::token_ttl);
        let service_secret = self.read(&keys::SERVICE_SECRET, parse::service_secret);
        let smtp_url = self.read(&keys::SMTP_URL, parse::smtp_url);
        let smtp_authorities = self.smtp_authorities(smtp_url.as_ref());
        let mail_from = self.read(&keys::MAIL_FROM, parse::mail_from);
        let mail_rate = self.read(&keys::MAIL_RATE, parse::mail_rate);
        let mail_connections = self.read(&keys::MAIL_CONNECTIONS, parse::mail_connections);
        let mail_gather = self.read(&keys::MAIL_GATHER, parse::mail_gather);
        let alert_emails = self.read(&keys::ALERT_EMAILS, parse::emails);
        let webhook_secret = self.read(&keys::WEBHOOK_SECRET, parse::webhook_secret);
        let public_url = self.read(&keys::PUBLIC_URL, parse::public_url);
        let ollama_url = self.read(&keys::OLLAMA_URL, parse::ollama_url);
        let ollama_model = self.read(&keys::OLLAMA_MODEL, parse::ollama_model);
        let ollama_num_ctx = self.read(&keys::OLLAMA_NUM_CTX, parse::ollama_num_ctx);
        let ollama_timeout = self.read(&keys::OLLAMA_TIMEOUT, parse::ollama_timeout);
        let chat_history = self.read(&keys::CHAT_HISTORY, parse::chat_history);
        let chat_concurrency = self.read(&keys::CHAT_CONCURRENCY, parse::chat_concurrency);
        let chat_queue = self.read(&keys::CHAT_QUEUE, parse::chat_queue);
        let activity_retention = self.read(&keys::ACTIVITY_RETENTION, parse::retention);
        let notification_retention = self.read(&keys::NOTIFICATION_RETENTION, parse::retention);
        let log = self.read(&keys::LOG, parse::log_filter);
        let log_format = self.read(&keys::LOG_FORMAT, parse::log_format);
        let access_log = self.read(&keys::ACCESS_LOG, parse::boolean);
        let drain_deadline = self.read(&keys::DRAIN_DEADLINE, parse::drain_deadline);

        if let Some(role) = role {
            self.check_services(role);
            self.check_keys(role);
            let http = http_addr.filter(|_| role.serves_http());
            let grpc = grpc_addr.filter(|_| role.serves_grpc());
            self.check_listeners([
                (&keys::HTTP_ADDR, http),
                (&keys::GRPC_ADDR, grpc),
                (&keys::OPS_ADDR, ops_addr),
            ]);
        }

        Some(Settings {
            data_dir: data_dir?,
            http_addr: http_addr?,
            grpc_addr: grpc_addr?,
            ops_addr: ops_addr?,
            max_connections: max_connections?,
            per_client_percent: per_client_percent?,
            streams_per_user: streams_per_user?,
            mongodb_url,
            kafka_brokers,
            kafka_security,
            release_url,
            forum_url,
            chat_url,
            notify_url,
            tls,
            admin_username: admin_username?,
            admin_username_is_set: self.layers.sets(&keys::ADMIN_USERNAME),
            admin_email: admin_email?,
            admin_email_is_set: self.layers.sets(&keys::ADMIN_EMAIL),
            admin_password,
            registration: registration?,
            jwt_key_file,
            token_ttl: token_ttl?,
            service_secret,
            smtp_url,
            smtp_authorities,
            mail_from: mail_from?,
            mail_rate: mail_rate?,
            mail_connections: mail_connections?,
            mail_gather: mail_gather?,
            alert_emails,
            webhook_secret,
            public_url,
            ollama_url,
            ollama_model: ollama_model?,
            ollama_num_ctx: ollama_num_ctx?,
            ollama_timeout: ollama_timeout?,
            chat_history: chat_history?,
            chat_concurrency: chat_concurrency?,
            chat_queue: chat_queue?,
            activity_retention: activity_retention?,
            notification_retention: notification_retention?,
            log: log?,
            log_format: log_format.unwrap_or_else(Format::for_stderr),
            access_log: access_log?,
            drain_deadline: drain_deadline?,
        })
    }

    /// `None` if the key has no value, or a malformed one, which is noted.
    pub(super) fn read<T>(&mut self, key: &Key, parse: fn(&str) -> Option<T>) -> Option<T> {
        let text = self.text(key)?;
        let value = parse(&text);
        if value.is_none() {
            let message = match could_be_secret(key, &text) {
                true => format!("must be {}", key.expects),
                false => format!("must be {}; it is {text:?}", key.expects),
            };
            self.problem(key, message);
        }
        value
    }

    /// Which options there are the driver knows. The name of one is no secret.
    fn mongodb_url(&mut self) -> Option<Secret> {
        let key = &keys::MONGODB_URL;
        let text = self.layers.effective(key).text;
        if let Some(option) = text.as_deref().and_then(mongo::unknown_option) {
            let message = format!("has the option {option:?}, which URLs of MongoDB do not have");
            self.problem(key, message);
            return None;
        }
        self.read(key, parse::mongodb_url)
    }

    /// The text of a key. A secret with a control character is noted and has none: it was
    /// read from a file with its line break, and nobody could ever show it again.
    fn text(&mut self, key: &Key) -> Option<String> {
        let text = self.layers.effective(key).text?;
        if !key.secret || !text.chars().any(char::is_control) {
            return Some(text);
        }
        let message = if text
            .trim_end_matches(['\r', '\n'])
            .chars()
            .any(char::is_control)
        {
            "must not contain control characters such as line breaks"
        } else {
            "must not end with a line break: take it out"
        };
        self.problem(key, message);
        None
    }

    /// The rules for every account's password hold for the first administrator's too.
    fn admin_password(&mut self) -> Option<NewPassword> {
        let text = self.text(&keys::ADMIN_PASSWORD)?;
        let [username, email] = [&keys::ADMIN_USERNAME, &keys::ADMIN_EMAIL]
            .map(|key| self.layers.effective(key).text.unwrap_or_default());
        match NewPassword::new(&text, &username, &email) {
            Ok(password) => Some(password),
            Err(message) => {
                self.problem(&keys::ADMIN_PASSWORD, message);
                None
            }
        }
    }

    fn registration(&mut self) -> Option<RegistrationRules> {
        let open = self.read(&keys::REGISTRATION, parse::registration);
        let per_hour = self.read(&keys::REGISTRATION_RATE, parse::registration_rate);
        let anybody_as_admin = self.read(&keys::ALLOW_ADMIN_REGISTRATION, parse::boolean);
        if open == Some(false) && anybody_as_admin == Some(true) {
            let message = "contradicts registration = closed";
            self.problem(&keys::ALLOW_ADMIN_REGISTRATION, message);
        }
        Some(RegistrationRules {
            open: open?,
            per_hour: per_hour?,
            anybody_as_admin: anybody_as_admin?,
        })
    }

    /// Which other services a role needs, and what comes with having them elsewhere.
    fn check_services(&mut self, role: Role) {
        let needed: &[&Key] = match role {
            Role::All | Role::Release => &[],
            Role::Gateway => &[
                &keys::RELEASE_URL,
                &keys::FORUM_URL,
                &keys::CHAT_URL,
                &keys::NOTIFY_URL,
            ],
            Role::Forum | Role::Chat | Role::Notify => &[&keys::RELEASE_URL],
        };
        for key in needed {
            if !self.layers.sets(key) {
                self.problem(
                    key,
                    format!("must be set for the {role} role ({})", key.env()),
                );
            }
        }
        let mut elsewhere = false;
        for key in [
            &keys::RELEASE_URL,
            &keys::FORUM_URL,
            &keys::CHAT_URL,
            &keys::NOTIFY_URL,
        ] {
            if !self.layers.sets(key) {
                continue;
            }
            elsewhere = true;
            if role == Role::All {
                let message = "contradicts running all services in this process";
                self.problem(key, message);
            }
        }
        if elsewhere && !self.layers.sets(&keys::SERVICE_SECRET) {
            let message = "must be set when another service has a URL (SLIPWAY_SERVICE_SECRET)";
            self.problem(&keys::SERVICE_SECRET, message);
        }
    }

    /// Replicas on one database must sign with the same keys: each making its own would
    /// only show when a token of one is refused by another.
    fn check_keys(&mut self, role: Role) {
        let signs = matches!(role, Role::All | Role::Release);
        let shared = self.layers.sets(&keys::MONGODB_URL);
        if signs && shared && !self.layers.sets(&keys::JWT_KEY_FILE) {
            let message =
                "must be set when mongodb_url is: replicas share their keys (SLIPWAY_JWT_KEY_FILE)";
            self.problem(&keys::JWT_KEY_FILE, message);
        }
    }

    /// Two listeners on one port would only show when the second is bound.
    fn check_listeners(&mut self, listeners: [(&Key, Option<SocketAddr>); 3]) {
        for (at, (key, address)) in listeners.iter().enumerate() {
            let clash = listeners[..at]
                .iter()
                .find(|(_, other)| overlap(*address, *other));
            if let Some((other, _)) = clash {
                self.problem(key, format!("is the same address as {}", other.name));
            }
        }
    }

    pub(super) fn problem(&mut self, key: &Key, message: impl Into<String>) {
        self.problems
            .push(Problem::new(self.layers.place(key), message));
    }
}

/// Whether the text of a key must not be shown. A URL may hold a password where none may be.
fn could_be_secret(key: &Key, text: &str) -> bool {
    key.secret || text.contains("://") && text.contains('@')
}

fn overlap(a: Option<SocketAddr>, b: Option<SocketAddr>) -> bool {
    let (Some(a), Some(b)) = (a, b) else {
        return false;
    };
    let same_host = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && a.port() != 0 && same_host
}
