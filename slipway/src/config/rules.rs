//! From layers to settings: every value is read, and then what the values need of each other is
//! checked.

use std::net::SocketAddr;

use release_svc::identity::NewPassword;
use slipway_rpc::access::Keyring;
use slipway_runtime::telemetry::logs;

use super::{
    Invalid, KEYS, Key, Layers, Problem, Secret,
    format::{self, Format, Wrong},
    settings::{Settings, Values},
};
use crate::cli::Role;

impl Layers {
    /// How the log looks, also if the rest of the configuration cannot be used.
    #[must_use]
    pub fn log_format(&self) -> logs::Format {
        let text = self.effective(&KEYS.log_format).text;
        text.and_then(|text| format::log_format().parse(&text).ok())
            .unwrap_or_else(logs::Format::for_stderr)
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
        let values = Values::read(&mut reader);
        reader.check(&values, role);
        match values.complete(self.set_keys()) {
            Some(settings) if reader.problems.is_empty() => Ok(settings),
            _ => {
                let mut problems = reader.problems;
                // A stable sort: what is not in the file comes last, as it was read.
                problems.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
                Err(Invalid { problems })
            }
        }
    }
}

impl Settings {
    /// The password of the first administrator, if one is set.
    ///
    /// # Errors
    /// Why no account may have it; not for checked settings.
    pub fn admin_password(&self) -> Result<Option<NewPassword>, &'static str> {
        let (username, email) = (
            self.admin_username.to_string(),
            self.admin_email.to_string(),
        );
        let password = self.admin_password.as_ref();
        let password = password.map(|text| NewPassword::new(text.expose(), &username, &email));
        password.transpose()
    }
}

