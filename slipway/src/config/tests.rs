//! Layers, precedence, and everything that can be wrong.

use std::{fs, time::Duration};

use slipway_rpc::access::Keyring;
use tempfile::TempDir;

use super::*;
use crate::cli::Role;

mod environment;
mod file;
mod rules;
mod secrets;

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

    /// With a file of keys that sign tokens.
    fn signing(self) -> Self {
        let path = self.dir.path().join("keys.pem");
        Keyring::load_or_create(&path).unwrap();
        self.env("SLIPWAY_JWT_KEY_FILE", path.to_str().unwrap())
    }

    fn settings(self, role: Role) -> Result<Settings, Vec<String>> {
        let settings = Layers::collect(self.sources).settings(Some(role));
        settings.map_err(|invalid| {
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
    assert_eq!(settings.token_ttl, Duration::from_secs(15 * 60));
    assert_eq!(settings.session_ttl, Duration::from_secs(30 * 86_400));
    assert_eq!(settings.activity_retention.as_secs(), 90 * 86_400);
    assert_eq!(settings.drain_deadline, Duration::from_secs(8));
    assert_eq!(settings.admin_username.to_string(), "admin");
    assert!(settings.registration && !settings.allow_admin_registration);
    assert_eq!(settings.registration_rate.get(), 30);
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
fn what_is_wrong_in_the_file_is_reported_by_lines() {
    let problems = Case::new()
        .file("token_ttl = \"soon\"\nzzz = 1\nhttp_addr = \"8080\"\naaa = 1\nlog = 3")
        .env("SLIPWAY_OPS_ADDR", "here")
        .problems(Role::All);
    let lines = problems.iter().map(|problem| {
        let line = problem.split(", line ").nth(1);
        line.and_then(|rest| rest.split(':').next()).unwrap_or("")
    });
    assert_eq!(
        lines.collect::<Vec<_>>(),
        ["1", "2", "3", "4", "5", ""],
        "{problems:#?}"
    );
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
        "--drain-deadline: must be a duration from 1s to 1m",
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
