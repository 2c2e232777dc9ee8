//! Layers, precedence, and everything that can be wrong.

use std::{fs, time::Duration};

use tempfile::TempDir;

use super::*;
use crate::cli::Role;

/// Files, environment and flags of one test.
struct Case {
    dir: TempDir,
    sources: Sources,
}

impl Case {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let default_file = dir.path().join("slipway.toml");
        let sources = Sources {
            file: None,
            default_file,
            env: Vec::new(),
            flags: std::collections::BTreeMap::new(),
        };
        Self { dir, sources }
    }

    fn file(self, text: &str) -> Self {
        fs::write(self.dir.path().join("slipway.toml"), text).unwrap();
        self
    }

    fn env(mut self, name: &str, text: &str) -> Self {
        self.sources.env.push((name.into(), text.into()));
        self
    }

    fn flag(mut self, name: &'static str, text: &str) -> Self {
        self.sources.flags.insert(name, text.to_owned());
        self
    }

    fn settings(self, role: Role) -> Result<Settings, Vec<String>> {
        // The directory lives until the layers have been read.
        let layers = Layers::collect(self.sources);
        drop(self.dir);
        layers.settings(Some(role)).map_err(|invalid| {
            let problems = invalid.problems.iter();
            problems.map(ToString::to_string).collect()
        })
    }

    fn problems(self, role: Role) -> Vec<String> {
        self.settings(role).err().unwrap_or_default()
    }
}

const SECRET: &str = "correct-horse-battery-staple-0123456789";

#[test]
fn the_defaults_are_a_valid_configuration_of_the_whole_mesh() {
    let settings = Case::new().settings(Role::All).unwrap();
    assert_eq!(settings.data_dir.to_str(), Some("./slipway-data"));
    assert_eq!(settings.http_addr.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.token_ttl, Duration::from_secs(8 * 3600));
    assert_eq!(settings.activity_retention.as_secs(), 90 * 86_400);
    assert_eq!(settings.drain_deadline, Duration::from_secs(8));
    assert_eq!(settings.admin_username.to_string(), "admin");
    assert!(settings.registration.open && !settings.registration.anybody_as_admin);
    assert_eq!(settings.registration.per_hour.get(), 30);
    assert!(settings.admin_password.is_none());
    assert!(settings.jwt_key_file.is_none());
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
    let file = "log = \"error\"\nadmin_username = \"from-file\"\ntoken_ttl = \"1h\"";
    let settings = Case::new()
        .file(file)
        .env("SLIPWAY_ADMIN_USERNAME", "from-env")
        .env("SLIPWAY_TOKEN_TTL", "2h")
        .flag("token_ttl", "3h")
        .settings(Role::All)
        .unwrap();
    assert_eq!(settings.log, "error");
    assert_eq!(settings.admin_username.to_string(), "from-env");
    assert_eq!(settings.token_ttl, Duration::from_secs(3 * 3600));
    assert_eq!(settings.admin_email.to_string(), "admin@localhost");
}

#[test]
fn a_model_is_shown_3_to_20_messages() {
    let with = |count| Case::new().env("SLIPWAY_CHAT_HISTORY", count);
    for count in ["3", "20"] {
        assert!(with(count).settings(Role::All).is_ok(), "{count}");
    }
    for count in ["2", "21", "five"] {
        let problems = with(count).problems(Role::All);
        let expected = "SLIPWAY_CHAT_HISTORY: must be a whole number from 3 to 20";
        assert!(problems[0].starts_with(expected), "{problems:?}");
    }
}

#[test]
fn a_file_that_was_asked_for_must_exist_and_replaces_the_default_one() {
    let mut case = Case::new().file("log = \"error\"");
    let other = case.dir.path().join("other.conf");
    case.sources.file = Some(other.clone());
    fs::write(&other, "allow_admin_registration = true").unwrap();
    let settings = Layers::collect(case.sources).settings(None).unwrap();
    assert_eq!(settings.log, "info");
    assert!(settings.registration.anybody_as_admin);

    let mut case = Case::new();
    case.sources.file = Some("/nowhere/slipway.toml".into());
    let problems = case.problems(Role::All);
    assert!(problems[0].starts_with("/nowhere/slipway.toml: cannot be read"));
}

