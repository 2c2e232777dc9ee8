//! A cache of the releases that this process read or stored last. Only commands use it.
//!
//! A command writes on condition that the release is still at the revision it decided on. So it
//! may decide on a cached release: if that is stale, the write fails and the command loads the
//! release. A refusal writes nothing, so it counts only if it was decided on a release that was
//! just loaded. Reads do not use the cache.

use std::sync::Arc;

use quick_cache::{Weighter, sync::Cache};

use crate::{
    commands::Target,
    release::{Release, ReleaseId, TaskId},
};

/// Approximate bytes of the cached releases.
const CAPACITY: u64 = 8 * 1024 * 1024;

/// Approximate bytes of a task without its texts.
const TASK: usize = 300;

/// Tasks in the index from task to release.
const TASKS: usize = 20_000;

/// Releases as they were when this process last read or stored them.
pub(crate) struct ReleaseCache {
    releases: Cache<ReleaseId, Arc<Release>, Size>,
    /// The release of each task. It never changes.
    places: Cache<TaskId, ReleaseId>,
}

#[derive(Clone)]
struct Size;

impl Weighter<ReleaseId, Arc<Release>> for Size {
    fn weight(&self, _: &ReleaseId, release: &Arc<Release>) -> u64 {
        (release.text() + (release.tasks.len() + 1) * TASK) as u64
    }
}

impl Default for ReleaseCache {
    fn default() -> Self {
        Self {
            releases: Cache::with_weighter(1_000, CAPACITY, Size),
            places: Cache::new(TASKS),
        }
    }
}

impl ReleaseCache {
    /// The cached release, if there is one.
    pub(crate) fn get(&self, target: Target) -> Option<Arc<Release>> {
        let id = match target {
            Target::Release(id) => id,
            Target::Task(task) => self.places.get(&task)?,
        };
        self.releases.get(&id)
    }

    /// Caches a release that was read.
    pub(crate) fn read(&self, release: &Arc<Release>) {
        for task in &release.tasks {
            self.places.insert(task.id, release.id);
        }
        self.releases.insert(release.id, Arc::clone(release));
    }

    /// Caches a release that was stored; removes one that was deleted.
    pub(crate) fn stored(&self, release: Release) {
        match release.deleted_at {
            None => self.releases.insert(release.id, Arc::new(release)),
            Some(_) => self.forget(release.id),
        }
    }

    /// Removes a release that is or may be stale.
    pub(crate) fn forget(&self, id: ReleaseId) {
        self.releases.remove(&id);
    }
}
