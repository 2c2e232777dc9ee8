//! What `slipway login` keeps: servers by name, each with its account and tokens, in one file that
//! only its owner can read.
//!
//! A refresh token works once, and a second use of it ends the session. So whoever refreshes holds
//! the lock of the file until the next token is in it, and whoever waited for the lock reads the
//! file again.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::text::escape;

const FILE: &str = "servers.json";
const LOCK: &str = "servers.lock";

/// Bytes of the file that are read at most.
const LONGEST: u64 = 1024 * 1024;

/// The bits of a file's mode that let others read or write it.
const OF_OTHERS: u32 = 0o077;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The environment does not say where it is.
    #[error("neither XDG_STATE_HOME nor HOME says where sessions are kept")]
    Nowhere,
    /// It cannot be read or written.
    #[error("{path} cannot be used: {source}")]
    Unusable {
        /// The file.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// Others may have read the tokens in it, or written them.
    #[error("{path} can be used by others: it must be yours alone (chmod 600)")]
    Exposed {
        /// The file.
        path: String,
    },
    /// Something else has written it.
    #[error("{path} is damaged: {source}; delete it, and sign in again")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// The servers that somebody is signed in to.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::commands) struct Servers {
    /// The name of the one that commands use unless they are told another.
    pub(in crate::commands) default: Option<String>,
    pub(in crate::commands) servers: BTreeMap<String, Account>,
}

/// An account at a server. Not `Debug`: it has tokens.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct Account {
    pub(in crate::commands) url: Url,
    pub(in crate::commands) username: String,
    pub(in crate::commands) token: String,
    /// None if the token is one for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) refresh_token: Option<String>,
}

/// The session of a command in the file.
pub(in crate::commands) struct Kept {
    pub(in crate::commands) store: Store,
    /// The name of the server.
    pub(in crate::commands) server: String,
    pub(in crate::commands) username: String,
}

/// The directory with the file.
#[derive(Debug, Clone)]
pub(in crate::commands) struct Store(PathBuf);

/// The file while nobody else writes it.
pub(in crate::commands) struct Locked {
    store: Store,
    pub(in crate::commands) servers: Servers,
    /// The lock ends with it.
    _lock: File,
}

impl Store {
    /// The one of this user.
    pub(in crate::commands) fn of_user() -> Result<Self, StoreError> {
        let state = absolute("XDG_STATE_HOME");
        let state = state.or_else(|| Some(absolute("HOME")?.join(".local/state")));
        let state = state.ok_or(StoreError::Nowhere)?;
        Ok(Self(state.join("slipway")))
    }

    /// What is in the file. Writers replace it, so it is whole without the lock.
    pub(in crate::commands) fn read(&self) -> Result<Servers, StoreError> {
        let path = self.0.join(FILE);
        let unusable = |source| unusable(&path, source);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Servers::default()),
            opened => opened.map_err(unusable)?,
        };
        let about = file.metadata().map_err(unusable)?;
        let is_mine = about.uid() == rustix::process::geteuid().as_raw();
        if !is_mine || about.mode() & OF_OTHERS != 0 {
            return Err(StoreError::Exposed { path: shown(&path) });
        }
        let mut bytes = Vec::new();
        let read = file.take(LONGEST).read_to_end(&mut bytes);
        read.map_err(unusable)?;
        serde_json::from_slice(&bytes).map_err(|source| StoreError::Damaged {
            path: shown(&path),
            source,
        })
    }

    /// Waits until nobody else writes the file, and reads it.
    pub(in crate::commands) async fn lock(&self) -> Result<Locked, StoreError> {
        let store = self.clone();
        let locked = tokio::task::spawn_blocking(move || {
            let path = store.0.join(LOCK);
            let lock = store.open_lock(&path);
            let lock = lock.and_then(|lock| lock.lock().map(|()| lock));
            let lock = lock.map_err(|source| unusable(&path, source))?;
            let servers = store.read()?;
            Ok(Locked {
                store,
                servers,
                _lock: lock,
            })
        });
        let interrupted = |source| unusable(&self.0, io::Error::other(source));
        locked.await.map_err(interrupted)?
    }

    fn open_lock(&self, path: &Path) -> io::Result<File> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        options.open(path)
    }

    fn write(&self, servers: &Servers) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(servers)?;
        let new = self.0.join(format!("{FILE}.new"));
        // Left by a process that was killed.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&new, self.0.join(FILE))?;
        File::open(&self.0)?.sync_all()
    }
}

impl Locked {
    /// Replaces the file.
    pub(in crate::commands) fn save(&self) -> Result<(), StoreError> {
        let written = self.store.write(&self.servers);
        written.map_err(|source| unusable(&self.store.0.join(FILE), source))
    }
}

/// The directory in a variable of the environment; one that is relative counts as absent.
fn absolute(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env::var_os(name)?);
    path.is_absolute().then_some(path)
}

fn unusable(path: &Path, source: io::Error) -> StoreError {
    StoreError::Unusable {
        path: shown(path),
        source,
    }
}

fn shown(path: &Path) -> String {
    escape(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn account(token: &str) -> Account {
        Account {
            url: "http://127.0.0.1:8080/".parse().unwrap(),
            username: "ada".into(),
            token: token.into(),
            refresh_token: None,
        }
    }

    #[tokio::test]
    async fn what_is_saved_is_read_and_only_its_owner_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store(dir.path().join("state/slipway"));
        assert!(store.read().unwrap().servers.is_empty());
        let mut locked = store.lock().await.unwrap();
        locked.servers.servers.insert("home".into(), account("t"));
        locked.save().unwrap();
        let read = store.read().unwrap();
        assert!(read.servers["home"] == account("t"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&store.0), 0o700);
        assert_eq!(mode(&store.0.join(FILE)), 0o600);
    }

    #[tokio::test]
    async fn a_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store(dir.path().to_owned());
        store.lock().await.unwrap().save().unwrap();
        let open = fs::Permissions::from_mode(0o640);
        fs::set_permissions(store.0.join(FILE), open).unwrap();
        let error = store.read().err().unwrap();
        assert!(matches!(error, StoreError::Exposed { .. }), "{error}");
        assert!(store.lock().await.is_err());
    }

    #[tokio::test]
    async fn a_damaged_file_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store(dir.path().to_owned());
        store.lock().await.unwrap().save().unwrap();
        fs::write(store.0.join(FILE), "{").unwrap();
        let error = store.read().err().unwrap();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    }

    #[tokio::test]
    async fn writers_take_turns_and_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store(dir.path().to_owned());
        let writers = (0..20).map(|number: u32| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut locked = store.lock().await.unwrap();
                let name = number.to_string();
                locked.servers.servers.insert(name, account("t"));
                locked.save().unwrap();
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        assert_eq!(store.read().unwrap().servers.len(), 20);
    }
}