#[test]
fn a_password_of_digits_in_the_environment_stays_as_it_is() {
    let settings = Case::new()
        .env("SLIPWAY_ADMIN_PASSWORD", "00123456")
        .settings(Role::All)
        .unwrap();
    assert_eq!(settings.admin_password.unwrap().into_inner(), "00123456");
}

#[test]
fn everything_that_is_wrong_is_reported_at_once() {
    let problems = Case::new()
        .file("data-dir = \"x\"\nlog = 3\n[gateway]\nport = 1")
        .env("SLIPWAY_HTTP_ADDR", "8080")
        .flag("drain_deadline", "2m")
        .problems(Role::Gateway);
    let expected = [
        "unknown key data-dir; did you mean data_dir?",
        "there is no table [gateway]",
        "log in ",
        "SLIPWAY_HTTP_ADDR: must be an IP address and a port",
        "; it is \"8080\"",
        "--drain-deadline: must be a duration from 1s to 60s",
        "release_url: must be set for the gateway role",
        "forum_url: must be set for the gateway role",
        "chat_url: must be set for the gateway role",
        "notify_url: must be set for the gateway role",
    ];
    for text in expected {
        let found = problems.iter().filter(|p| p.contains(text)).count();
        assert_eq!(found, 1, "{text} in {problems:#?}");
    }
    // The value of one is in the same sentence.
    assert_eq!(problems.len(), expected.len() - 1, "{problems:#?}");
}

#[test]
fn what_could_be_a_secret_is_not_shown() {
    for (name, text) in [
        ("SLIPWAY_SMTP_URL", "smtp://ada:hunter2@mail.example:99999"),
        (
            "SLIPWAY_MONGODB_URL",
            "mongodb://ada:hunter2@db.example:99999",
        ),
        (
            "SLIPWAY_MONGODB_URL",
            "mongodb://ada:hunter2@db.example/?retries=3",
        ),
        ("SLIPWAY_PUBLIC_URL", "http://ada:hunter2@slipway.example"),
        ("SLIPWAY_WEBHOOK_SECRET", "hunter2"),
    ] {
        let problems = Case::new().env(name, text).problems(Role::All).join("\n");
        assert!(
            problems.contains(name) && !problems.contains("hunter2"),
            "{problems}"
        );
        assert_eq!(
            problems.contains("\"retries\""),
            text.contains("retries"),
            "{problems}"
        );
    }
}

#[test]
fn an_empty_value_is_not_taken_for_an_absent_one() {
    let problems = Case::new()
        .env("SLIPWAY_RELEASE_URL", "")
        .problems(Role::All);
    assert_eq!(
        problems,
        ["SLIPWAY_RELEASE_URL: is empty; leave it out or give it a value"]
    );
}

#[test]
fn names_of_the_client_commands_are_not_unknown() {
    let mut case = Case::new();
    for name in ["CONFIG", "URL", "TOKEN", "USERNAME", "PASSWORD"] {
        case = case.env(&format!("SLIPWAY_{name}"), "x");
    }
    assert!(case.env("PATH", "/bin").settings(Role::All).is_ok());
}

#[test]
fn unknown_names_in_the_environment_are_warnings_that_name_the_key_that_was_meant() {
    let case = Case::new()
        .env("SLIPWAY_COLOUR", "blue")
        .env("SLIPWAY_TOKEN_TLL", "1h")
        .env("SLIPWAY_TOKN", "hunter2")
        .env("SLIPWAY_HTTP_PORT", "8080");
    let layers = Layers::collect(case.sources);
    assert!(layers.settings(Some(Role::All)).is_ok());
    let warnings: Vec<_> = layers.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "the environment: unknown key SLIPWAY_COLOUR",
            "the environment: unknown key SLIPWAY_TOKEN_TLL; did you mean SLIPWAY_TOKEN_TTL?",
            "the environment: unknown key SLIPWAY_TOKN; did you mean SLIPWAY_TOKEN?",
            "the environment: unknown key SLIPWAY_HTTP_PORT; did you mean SLIPWAY_HTTP_ADDR?",
        ]
    );
}

