//! The databases of a process's services: MongoDB if its URL is set, or else the data directory.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use slipway_mongo as mongo;
use slipway_mongo::{Client, StorageError};
use slipway_rpc::access::Keyring;
use slipway_sqlite as sqlite;

use super::{CLOSE_DEADLINE, data_dir::DataDir, embedded};
use crate::{
    UsageError,
    config::{Secret, Settings},
};

/// The opened databases.
pub(super) struct Storage {
    mongo: Option<Client>,
    data: Option<DataDir>,
}

impl Storage {
    /// Locks the data directory if these services use it, and connects to MongoDB if it is
    /// configured. If MongoDB is unavailable the start fails; there is no fallback.
    pub(super) async fn open(settings: &Settings, services: &[&str]) -> anyhow::Result<Self> {
        let mut databases = Vec::new();
        if settings.mongodb_url.is_none() {
            databases.extend(services);
        }
        if settings.kafka_brokers.is_none() {
            databases.push("bus");
        }
        let data = settings
            .uses_data_dir()
            .then(|| DataDir::take(&settings.data_dir, &databases))
            .transpose()?;
        let mongo = match &settings.mongodb_url {
            Some(url) => Some(connect(url).await?),
            None => None,
        };
        Ok(Self { mongo, data })
    }

    /// The data directory.
    pub(super) fn data(&self) -> anyhow::Result<&DataDir> {
        let data = self.data.as_ref();
        data.context("the embedded mode has a data directory")
    }

    /// The data directory, to be held until the process ends. Call it after the databases have been
    /// opened.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn into_lock(self) -> anyhow::Result<Option<DataDir>> {
        if let Some(data) = &self.data {
            data.note_opened()?;
        }
        Ok(self.data)
    }

    /// The keys that sign tokens: from the configured file, which must exist, or from the data
    /// directory, where the first start creates them.
    pub(super) fn keys(&self, settings: &Settings) -> anyhow::Result<Arc<Keyring>> {
        let keys = match &settings.jwt_key_file {
            Some(path) => {
                Keyring::load(path).map_err(|error| UsageError(format!("jwt_key_file: {error}")))?
            }
            None => {
                let data = self.data()?;
                let path = data.file("jwt-key.pem");
                if !data.is_new() && !path.exists() {
                    tracing::warn!(
                        path = %path.display(),
                        "THE KEY THAT SIGNS TOKENS IS MISSING, and a new one is created: all \
                         tokens are invalid, and all users must sign in again"
                    );
                }
                Keyring::load_or_create(&path)?
            }
        };
        Ok(Arc::new(keys))
    }

    /// The stores of release-svc.
    pub(super) async fn release(&self) -> anyhow::Result<release_svc::Stores> {
        use release_svc::store::DATABASE;
        match &self.mongo {
            Some(client) => opened(release_svc::Stores::mongo(client, DATABASE).await),
            None => embedded::release_stores(self.data()?),
        }
    }

    /// The stores of forum-svc.
    pub(super) async fn forum(&self) -> anyhow::Result<forum_svc::Stores> {
        use forum_svc::store::DATABASE;
        match &self.mongo {
            Some(client) => opened(forum_svc::Stores::mongo(client, DATABASE).await),
            None => embedded::forum_stores(self.data()?),
        }
    }

    /// The stores of chat-svc.
    pub(super) async fn chat(&self) -> anyhow::Result<chat_svc::Stores> {
        use chat_svc::store::DATABASE;
        match &self.mongo {
            Some(client) => opened(chat_svc::Stores::mongo(client, DATABASE).await),
            None => embedded::chat_stores(self.data()?),
        }
    }

    /// The stores of notify-svc.
    pub(super) async fn notify(&self) -> anyhow::Result<notify_svc::Stores> {
        use notify_svc::store::DATABASE;
        match &self.mongo {
            Some(client) => opened(notify_svc::Stores::mongo(client, DATABASE).await),
            None => embedded::notify_stores(self.data()?),
        }
    }
}

/// Does `work` with the stores of release-svc in a process that serves nothing. Embedded databases
/// must exist, and no server may use them.
///
/// # Errors
/// If they cannot be used.
pub(crate) async fn with_release_stores<T>(
    settings: &Settings,
    work: impl AsyncFnOnce(&release_svc::Stores) -> T,
) -> anyhow::Result<T> {
    if let Some(url) = &settings.mongodb_url {
        let client = connect(url).await?;
        let stores = release_svc::Stores::mongo(&client, release_svc::store::DATABASE);
        return Ok(work(&opened(stores.await)?).await);
    }
    let place = settings.data_dir.display();
    ensure!(
        settings.data_dir.join("release.db").exists(),
        "{place} has no data of Slipway; name its data directory with --data-dir"
    );
    let data = DataDir::take(&settings.data_dir, &["release"])?;
    let stores = embedded::release_stores(&data)?;
    data.note_opened()?;
    let done = work(&stores).await;
    // While the stores are there: databases that nobody has any more are closed behind our back,
    // perhaps after they have been noted.
    sqlite::close_all(CLOSE_DEADLINE).await;
    drop(stores);
    data.note_closed()?;
    Ok(done)
}

async fn connect(url: &Secret) -> anyhow::Result<Client> {
    let client = mongo::connect(url.expose()).await;
    Ok(client.map_err(|error| UsageError(format!("mongodb_url: {error}")))?)
}

/// Turns a refusal into a usage error: the database is reachable, but its state or the configured
/// user is wrong, and the operator has to fix it.
fn opened<T>(stores: Result<T, StorageError>) -> anyhow::Result<T> {
    stores.map_err(|error| {
        if error.is_refusal() {
            UsageError(format!("MongoDB cannot be used: {error}")).into()
        } else {
            error.into()
        }
    })
}
