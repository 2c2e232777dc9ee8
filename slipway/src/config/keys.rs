//! The table of all configuration keys: the one place where they are named, explained and
//! given their defaults.

/// One configuration key. In files it is called by its name, in the environment and on the
/// command line by what is derived from it.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// For example `data_dir`.
    pub name: &'static str,
    /// What applies when it is not set.
    pub fallback: Fallback,
    /// What it is for.
    pub help: &'static str,
    /// What a value must be; completes "must be …".
    pub expects: &'static str,
    /// Whether its value must not be shown.
    pub secret: bool,
}

/// What applies when a key is not set.
#[derive(Debug, Clone, Copy)]
pub enum Fallback {
    /// This value.
    Value(&'static str),
    /// No value; the text says what is done without one.
    Described(&'static str),
}

impl Fallback {
    /// The default as shown to people.
    #[must_use]
    pub fn text(&self) -> &'static str {
        match self {
            Self::Value(text) | Self::Described(text) => text,
        }
    }
}

impl Key {
    /// Its name in the environment, for example `SLIPWAY_DATA_DIR`.
    #[must_use]
    pub fn env(&self) -> String {
        format!("SLIPWAY_{}", self.name.to_uppercase())
    }

    /// Whether its value is a whole number, which a file may have without quotes. (Not of
    /// a secret: a password of digits is text.)
    pub(super) fn is_number(&self) -> bool {
        self.expects.starts_with("a whole number")
    }

    /// Whether its value is `true` or `false`.
    pub(super) fn is_boolean(&self) -> bool {
        self.expects == "true or false"
    }

    /// Its name as a flag, without the dashes in front, for example `data-dir`.
    #[must_use]
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }
}

/// The key called `name`, if there is one.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    ALL.iter().find(|key| key.name == name)
}

/// Which of `names` was probably meant by `name`, which is none of them.
pub(super) fn meant_by<'a>(
    name: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    /// Below this likeness (1 is equal) a suggestion confuses more than it helps.
    const LIKENESS: f64 = 0.85;
    names
        .into_iter()
        .map(|known| (strsim::jaro_winkler(&name.replace('-', "_"), known), known))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

/// Writes the table once and makes of it a constant for each key and [`ALL`].
macro_rules! keys {
    ($($constant:ident = $name:literal, $fallback:expr, $help:literal, $expects:literal $(, $secret:ident)?;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Key = Key {
                name: $name,
                fallback: $fallback,
                help: $help,
                expects: $expects,
                secret: keys!(@secret $($secret)?),
            };
        )*
        /// Every key, in the order in which they are shown.
        pub const ALL: &[Key] = &[$($constant),*];
    };
    (@secret) => { false };
    (@secret secret) => { true };
}

use Fallback::{Described, Value};

