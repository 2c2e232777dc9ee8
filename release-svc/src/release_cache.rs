//! The releases that this process has seen last, for its commands.
//!
//! A command is decided on a release and stored at the revision it was decided on. So it may
//! be decided on what was seen before, without reading it again: if that is old, the write
//! is refused. What is not written proves nothing: only a refusal that was decided on what
//! was just read is one. So is every answer to who asks what a release is like.

use std::sync::Arc;

use quick_cache::{Weighter, sync::Cache};

use crate::{
    commands::Target,
    release::{Release, ReleaseId, TaskId},
};

/// Bytes of the releases that are kept, about.
const CAPACITY: u64 = 8 * 1024 * 1024;

/// Bytes of a task without its texts, about.
const TASK: usize = 300;

/// Releases that have this number of tasks in all are found by their tasks.
const TASKS: usize = 20_000;

/// Releases as they were when this process last read or stored them.
pub(crate) struct ReleaseCache {
    releases: Cache<ReleaseId, Arc<Release>, Size>,
    /// Which release a task is in. That does not change.
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
    /// The release as it was last seen, if it was.
    pub(crate) fn get(&self, target: Target) -> Option<Arc<Release>> {
        let id = match target {
            Target::Release(id) => id,
            Target::Task(task) => self.places.get(&task)?,
        };
        self.releases.get(&id)
    }

    /// A release that was read.
    pub(crate) fn read(&self, release: &Arc<Release>) {
        for task in &release.tasks {
            self.places.insert(task.id, release.id);
        }
        self.releases.insert(release.id, Arc::clone(release));
    }

    /// A release that was stored.
    pub(crate) fn stored(&self, release: Release) {
        self.releases.insert(release.id, Arc::new(release));
    }

    /// What was seen of a release is old, or may be.
    pub(crate) fn forget(&self, id: ReleaseId) {
        self.releases.remove(&id);
    }
}