#[test]
fn names_that_kubernetes_sets_are_one_warning_and_suggest_nothing() {
    let names = [
        "SLIPWAY_HTTP_PORT",
        "SLIPWAY_HTTP_PORT_8080_TCP_ADDR",
        "SLIPWAY_PORT",
        "SLIPWAY_RELEASE_PORT",
        "SLIPWAY_RELEASE_PORT_50051_TCP",
        "SLIPWAY_RELEASE_PORT_50051_TCP_PROTO",
        "SLIPWAY_RELEASE_SERVICE_PORT",
        "SLIPWAY_RELEASE_SERVICE_PORT_GRPC",
        "SLIPWAY_SERVICE_HOST",
        "SLIPWAY_SERVICE_PORT",
        "SLIPWAY_SERVICE_PORT_HTTP",
    ];
    let mut case = Case::new();
    for name in names {
        case = case.env(name, "tcp://10.0.0.1:50051");
    }
    let layers = Layers::collect(case.sources);
    let settings = layers.settings(Some(Role::All)).unwrap();
    assert!(settings.release_url.is_none());
    let [warning] = layers.warnings() else {
        panic!("{:?}", layers.warnings());
    };
    assert!(warning.message.contains(&names.join(", ")), "{warning}");
    assert!(!warning.message.contains("did you mean"), "{warning}");
    assert!(!warning.message.contains("10.0.0.1"), "{warning}");
}

#[cfg(unix)]
#[test]
fn what_is_not_text_in_an_unknown_name_is_no_error() {
    use std::os::unix::ffi::OsStringExt as _;
    let mut case = Case::new();
    let value = std::ffi::OsString::from_vec(b"\xff".to_vec());
    case.sources.env.push(("SLIPWAY_COLOUR".into(), value));
    assert!(case.settings(Role::All).is_ok());
}

#[test]
fn numbers_and_truth_values_need_no_quotes_in_the_file() {
    let settings = Case::new()
        .file("mail_rate = 60\nchat_queue = 1_000\nallow_admin_registration = true")
        .settings(Role::All)
        .unwrap();
    assert_eq!(settings.mail_rate.get(), 60);
    assert_eq!(settings.chat_queue, 1_000);
    assert!(settings.registration.anybody_as_admin);
}

#[test]
fn a_value_of_another_kind_is_told_what_to_write() {
    for (line, expected) in [
        ("mail_rate = 6.5", "must be a whole number from 1 to 100000"),
        ("mail_rate = -1", "must be a whole number from 1 to 100000"),
        (
            "mail_rate = true",
            "must be a whole number from 1 to 100000",
        ),
        ("kafka_tls = 1", "must be true or false"),
        ("token_ttl = 8", "must be text in quotes: a duration"),
        ("http_addr = 8080", "must be text in quotes: an IP address"),
        ("log = true", "must be text in quotes: a filter"),
        (
            "alert_emails = [\"a@b.example\"]",
            "must be text in quotes: email addresses separated by commas",
        ),
        (
            "smtp_url = { host = \"mail.example\" }",
            "must be text in quotes: an smtp://",
        ),
    ] {
        let problems = Case::new().file(line).problems(Role::All).join("\n");
        assert!(problems.contains(expected), "{line}: {problems}");
    }
}

#[test]
fn a_syntax_error_is_placed_by_file_line_and_column_without_quoting_the_file() {
    for text in [
        "log = \"info\"\nadmin_password = \"hunter2",
        "log = \"info\"\nadmin_password = hunter2",
        "log = \"info\"\nhunter2",
        "log = \"info\"\nlog = \"hunter2\"",
        "log = \"info\"\n[hunter2",
        "log = \"info\"\nmail_rate = 007",
    ] {
        let problems = Case::new().file(text).problems(Role::All);
        let [problem] = problems.as_slice() else {
            panic!("{text}: {problems:?}");
        };
        assert!(problem.contains("slipway.toml"), "{problem}");
        assert!(problem.contains("line 2, column "), "{text}: {problem}");
        assert!(!problem.contains("hunter2"), "{problem}");
        assert!(!problem.contains("TOML parse error"), "{problem}");
        let sets_key = text.contains("admin_password");
        assert_eq!(
            problem.contains(" (admin_password) "),
            sets_key,
            "{problem}"
        );
    }
}