keys! {
    DATA_DIR = "data_dir", Value("./slipway-data"),
        "Where the embedded storage and the keys are", "a path";
    HTTP_ADDR = "http_addr", Value("127.0.0.1:8080"),
        "Where the gateway listens", "an IP address and a port such as 127.0.0.1:8080, or localhost:0";
    GRPC_ADDR = "grpc_addr", Value("127.0.0.1:50051"),
        "Where the gRPC services of this process listen", "an IP address and a port such as 127.0.0.1:50051, or localhost:0";
    OPS_ADDR = "ops_addr", Value("127.0.0.1:9464"),
        "Where metrics and health are served", "an IP address and a port such as 127.0.0.1:9464, or localhost:0";
    MAX_CONNECTIONS = "max_connections", Value("25000"),
        "Client connections that one process has open at the same time; fewer if the limit of open files is low", "a whole number from 16 to 1000000";
    PER_CLIENT_PERCENT = "per_client_percent", Value("50"),
        "Part of the connections and of the requests in flight that one client address may have, in percent: 100 behind a reverse proxy, from which all clients seem to come", "a whole number from 1 to 100";
    STREAMS_PER_USER = "streams_per_user", Value("20"),
        "Streams of activity that one account has open at the same time, over REST and again over gRPC", "a whole number from 1 to 100000";
    MONGODB_URL = "mongodb_url", Described("embedded SQLite"),
        "Where MongoDB is; it may hold a user and a password", "a mongodb:// or mongodb+srv:// URL such as mongodb://user:password@db.example:27017, with a port of 1 to 65535 if it has one", secret;
    KAFKA_BROKERS = "kafka_brokers", Described("the embedded bus"),
        "Some of Kafka's brokers; they name the others", "addresses with ports such as kafka-1:9092,kafka-2:9092";
    KAFKA_TLS = "kafka_tls", Described("no"),
        "Whether to speak TLS with Kafka", "true or false";
    KAFKA_CA_FILE = "kafka_ca_file", Described("what the system trusts"),
        "PEM file with the authorities that Kafka's certificates may come from", "a path";
    KAFKA_CERT_FILE = "kafka_cert_file", Described("none"),
        "PEM file with the certificate to show to Kafka", "a path";
    KAFKA_KEY_FILE = "kafka_key_file", Described("none"),
        "PEM file with the key of that certificate", "a path";
    KAFKA_SASL_MECHANISM = "kafka_sasl_mechanism", Described("none"),
        "How to sign in to Kafka", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512";
    KAFKA_SASL_USERNAME = "kafka_sasl_username", Described("none"),
        "Whom to sign in to Kafka as", "a name";
    KAFKA_SASL_PASSWORD = "kafka_sasl_password", Described("none"),
        "The password to sign in to Kafka with", "a password", secret;
    RELEASE_URL = "release_url", Described("in process"),
        "Where the release service is", "http or https URLs without a path, separated by commas alone, such as http://release:50051";
    FORUM_URL = "forum_url", Described("in process"),
        "Where the forum service is", "http or https URLs without a path, separated by commas alone, such as http://forum:50051";
    CHAT_URL = "chat_url", Described("in process"),
        "Where the chat service is", "http or https URLs without a path, separated by commas alone, such as http://chat:50051";
    NOTIFY_URL = "notify_url", Described("in process"),
        "Where the notification service is", "http or https URLs without a path, separated by commas alone, such as http://notify:50051";
    TLS_CERT_FILE = "tls_cert_file", Described("gRPC is not encrypted"),
        "PEM file with the certificate that this process shows to other processes, and those between it and the CA", "a path";
    TLS_KEY_FILE = "tls_key_file", Described("gRPC is not encrypted"),
        "PEM file with that certificate's private key", "a path";
    TLS_CA_FILE = "tls_ca_file", Described("no https URLs"),
        "PEM file with the CA that services with an https URL are verified with", "a path";
    TLS_CLIENT_CA_FILE = "tls_client_ca_file", Described("callers need no certificate"),
        "PEM file with the CA that callers of this process's gRPC services must have a certificate of", "a path";
    ADMIN_USERNAME = "admin_username", Value("admin"),
        "Name of the first administrator, made when there is none", "3 to 40 of a-z A-Z 0-9 . _ -, the first and the last a letter or digit, and no name that Slipway uses itself, such as system";
    ADMIN_EMAIL = "admin_email", Value("admin@localhost"),
        "Email address of the first administrator", "an email address";
    ADMIN_PASSWORD = "admin_password", Described("random, printed once"),
        "Password of the first administrator", "8 to 128 characters, and not close to one of the most common passwords", secret;
    REGISTRATION = "registration", Value("open"),
        "Who may create accounts: anybody, or administrators only", "open or closed";
    REGISTRATION_RATE = "registration_rate", Value("30"),
        "Accounts that one network address may register in an hour; administrators may create any number", "a whole number from 1 to 1000000";
    ALLOW_ADMIN_REGISTRATION = "allow_admin_registration", Value("false"),
        "Whether anybody may register as an administrator (for demonstrations only)", "true or false";
    JWT_KEY_FILE = "jwt_key_file", Described("generated in the data directory"),
        "PEM file with the keys that sign and verify tokens", "a path";
    TOKEN_TTL = "token_ttl", Value("8h"),
        "How long a token is valid", "a duration from 1m to 30d, such as 8h";
    SERVICE_SECRET = "service_secret", Described("none"),
        "What the processes of one mesh know each other by", "at least 32 characters", secret;
    SMTP_URL = "smtp_url", Described("mails are files in the data directory"),
        "Where the mail server is; it may hold a user and a password", "an smtp:// or smtps:// URL such as smtp://user:password@mail.example:587?tls=required, with a port of 1 to 65535 if it has one; ?tls=required and ?tls=opportunistic (STARTTLS) are the only parameters", secret;
    SMTP_CA_FILE = "smtp_ca_file", Described("the authorities of the internet"),
        "PEM file with the CA that alone the mail server's certificate is verified with", "a path";
    MAIL_FROM = "mail_from", Value("Slipway <slipway@localhost>"),
        "Whom mails are from", "an email address with ASCII alone before the @, and with a name if you like, such as Slipway <slipway@example.com>";
    MAIL_RATE = "mail_rate", Value("50"),
        "Mails a second that one process sends to one domain, if there is a mail server", "a whole number from 1 to 100000";
    MAIL_CONNECTIONS = "mail_connections", Value("16"),
        "Mails that one process sends at the same time, each over a connection of its own", "a whole number from 1 to 500";
    MAIL_GATHER = "mail_gather", Value("10m"),
        "How long mails to one person about one thing are counted: after the third, the rest waits until then and is one mail", "a duration from 1s to 1h, such as 10m";
    ALERT_EMAILS = "alert_emails", Described("every administrator"),
        "Who is mailed when something is wrong with the system", "email addresses separated by commas such as ops@example.com,oncall@example.com";
    WEBHOOK_SECRET = "webhook_secret", Described("there is no POST /hooks/…"),
        "What those show who send alerts, or say whether mails arrived", "at least 16 visible ASCII characters without spaces", secret;
    PUBLIC_URL = "public_url", Described("http:// and where HTTP is served"),
        "Where users find Slipway: links in mails begin with it, and under https the cookie is Secure", "an http or https URL without a user, a query or a fragment, such as https://slipway.example.com, or with a path if a proxy has one for Slipway";
    OLLAMA_URL = "ollama_url", Described("the built-in assistant"),
        "Where Ollama is, whose model answers questions", "an http or https URL such as http://127.0.0.1:11434";
    OLLAMA_MODEL = "ollama_model", Value("llama3.2"),
        "The model that answers", "the name of a model that Ollama has, such as llama3.2 or qwen3:8b";
    OLLAMA_NUM_CTX = "ollama_num_ctx", Value("8192"),
        "The model's context window, in tokens", "a whole number from 2048 to 131072";
    OLLAMA_TIMEOUT = "ollama_timeout", Value("2m"),
        "How long an answer may take", "a duration from 1s to 4m, such as 2m";
    CHAT_HISTORY = "chat_history", Value("5"),
        "How many earlier messages of a conversation a model is shown", "a whole number from 3 to 20";
    CHAT_CONCURRENCY = "chat_concurrency", Value("4"),
        "How many answers are written at the same time", "a whole number from 1 to 1000";
    CHAT_QUEUE = "chat_queue", Value("64"),
        "How many questions may wait for their turn", "a whole number from 0 to 10000";
    ACTIVITY_RETENTION = "activity_retention", Value("90d"),
        "How long the wall of activity is kept", "a duration of 8d at least, such as 90d (the bus keeps events 7 days, and an entry must outlive its event)";
    NOTIFICATION_RETENTION = "notification_retention", Value("90d"),
        "How long notifications, and what became of them, are kept", "a duration of 8d at least, such as 90d (an event that is delivered again is recognised by its notifications)";
    LOG = "log", Value("info"),
        "What is logged", "a filter such as info or info,slipway_bus=debug";
    LOG_FORMAT = "log_format", Described("human on a terminal, else json"),
        "How log lines look", "human or json";
    ACCESS_LOG = "access_log", Value("false"),
        "Whether each request is logged when its answer begins: method, route, status, duration, client address, account and trace; never a query or a header", "true or false";
    DRAIN_DEADLINE = "drain_deadline", Value("8s"),
        "How long requests in flight, and then mails being sent, may take when the process is told to stop", "a duration from 1s to 60s, such as 8s";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> impl Iterator<Item = &'static str> {
        ALL.iter().map(|key| key.name)
    }

    #[test]
    fn a_mistyped_name_finds_the_one_that_was_meant() {
        for (typed, meant) in [
            ("data-dir", "data_dir"),
            ("htp_addr", "http_addr"),
            ("token_tll", "token_ttl"),
            ("admin_pasword", "admin_password"),
        ] {
            assert_eq!(meant_by(typed, names()), Some(meant));
        }
        assert_eq!(meant_by("colour", names()), None);
    }

    #[test]
    fn names_are_unique_and_flat() {
        for (at, key) in ALL.iter().enumerate() {
            let plain = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(key.name.chars().all(plain), "{}", key.name);
            assert!(ALL[..at].iter().all(|other| other.name != key.name));
        }
    }
}
