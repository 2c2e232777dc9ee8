//! Which text each key has, and where it comes from.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use slipway_plan::encoding;
use slipway_runtime::file;
use toml::de::{DeInteger, DeTable, DeValue};

use super::{
    ALL, Problem, find,
    keys::{Fallback, Key, meant_by},
};
use crate::cli::{Overrides, Role};

/// What begins every name of the program in the environment.
const PREFIX: &str = "SLIPWAY_";

/// Names in the environment, after the prefix, that belong to the client commands.
const CLIENT_NAMES: [&str; 5] = ["config", "url", "token", "username", "password"];

/// What begins the names, after the prefix, that belong to Slipway's own tests.
const TESTS_PREFIX: &str = "test_";

/// What the layers are collected from.
pub struct Sources {
    /// The file that was asked for. It must exist.
    pub file: Option<PathBuf>,
    /// The file that is read, if it is there, when none was asked for.
    pub default_file: PathBuf,
    /// The environment; only names that begin with `SLIPWAY_` matter.
    pub env: Vec<(OsString, OsString)>,
    /// Key names with the text of their flags.
    pub flags: BTreeMap<&'static str, String>,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set the key.
    Default,
    /// This file.
    File {
        /// The file.
        path: PathBuf,
        /// The number of the line in it.
        line: usize,
    },
    /// A `SLIPWAY_*` variable.
    Environment,
    /// The file that a `SLIPWAY_*_FILE` variable names, which contains a secret.
    SecretFile {
        /// The file.
        path: PathBuf,
    },
    /// A flag.
    Flag,
}

impl Origin {
    /// How the key is written there, for messages.
    fn place(&self, key: &Key) -> String {
        match self {
            Self::Default => key.name.to_owned(),
            Self::File { path, line } => {
                format!("{} in {}, line {line}", key.name, path.display())
            }
            Self::Environment => key.env(),
            Self::SecretFile { .. } => key.env_file(),
            Self::Flag => format!("--{}", key.flag()),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "file {}, line {line}", path.display()),
            Self::Environment => f.write_str("environment"),
            Self::SecretFile { path } => write!(f, "file {}", path.display()),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// What applies for a key. Not `Debug`: the text may be a secret.
#[derive(Clone)]
pub struct Effective {
    /// `None` if there is neither a value nor a default that is one.
    pub text: Option<String>,
    /// Who says so.
    pub origin: Origin,
}

/// The text of every key that is set, from the strongest layer that sets it, and what was
/// wrong with the layers themselves. Not `Debug`: there are secrets in it.
#[derive(Default)]
pub struct Layers {
    set: BTreeMap<&'static str, (String, Origin)>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Layers {
    /// The layers of this process: its environment, and `slipway.toml` in its working
    /// directory unless `file` is given.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>, flags: &Overrides) -> Self {
        Self::collect(Sources {
            file,
            default_file: "slipway.toml".into(),
            env: env::vars_os().collect(),
            flags: flags.0.clone(),
        })
    }

    /// Collects the layers, from the weakest to the strongest.
    #[must_use]
    pub fn collect(sources: Sources) -> Self {
        let mut layers = Self::default();
        layers.add_file(sources.file, sources.default_file);
        layers.add_environment(sources.env);
        for (name, text) in sources.flags {
            if let Some(key) = find(name) {
                layers.add(key, text, Origin::Flag);
            }
        }
        layers
    }

    /// What applies for `key`.
    #[must_use]
    pub fn effective(&self, key: &Key) -> Effective {
        match (self.set.get(key.name), key.fallback) {
            (Some((text, origin)), _) => Effective {
                text: Some(text.clone()),
                origin: origin.clone(),
            },
            (None, Fallback::Value(text)) => Effective {
                text: Some(text.to_owned()),
                origin: Origin::Default,
            },
            (None, Fallback::Unset { .. }) => Effective {
                text: None,
                origin: Origin::Default,
            },
        }
    }

    /// How `key` is written where it is set, for messages.
    pub(super) fn place(&self, key: &Key) -> String {
        self.effective(key).origin.place(key)
    }

    /// The line of the file in which `key` is set, if it is set there.
    pub(super) fn line(&self, key: &Key) -> Option<usize> {
        match self.effective(key).origin {
            Origin::File { line, .. } => Some(line),
            _ => None,
        }
    }

    /// Whether anybody set `key`.
    pub(super) fn sets(&self, key: &Key) -> bool {
        self.set.contains_key(key.name)
    }

    /// The names of the keys that somebody set.
    pub(super) fn set_keys(&self) -> BTreeSet<&'static str> {
        self.set.keys().copied().collect()
    }

