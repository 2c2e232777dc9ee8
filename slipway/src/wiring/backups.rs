//! Backups that a process makes by itself: each is a directory in `SLIPWAY_BACKUP_DIR`, with the
//! role and the time in its name. The names say when the next one is due, also after a restart.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use slipway_runtime::{
    alarm::{self, Kind},
    life::Background,
};
use tokio_util::sync::CancellationToken;

use super::data_dir::backup;
use crate::{cli::Role, config::Settings, metrics as m};

/// The time in the names, in UTC.
const TIME: &str = "%Y%m%dT%H%M%SZ";

/// Maximum pause after a failed attempt. An incident that nobody reports for ten minutes counts as
/// over.
const RETRY: Duration = Duration::from_secs(5 * 60);

/// What the alarm is about.
const ABOUT: &str = "backup";

/// When a process makes backups, and where.
#[derive(Debug, Clone)]
pub(super) struct Backups {
    role: &'static str,
    data: PathBuf,
    dir: PathBuf,
    every: Duration,
    keep: usize,
}

impl Backups {
    /// The backups of a process with this configuration, if it makes any.
    pub(super) fn of(role: Role, settings: &Settings) -> Option<Self> {
        let dir = settings.backup_dir.clone().filter(|_| role.serves_grpc())?;
        if !settings.uses_data_dir() {
            tracing::warn!("no backups are made: MongoDB and Kafka have their own tools");
            return None;
        }
        Some(Self {
            role: role.as_str(),
            data: settings.data_dir.clone(),
            dir,
            every: settings.backup_every,
            keep: settings.backup_keep,
        })
    }

    /// Makes a backup whenever one is due, until shutdown.
    pub(super) fn spawn(self, background: &Background) {
        background.spawn("backup", move |stop| self.clone().run(stop));
    }

    async fn run(self, stop: CancellationToken) {
        let mut pause = self.pause(Timestamp::now());
        while stop
            .run_until_cancelled(tokio::time::sleep(pause))
            .await
            .is_some()
        {
            let (backups, going) = (self.clone(), stop.clone());
            let made = tokio::task::spawn_blocking(move || backups.make(&going)).await;
            let made = made.map_err(anyhow::Error::from).and_then(|made| made);
            pause = match made {
                Ok(()) => {
                    alarm::resolve(Kind::BackupFailed, ABOUT);
                    self.pause(Timestamp::now())
                }
                Err(_) if stop.is_cancelled() => return,
                Err(error) => {
                    let why = format!("{error:#}");
                    tracing::error!(error = why, "backup failed");
                    metrics::counter!(m::BACKUPS_FAILED).increment(1);
                    let summary = format!("The backup of {} failed: {why}", self.role);
                    alarm::raise(Kind::BackupFailed, ABOUT, &summary);
                    RETRY.min(self.every)
                }
            };
        }
    }

    /// The time until the next one is due.
    fn pause(&self, now: Timestamp) -> Duration {
        let newest = self
            .found()
            .into_iter()
            .filter(|(_, path)| backup::is_backup(path));
        let Some((time, _)) = newest.max() else {
            return Duration::ZERO;
        };
        metrics::gauge!(m::BACKUP_LAST_SUCCESS).set(time.as_second() as f64);
        // One from the future was made before the clock was set back.
        let age = Duration::try_from(now.duration_since(time)).unwrap_or_default();
        self.every.saturating_sub(age)
    }

    fn make(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        let begun = Instant::now();
        for (_, path) in self.found() {
            // Left by a process that was killed meanwhile.
            if !backup::is_backup(&path) {
                delete(&path)?;
            }
        }
        let name = format!("{}-{}", self.role, Timestamp::now().strftime(TIME));
        let to = self.dir.join(name);
        if let Err(error) = backup::create(&self.data, &to, &|| !stop.is_cancelled()) {
            // If this fails, the next attempt does it.
            let _ = delete(&to);
            return Err(error);
        }
        metrics::histogram!(m::BACKUP_SECONDS).record(begun.elapsed());
        tracing::info!(path = %to.display(), "backup made");
        let mut others = self.found();
        others.retain(|(_, path)| *path != to);
        others.sort();
        let too_many = (others.len() + 1).saturating_sub(self.keep);
        others
            .iter()
            .take(too_many)
            .try_for_each(|(_, path)| delete(path))
    }

    /// The backups of this role, also incomplete ones, with the times in their names.
    fn found(&self) -> Vec<(Timestamp, PathBuf)> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let backups = entries.filter_map(|entry| {
            let name = entry.file_name();
            let time = name.to_str()?.strip_prefix(self.role)?.strip_prefix('-')?;
            let time = DateTime::strptime(TIME, time).ok()?;
            let time = time.to_zoned(TimeZone::UTC).ok()?.timestamp();
            Some((time, entry.path()))
        });
        backups.collect()
    }
}

fn delete(path: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be deleted", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backups(dir: &Path) -> Backups {
        Backups {
            role: "all",
            data: dir.join("data"),
            dir: dir.join("backups"),
            every: Duration::from_secs(60),
            keep: 2,
        }
    }

    fn add(backups: &Backups, name: &str, is_complete: bool) {
        let path = backups.dir.join(name);
        fs::create_dir_all(&path).unwrap();
        if is_complete {
            fs::write(path.join(backup::SUMS), "").unwrap();
        }
    }

    #[test]
    fn one_is_due_by_the_newest_complete_one_of_the_role() {
        let dir = tempfile::tempdir().unwrap();
        let backups = backups(dir.path());
        let now = "2026-11-30T10:00:00Z".parse().unwrap();
        assert_eq!(backups.pause(now), Duration::ZERO);
        add(&backups, "release-20261130T100000Z", true);
        add(&backups, "all-20261130T095950Z", false);
        add(&backups, "all-by-hand", true);
        assert_eq!(backups.pause(now), Duration::ZERO);
        add(&backups, "all-20261130T095900Z", true);
        assert_eq!(backups.pause(now), Duration::ZERO);
        add(&backups, "all-20261130T095930Z", true);
        assert_eq!(backups.pause(now), Duration::from_secs(30));
        add(&backups, "all-20271130T095930Z", true);
        assert_eq!(backups.pause(now), backups.every, "the clock was set back");
    }

    #[test]
    fn one_that_fails_leaves_nothing_and_deletes_no_older_one() {
        let dir = tempfile::tempdir().unwrap();
        let backups = backups(dir.path());
        for name in [
            "all-20261130T095900Z",
            "all-20261130T095930Z",
            "all-20261130T095950Z",
        ] {
            add(&backups, name, true);
        }
        add(&backups, "all-20261130T095955Z", false);
        let error = backups.make(&CancellationToken::new()).unwrap_err();
        assert!(error.to_string().contains("no databases"), "{error}");
        assert_eq!(backups.found().len(), 3);
    }
}