#[test]
fn a_file_may_begin_with_a_byte_order_mark_or_be_utf_16() {
    let text = "\u{feff}log = \"error\"";
    let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [text.as_bytes().to_vec(), utf_16] {
        let case = Case::new();
        fs::write(case.dir.path().join("slipway.toml"), bytes).unwrap();
        assert_eq!(case.settings(Role::All).unwrap().log, "error");
    }
    let case = Case::new();
    fs::write(case.dir.path().join("slipway.toml"), b"log = \"\xff\"").unwrap();
    let problems = case.problems(Role::All);
    assert!(
        problems[0].contains("slipway.toml: is not UTF-8"),
        "{problems:?}"
    );
}

#[test]
fn roles_know_which_services_they_need() {
    let split = || Case::new().env("SLIPWAY_SERVICE_SECRET", SECRET);
    let release = |case: Case| case.env("SLIPWAY_RELEASE_URL", "http://release:50051");
    let forum = |case: Case| case.env("SLIPWAY_FORUM_URL", "http://forum:50051");
    let chat = |case: Case| case.env("SLIPWAY_CHAT_URL", "http://chat:50051");
    let notify = |case: Case| case.env("SLIPWAY_NOTIFY_URL", "http://notify:50051");
    assert!(Case::new().settings(Role::Release).is_ok());
    for role in [Role::Forum, Role::Chat, Role::Notify] {
        assert!(release(split()).settings(role).is_ok());
        assert_eq!(split().problems(role).len(), 1);
    }
    let all = notify(chat(forum(release(split()))));
    assert!(all.settings(Role::Gateway).is_ok());
    assert_eq!(release(split()).problems(Role::Gateway).len(), 3);
    let contradiction = &release(split()).problems(Role::All)[0];
    assert!(contradiction.contains("contradicts running all services"));
    let unprotected = &release(Case::new()).problems(Role::Notify)[0];
    assert!(unprotected.starts_with("service_secret: must be set"));
}

#[test]
fn replicas_on_one_database_are_told_their_keys() {
    let shared = || Case::new().env("SLIPWAY_MONGODB_URL", "mongodb://db");
    for role in [Role::All, Role::Release] {
        let problem = &shared().problems(role)[0];
        assert!(
            problem.starts_with("jwt_key_file: must be set"),
            "{problem}"
        );
        let told = shared().env("SLIPWAY_JWT_KEY_FILE", "keys.pem");
        let settings = told.settings(role).unwrap();
        assert!(settings.uses_data_dir(), "the bus is embedded");
    }
    let notify = shared()
        .env("SLIPWAY_RELEASE_URL", "http://release:50051")
        .env("SLIPWAY_SERVICE_SECRET", SECRET)
        .env("SLIPWAY_KAFKA_BROKERS", "kafka:9092");
    let settings = notify.settings(Role::Notify).unwrap();
    assert!(
        !settings.uses_data_dir(),
        "it verifies, and keeps nothing here"
    );
}

#[test]
fn an_authority_of_the_mail_server_needs_a_mail_server_with_tls() {
    for url in [None, Some("smtp://mail.example")] {
        let case = Case::new().env("SLIPWAY_SMTP_CA_FILE", "/nowhere/ca.pem");
        let case = match url {
            Some(url) => case.env("SLIPWAY_SMTP_URL", url),
            None => case,
        };
        let problems = case.problems(Role::Notify).join("\n");
        assert!(problems.contains("when smtp_ca_file is set"), "{problems}");
        assert!(
            problems.contains("its file /nowhere/ca.pem cannot be read"),
            "{problems}"
        );
    }
}

#[test]
fn two_listeners_do_not_share_an_address_unless_the_system_chooses() {
    let same = |port: u16| {
        Case::new()
            .env("SLIPWAY_HTTP_ADDR", &format!("0.0.0.0:{port}"))
            .env("SLIPWAY_OPS_ADDR", &format!("localhost:{port}"))
    };
    let problems = same(9000).problems(Role::All);
    assert_eq!(
        problems,
        ["SLIPWAY_OPS_ADDR: is the same address as http_addr"]
    );
    assert!(same(0).settings(Role::All).is_ok());
    assert!(same(9000).settings(Role::Release).is_ok());
}