    /// The keys that somebody set and that a process of `role` does not read, as they are
    /// written where they are set.
    #[must_use]
    pub fn unused(&self, role: Role) -> Vec<String> {
        let keys = ALL
            .iter()
            .filter(|key| self.sets(key) && !key.concerns(role));
        keys.map(|key| self.place(key)).collect()
    }

    /// What was wrong with the layers themselves.
    pub(super) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What is probably a mistake, but may as well be no setting of ours: unknown names in
    /// the environment, which Kubernetes and others fill too.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    fn add_file(&mut self, asked: Option<PathBuf>, default: PathBuf) {
        let is_asked = asked.is_some();
        let path = asked.unwrap_or(default);
        // A link that leads nowhere is a mistake, not a file that nobody wants.
        let must_exist = is_asked || fs::symlink_metadata(&path).is_ok();
        let bytes = match file::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => return,
            Err(error) => {
                let message = format!("cannot be read: {error}");
                self.problem(path.display(), message);
                return;
            }
        };
        let text = match encoding::decode(bytes) {
            Ok(text) => text,
            Err(error) => {
                self.problem(path.display(), error.to_string());
                return;
            }
        };
        let table = match DeTable::parse(&text) {
            Ok(table) => table.into_inner(),
            Err(error) => {
                self.problem(path.display(), not_toml(&text, &error));
                return;
            }
        };
        for (name, value) in table {
            let (line, _) = position(&text, name.span().start);
            self.add_from_file(&path, line, name.get_ref(), value.get_ref());
        }
    }

    fn add_from_file(&mut self, path: &Path, line: usize, name: &str, value: &DeValue<'_>) {
        let Some(key) = find(name) else {
            let message = match value {
                DeValue::Table(_) => format!(
                    "there is no table [{name}]; every key stands outside of tables, as in \
                     http_addr = \"127.0.0.1:8080\""
                ),
                _ => {
                    let names = ALL.iter().map(|key| key.name);
                    unknown(name, meant_by(name, names).map(str::to_owned))
                }
            };
            let place = format!("{}, line {line}", path.display());
            let problem = Problem::new(place, message).in_line(Some(line));
            self.problems.push(problem);
            return;
        };
        let origin = Origin::File {
            path: path.to_owned(),
            line,
        };
        let text = match value {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Boolean(value) if key.is_unquoted() => Some(value.to_string()),
            DeValue::Integer(number) if key.is_unquoted() => decimal(number),
            _ => None,
        };
        match text {
            Some(text) => self.add(key, text, origin),
            None => {
                let quotes = if key.is_unquoted() {
                    ""
                } else {
                    "text in quotes: "
                };
                let message = format!("must be {quotes}{}", key.expects());
                let problem = Problem::new(origin.place(key), message).in_line(Some(line));
                self.problems.push(problem);
            }
        }
    }

    fn add_environment(&mut self, env: Vec<(OsString, OsString)>) {
        let mut of_kubernetes = Vec::new();
        for (name, value) in env {
            let Ok(name) = name.into_string() else {
                continue;
            };
            let Some(known_as) = name.strip_prefix(PREFIX).map(str::to_lowercase) else {
                continue;
            };
            if CLIENT_NAMES.contains(&known_as.as_str()) || known_as.starts_with(TESTS_PREFIX) {
                continue;
            }
            if let Some(key) = secret_of_file(&known_as) {
                self.add_secret(key, value.into());
                continue;
            }
            let text = value.to_str();
            match (find(&known_as), text) {
                (Some(key), Some(text)) => self.add(key, text.to_owned(), Origin::Environment),
                (Some(_), None) => self.problem(name, "is not UTF-8"),
                (None, Some(text)) if is_of_kubernetes(&known_as, text) => of_kubernetes.push(name),
                (None, _) => {
                    let names = ALL.iter().map(|key| key.name).chain(CLIENT_NAMES);
                    let meant = meant_by(&known_as, names).map(in_environment);
                    self.warning(unknown(&name, meant));
                }
            }
        }
        if !of_kubernetes.is_empty() {
            of_kubernetes.sort_unstable();
            let keys = if of_kubernetes.len() == 1 {
                "key"
            } else {
                "keys"
            };
            let names = of_kubernetes.join(", ");
            self.warning(format!(
                "unknown {keys} {names}; Kubernetes sets such names for its services (a pod with \
                 enableServiceLinks: false has none)"
            ));
        }
    }

    /// Reads a secret from its file, without the line break that editors put at the end.
    fn add_secret(&mut self, key: &'static Key, path: PathBuf) {
        let text = file::read(&path).and_then(|text| {
            String::from_utf8(text).map_err(|_| io::Error::other("it is not UTF-8"))
        });
        let text = match text {
            Ok(text) => text.trim_end_matches(['\r', '\n']).to_owned(),
            Err(error) => {
                let message = format!("{} cannot be read: {error}", path.display());
                return self.problem(key.env_file(), message);
            }
        };
        self.add(key, text, Origin::SecretFile { path });
    }

    /// An empty value is refused: taken for "not set", it would silently choose the
    /// embedded mode where a template was not filled in.
    fn add(&mut self, key: &'static Key, text: String, origin: Origin) {
        if text.is_empty() {
            let message = "is empty; leave it out or give it a value";
            self.problem(origin.place(key), message);
        } else if self.is_said_twice(key, &origin) {
            self.problem(key.env_file(), format!("is set, and {} too", key.env()));
        } else {
            self.set.insert(key.name, (text, origin));
        }
    }

    /// Whether the environment has a secret both as a value and as a file.
    fn is_said_twice(&self, key: &Key, origin: &Origin) -> bool {
        let earlier = self.set.get(key.name).map(|(_, origin)| origin);
        matches!(
            (earlier, origin),
            (Some(Origin::Environment), Origin::SecretFile { .. })
                | (Some(Origin::SecretFile { .. }), Origin::Environment)
        )
    }

    fn warning(&mut self, message: String) {
        self.warnings.push(Problem::new("the environment", message));
    }

    fn problem(&mut self, place: impl fmt::Display, message: impl Into<String>) {
        self.problems.push(Problem::new(place.to_string(), message));
    }
}