/// Reads values and notes everything that is wrong.
pub(super) struct Reader<'a> {
    pub(super) layers: &'a Layers,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    /// `None` if the key has no value, or one that cannot be used, which is noted.
    pub(super) fn read<T>(&mut self, key: &Key, format: &Format<T>) -> Option<T> {
        let text = self.text(key)?;
        let message = match format.parse(&text) {
            Ok(value) => return Some(value),
            Err(Wrong::Because(message)) => message,
            Err(Wrong::Unexpected) if could_be_secret(key, &text) => {
                format!("must be {}", key.expects())
            }
            Err(Wrong::Unexpected) => format!("must be {}; it is {text:?}", key.expects()),
        };
        self.problem(key, message);
        None
    }

    /// The text of a key. A secret with a control character is noted and has none: it was
    /// read from a file with its line break, and nobody could ever show it again.
    fn text(&mut self, key: &Key) -> Option<String> {
        let text = self.layers.effective(key).text?;
        let has_control = |text: &str| text.chars().any(char::is_control);
        if !key.secret || !has_control(&text) {
            return Some(text);
        }
        let message = match has_control(text.trim_end_matches(['\r', '\n'])) {
            true => "must not contain control characters such as line breaks",
            false => "must not end with a line break; remove it",
        };
        self.problem(key, message);
        None
    }

    pub(super) fn problem(&mut self, key: &Key, message: impl Into<String>) {
        let problem = Problem::new(self.layers.place(key), message);
        self.problems.push(problem.in_line(self.layers.line(key)));
    }

    fn check(&mut self, values: &Values, role: Option<Role>) {
        self.check_kafka(values);
        self.check_tls(values);
        self.check_smtp(values);
        self.check_admin(values);
        self.check_registration(values);
        self.check_provider(values);
        if let Some(role) = role {
            self.check_redirects(role);
            self.check_services(role);
            self.check_signing_keys(values, role);
            self.check_listeners(values, role);
        }
    }

    /// The rules for every account's password hold for the first administrator's too.
    fn check_admin(&mut self, values: &Values) {
        let (Some(username), Some(email)) = (&values.admin_username, &values.admin_email) else {
            return;
        };
        let password = values.admin_password.as_ref().map(Secret::expose);
        let checked =
            password.map(|text| NewPassword::new(text, &username.to_string(), &email.to_string()));
        if let Some(Err(rule)) = checked {
            self.problem(&KEYS.admin_password, rule);
        }
    }

    fn check_registration(&mut self, values: &Values) {
        let closed = values.registration == Some(false);
        if closed && values.allow_admin_registration == Some(true) {
            let message = "contradicts registration = closed";
            self.problem(&KEYS.allow_admin_registration, message);
        }
    }

    /// What sign-in with an identity provider needs.
    fn check_provider(&mut self, values: &Values) {
        let issuer = &KEYS.oidc_issuer;
        let is_set = self.layers.sets(issuer);
        if is_set && !self.layers.sets(&KEYS.oidc_client_id) {
            let message = "must be set when oidc_issuer is";
            self.problem(&KEYS.oidc_client_id, message);
        }
        let others = [
            &KEYS.oidc_client_id,
            &KEYS.oidc_client_secret,
            &KEYS.oidc_ca_file,
            &KEYS.oidc_role_claim,
        ];
        let other = others.into_iter().find(|key| self.layers.sets(key));
        if let Some(other) = other.filter(|_| !is_set) {
            self.problem(issuer, format!("must be set when {} is", other.name));
        }
        if self.layers.sets(&KEYS.oidc_admin_role) && !self.layers.sets(&KEYS.oidc_role_claim) {
            let message = "must be set when oidc_admin_role is";
            self.problem(&KEYS.oidc_role_claim, message);
        }
        if values.passwords == Some(false) && !is_set {
            let message = "must be on without oidc_issuer: only one person could sign in";
            self.problem(&KEYS.passwords, message);
        }
    }

    /// Another process serves HTTP, so the release service cannot know where the provider sends
    /// browsers back to.
    fn check_redirects(&mut self, role: Role) {
        let is_needed = role == Role::Release && self.layers.sets(&KEYS.oidc_issuer);
        if is_needed && !self.layers.sets(&KEYS.public_url) {
            let message = "must be set for the release role when oidc_issuer is \
                           (SLIPWAY_PUBLIC_URL)";
            self.problem(&KEYS.public_url, message);
        }
    }

    /// Which other services a role needs, and what comes with having them elsewhere.
    fn check_services(&mut self, role: Role) {
        let urls = [
            &KEYS.release_url,
            &KEYS.forum_url,
            &KEYS.chat_url,
            &KEYS.notify_url,
        ];
        // Without the notification service only alerts get lost, so only the gateway needs it.
        let needs = |key: &Key| match role {
            Role::Gateway => true,
            Role::Forum | Role::Chat | Role::Notify => key.name == KEYS.release_url.name,
            Role::All | Role::Release => false,
        };
        let mut is_remote = false;
        for key in urls {
            if self.layers.sets(key) {
                is_remote |= key.concerns(role);
                if role == Role::All {
                    let message = "contradicts running all services in this process";
                    self.problem(key, message);
                }
            } else if needs(key) {
                let message = format!("must be set for the {role} role ({})", key.env());
                self.problem(key, message);
            }
        }
        if is_remote && !self.layers.sets(&KEYS.service_secret) {
            let message = "must be set when another service has a URL (SLIPWAY_SERVICE_SECRET)";
            self.problem(&KEYS.service_secret, message);
        }
    }

    /// Replicas on one database must sign with the same keys: each making its own would
    /// only show when a token of one is refused by another. Only who signs has their file.
    fn check_signing_keys(&mut self, values: &Values, role: Role) {
        if !matches!(role, Role::All | Role::Release) {
            return;
        }
        if let Some(path) = &values.jwt_key_file {
            if let Err(error) = Keyring::load(path) {
                self.problem(&KEYS.jwt_key_file, error.to_string());
            }
            return;
        }
        if self.layers.sets(&KEYS.mongodb_url) && !self.layers.sets(&KEYS.jwt_key_file) {
            let message = "must be set when mongodb_url is: all replicas sign with the same keys \
                           (SLIPWAY_JWT_KEY_FILE)";
            self.problem(&KEYS.jwt_key_file, message);
        }
    }

    /// Two listeners on one port would only show when the second is bound.
    fn check_listeners(&mut self, values: &Values, role: Role) {
        let listeners = [
            (
                &KEYS.http_addr,
                values.http_addr.filter(|_| role.serves_http()),
            ),
            (
                &KEYS.grpc_addr,
                values.grpc_addr.filter(|_| role.serves_grpc()),
            ),
            (&KEYS.ops_addr, values.ops_addr),
        ];
        for (at, (key, address)) in listeners.iter().enumerate() {
            let clash = listeners[..at]
                .iter()
                .find(|(_, other)| overlap(*address, *other));
            if let Some((other, _)) = clash {
                self.problem(key, format!("is the same address as {}", other.name));
            }
        }
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
