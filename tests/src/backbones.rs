//! Runs a real Kafka and a MongoDB-compatible server for one test, with the scripts in
//! `backbones/`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tempfile::TempDir;
use tokio::{
    process::Command,
    sync::{Mutex, MutexGuard},
};

use crate::Options;

/// Held by the one test that has servers: they use the memory and cores of several processes.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Both servers, each with its own data; stopped when dropped, and their data deleted.
pub struct Backbones {
    /// Kafka's address.
    pub kafka: String,
    /// MongoDB's URL.
    pub mongodb: String,
    options: Options,
    dir: TempDir,
    /// Dropped last, so that the next test's servers start after these have stopped.
    _alone: MutexGuard<'static, ()>,
}

impl Backbones {
    /// Starts both. `None`, with a message on standard error, if tests on real servers are not
    /// enabled.
    ///
    /// # Errors
    /// If they cannot be started.
    pub async fn start() -> anyhow::Result<Option<Self>> {
        let asked = |name: &str| std::env::var_os(name).is_some();
        if !asked("SLIPWAY_TEST_KAFKA") || !asked("SLIPWAY_TEST_MONGODB") {
            if asked("SLIPWAY_TEST_REQUIRED") {
                bail!("SLIPWAY_TEST_KAFKA and SLIPWAY_TEST_MONGODB are required");
            }
            eprintln!("SKIPPED: SLIPWAY_TEST_KAFKA and SLIPWAY_TEST_MONGODB are not set");
            return Ok(None);
        }
        Self::run().await.map(Some)
    }

    /// Starts both.
    ///
    /// # Errors
    /// If they cannot be started.
    pub async fn run() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let (kafka, mongodb) = (dir.path().join("kafka"), dir.path().join("mongodb"));
        let alone = ALONE.lock().await;
        tokio::try_join!(
            script("kafka", "start", &kafka),
            script("mongodb", "start", &mongodb),
        )?;
        let (kafka, mongodb) = (
            script("kafka", "address", &kafka).await?,
            script("mongodb", "url", &mongodb).await?,
        );
        let options = Options::default()
            .env("SLIPWAY_KAFKA_BROKERS", &kafka)
            .env("SLIPWAY_MONGODB_URL", &mongodb);
        Ok(Self {
            kafka,
            mongodb,
            options: options.signing(dir.path())?,
            dir,
            _alone: alone,
        })
    }

    /// Makes Kafka `start`, `stop`, `kill` or `restart`; its address and data stay the same.
    ///
    /// # Errors
    /// If the script fails.
    pub async fn kafka(&self, command: &str) -> anyhow::Result<()> {
        self.script("kafka", command).await
    }

    /// The address where Kafka requires TLS and a password, and the file with its CA certificate.
    ///
    /// # Errors
    /// If the script fails.
    pub async fn secure_kafka(&self) -> anyhow::Result<(String, PathBuf)> {
        let dir = self.dir.path().join("kafka");
        Ok((script("kafka", "secure", &dir).await?, dir.join("ca.pem")))
    }

    /// The address where Kafka requires a client certificate, and the folder with the CA's `ca.pem`
    /// and a client's `client.crt` and `client.key`.
    ///
    /// # Errors
    /// If the script fails.
    pub async fn mutual_kafka(&self) -> anyhow::Result<(String, PathBuf)> {
        let dir = self.dir.path().join("kafka");
        Ok((script("kafka", "mutual", &dir).await?, dir))
    }

    /// Makes MongoDB `start`, `stop`, `kill` or `restart`; its address and data stay the same.
    ///
    /// # Errors
    /// If the script fails.
    pub async fn mongodb(&self, command: &str) -> anyhow::Result<()> {
        self.script("mongodb", command).await
    }

    async fn script(&self, server: &str, command: &str) -> anyhow::Result<()> {
        script(server, command, &self.dir.path().join(server)).await?;
        Ok(())
    }

    /// Options of a process that uses them; all such processes sign tokens with the same key.
    #[must_use]
    pub fn options(&self) -> Options {
        self.options.clone()
    }
}

impl Drop for Backbones {
    fn drop(&mut self) {
        for server in ["kafka", "mongodb"] {
            // If a server does not stop, nothing more can be done.
            let _ = std::process::Command::new(path(server))
                .arg("kill")
                .arg(self.dir.path().join(server))
                .output();
        }
    }
}

/// The class path with Kafka's jars, which include its clients.
///
/// # Errors
/// If the script fails.
pub async fn kafka_classpath() -> anyhow::Result<String> {
    let output = Command::new(path("kafka"))
        .arg("classpath")
        .output()
        .await?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn path(server: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../backbones")
        .join(server)
}

async fn script(server: &str, command: &str, dir: &Path) -> anyhow::Result<String> {
    let output = Command::new(path(server)).arg(command).arg(dir).output();
    let output = output
        .await
        .with_context(|| format!("backbones/{server}"))?;
    if !output.status.success() {
        bail!(
            "{server} {command}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