#[test]
fn no_secret_is_shown_by_debug_or_by_any_problem() {
    let settings = Case::new()
        .env("SLIPWAY_ADMIN_PASSWORD", SECRET)
        .env("SLIPWAY_SERVICE_SECRET", SECRET)
        .env("SLIPWAY_MONGODB_URL", &format!("mongodb://ada:{SECRET}@db"))
        .env("SLIPWAY_JWT_KEY_FILE", "keys.pem")
        .env("SLIPWAY_SMTP_URL", "smtps://ada:hunter2@mail.example")
        .settings(Role::All)
        .unwrap();
    let shown = format!("{settings:?}");
    assert!(
        !shown.contains(SECRET) && !shown.contains("hunter2"),
        "{shown}"
    );

    let malformed = Case::new()
        .env("SLIPWAY_SERVICE_SECRET", "hunter2")
        .env("SLIPWAY_RELEASE_URL", "http://user:hunter2@release")
        .env("SLIPWAY_MONGODB_URL", "mongodb://user:hunter2@a b")
        .env("SLIPWAY_SMTP_URL", "smtp://user:hunter2@mail?tls=maybe")
        .flag("admin_password", "hunter2");
    let broken = Case::new().file("log = \"info\"\nadmin_password = \"hunter2");
    let number = Case::new().file("admin_password = 12345678");
    for (case, place) in [
        (
            malformed,
            "--admin-password: must have 8 to 128 characters, blanks at the ends not counted",
        ),
        (broken, "line 2"),
        (number, "must be text in quotes"),
    ] {
        let problems = case.problems(Role::Release).join("\n");
        assert!(problems.contains(place), "{problems}");
        assert!(!problems.contains("hunter2"), "{problems}");
        assert!(!problems.contains("12345678"), "{problems}");
    }
}

#[cfg(unix)]
#[test]
fn what_is_not_text_is_named_but_not_shown() {
    use std::os::unix::ffi::OsStringExt as _;
    let mut case = Case::new();
    let value = std::ffi::OsString::from_vec(b"hunter2\xff".to_vec());
    case.sources
        .env
        .push(("SLIPWAY_ADMIN_PASSWORD".into(), value));
    let problems = case.problems(Role::All);
    assert_eq!(problems, ["SLIPWAY_ADMIN_PASSWORD: is not UTF-8"]);
}

#[test]
fn the_first_administrator_obeys_the_rules_of_every_account() {
    for (name, text, message) in [
        (
            "SLIPWAY_ADMIN_PASSWORD",
            "password",
            "must not be close to one of the most common passwords",
        ),
        ("SLIPWAY_ADMIN_PASSWORD", "        ", "must not be blank"),
        (
            "SLIPWAY_ADMIN_PASSWORD",
            "Admin@LOCALHOST",
            "must not be close to the username or the email address",
        ),
        (
            "SLIPWAY_ADMIN_PASSWORD",
            "a password\n",
            "must not end with a line break: take it out",
        ),
        (
            "SLIPWAY_ADMIN_USERNAME",
            "system",
            "must be 3 to 40 of a-z A-Z 0-9 . _ -, the first and the last a letter or digit, and \
             no name that Slipway uses itself, such as system; it is \"system\"",
        ),
    ] {
        let problems = Case::new().env(name, text).problems(Role::All);
        assert_eq!(problems, [format!("{name}: {message}")]);
    }
    let legal = Case::new().env("SLIPWAY_ADMIN_PASSWORD", "correct horse battery staple");
    assert!(legal.settings(Role::All).is_ok());
}

#[test]
fn no_secret_has_a_control_character() {
    for key in keys::ALL.iter().filter(|key| key.secret) {
        for text in ["a secret of many characters, 0123456789\r\n", "a\tsecret"] {
            let problems = Case::new().env(&key.env(), text).problems(Role::All);
            let problem = problems.join("\n");
            assert!(
                problem.contains(&format!("{}: must not", key.env())),
                "{problem}"
            );
            assert!(problem.contains("control character") || problem.contains("line break"));
            assert!(!problem.contains("0123456789"), "{problem}");
        }
    }
}

#[test]
fn a_closed_registration_makes_nobody_an_administrator() {
    let problems = Case::new()
        .env("SLIPWAY_REGISTRATION", "closed")
        .env("SLIPWAY_ALLOW_ADMIN_REGISTRATION", "true")
        .problems(Role::All);
    assert_eq!(
        problems,
        ["SLIPWAY_ALLOW_ADMIN_REGISTRATION: contradicts registration = closed"]
    );
}