/// The secret key whose file a name in the environment, after the prefix and in lower case, names.
fn secret_of_file(name: &str) -> Option<&'static Key> {
    find(name.strip_suffix("_file")?).filter(|key| key.secret)
}

/// A whole number of a file, which may be written as in `1_000` or `0x10`.
fn decimal(number: &DeInteger<'_>) -> Option<String> {
    let number = i64::from_str_radix(number.as_str(), number.radix());
    number.ok().map(|number| number.to_string())
}

/// Whether a name, after the prefix and in lower case, has the form of those that
/// Kubernetes gives each pod for each service: with a service called `slipway-release` there
/// are `SLIPWAY_RELEASE_SERVICE_HOST`, `SLIPWAY_RELEASE_PORT_50051_TCP_ADDR` and others.
///
/// `…_PORT` may be meant by a person, unless its value is a URL as Kubernetes writes it.
fn is_of_kubernetes(name: &str, value: &str) -> bool {
    let is_number = |part: &str| part.parse::<u16>().is_ok();
    let is_protocol = |part: &str| matches!(part, "tcp" | "udp" | "sctp");
    let parts: Vec<&str> = name.split('_').collect();
    let link = match parts.as_slice() {
        [.., "port", port, protocol] | [.., "port", port, protocol, "proto" | "port" | "addr"] => {
            is_number(port) && is_protocol(protocol)
        }
        [.., "port"] => value
            .split_once("://")
            .is_some_and(|(protocol, _)| is_protocol(protocol)),
        _ => false,
    };
    let service = name.strip_prefix("service_");
    let service = service.or_else(|| Some(name.rsplit_once("_service_")?.1));
    let service =
        service.is_some_and(|rest| rest == "host" || rest == "port" || rest.starts_with("port_"));
    link || service
}

/// The variable for what stands after the prefix, in lower case, in `name`.
fn in_environment(name: &str) -> String {
    format!("{PREFIX}{}", name.to_uppercase())
}

fn unknown(name: &str, meant: Option<String>) -> String {
    let suggestion = meant.map(|meant| format!("; did you mean {meant}?"));
    format!("unknown key {name}{}", suggestion.unwrap_or_default())
}

/// Where and why `text` is not TOML. The parser's own words quote the file, and with it perhaps
/// a secret.
fn not_toml(text: &str, error: &toml::de::Error) -> String {
    let what = match error.message() {
        "duplicate key" => "sets a key again that is set above",
        _ => "is not of the form key = \"text\", key = 5 or key = true",
    };
    let (number, column) = position(text, error.span().map_or(0, |span| span.start));
    let line = text.lines().nth(number - 1);
    let name = line.and_then(|line| line.split('=').next());
    let key = name.and_then(|name| find(name.trim()));
    let key = key.map_or(String::new(), |key| format!(" ({})", key.name));
    format!("line {number}, column {column}{key} {what}")
}

/// The line and the column of a byte, counted from 1.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}
