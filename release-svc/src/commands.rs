//! Runs commands on the release aggregate: load, decide, save, and retry if another request has
//! changed the release meanwhile. Releases in the process's `release_cache` are not loaded.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use prost::Message;
use slipway_bus::Actor;
use slipway_rpc::{
    access::Principal,
    error::{Fault, Kind},
};
use slipway_runtime::{
    clock::SharedClock,
    contention::{MAX_ATTEMPTS, Turns, back_off},
    telemetry::spans::STEPS,
};
use slipway_store::{
    due::DueWake,
    outbox::Wake,
    receipts::{self, Repeatable},
};
use tracing::Instrument as _;

use crate::{
    identity::UserId,
    metrics as m,
    release::{
        Decision, Refusal, Release, ReleaseDraft, ReleaseEvent, ReleaseId, StaleRule, TaskId,
        events,
    },
    release_cache::ReleaseCache,
    store::{Commit, ReleaseStore, SaveError, Stores},
};

/// `Retry-After` for a release with too many unpublished events.
const BACKLOG_RETRY: Duration = Duration::from_secs(10);

/// Runs commands on releases.
pub struct Commands {
    pub(crate) stores: Stores,
    pub(crate) clock: SharedClock,
    pub(crate) wake: Wake,
    pub(crate) seen: ReleaseCache,
    pub(crate) turns: Turns,
    pub(crate) stale: StaleRule,
    pub(crate) due: DueWake,
}

/// Why a command changed nothing.
#[derive(Debug)]
pub(crate) enum NotChanged {
    /// A rule refuses it.
    Refused(Refusal),
    /// It could not be run; it may succeed later.
    Failed(Fault),
}

impl From<Fault> for NotChanged {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

impl From<NotChanged> for Fault {
    fn from(not_changed: NotChanged) -> Self {
        match not_changed {
            NotChanged::Refused(refusal) => refuse(refusal),
            NotChanged::Failed(fault) => fault,
        }
    }
}

/// The release that a command changes.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// The release itself.
    Release(ReleaseId),
    /// The release of a task.
    Task(TaskId),
}

/// The caller of a command, and how a repeated request is recognised.
pub struct CommandContext {
    /// The caller.
    pub principal: Arc<Principal>,
    /// Set if the request has an idempotency key.
    pub repeatable: Option<Repeatable>,
}

impl CommandContext {
    fn actor(&self) -> Actor {
        Actor::User {
            id: self.principal.user_id,
            username: self.principal.username.clone(),
        }
    }

    /// The caller's account.
    #[must_use]
    pub fn user_id(&self) -> UserId {
        UserId(self.principal.user_id)
    }
}

impl Commands {
    /// The release store, for reading.
    #[must_use]
    pub fn releases(&self) -> &ReleaseStore {
        &self.stores.releases
    }

    /// Plans a release and answers with `respond`.
    ///
    /// # Errors
    /// A refusal, or the store's error.
    pub async fn create<R: Message>(
        &self,
        draft: ReleaseDraft,
        by: &CommandContext,
        respond: impl Fn(&Decision) -> R + Send + Sync,
    ) -> Result<R, Fault> {
        let now = self.clock.now();
        let creator = crate::identity::UserRef {
            id: by.user_id(),
            username: by.principal.username.clone(),
        };
        let decision = Release::plan(draft, creator, now).map_err(refuse)?;
        let response = respond(&decision);
        let commit = commit(&decision, by, &response, now);
        let insert = self.stores.releases.insert(&decision.release, commit);
        match insert.await {
            Ok(()) => {
                self.due.stored(decision.release.due_at());
                self.done("release.created", decision.release.id);
                Ok(response)
            }
            Err(SaveError::Store(error)) => Err(error.into()),
            Err(error) => Err(Fault::unavailable("The database", error)),
        }
    }

    /// Changes a release by `decide` and answers with `respond`. `decide` may run several times,
    /// each time on the current release. If it changes nothing, nothing is stored.
    ///
    /// # Errors
    /// A refusal, `CONTENDED` if other requests keep changing the release, or the store's error.
    pub async fn change<R: Message>(
        &self,
        target: Target,
        by: &CommandContext,
        decide: impl Fn(&Release, Timestamp) -> Result<Decision, Refusal> + Send + Sync,
        respond: impl Fn(&Decision) -> R + Send + Sync,
    ) -> Result<R, Fault> {
        let with = |decision: &Decision, now| {
            let response = respond(decision);
            let commit = commit(decision, by, &response, now);
            (response, commit)
        };
        Ok(self.decide(target, decide, with).await?)
    }

    /// Changes a release by `decide`, not for a user but by the system. Returns it as it is then.
    ///
    /// # Errors
    /// See [`Self::change`].
    pub(crate) async fn change_by_system(
        &self,
        target: Target,
        receipt: Option<&Repeatable>,
        decide: impl Fn(&Release, Timestamp) -> Result<Decision, Refusal> + Send + Sync,
    ) -> Result<Release, NotChanged> {
        let with = |decision: &Decision, now| {
            let commit = Commit {
                events: events::of(decision, &Actor::System, now),
                receipt: receipt.map(|request| request.receipt(Vec::new(), now)),
            };
            (decision.release.clone(), commit)
        };
        self.decide(target, decide, with).await
    }

    /// Changes a release by `decide`. `with` makes the result, and what is committed with it.
    async fn decide<R: Send>(
        &self,
        target: Target,
        decide: impl Fn(&Release, Timestamp) -> Result<Decision, Refusal> + Send + Sync,
        with: impl Fn(&Decision, Timestamp) -> (R, Commit) + Send + Sync,
    ) -> Result<R, NotChanged> {
        let (mut seen, mut turn) = (self.seen.get(target), None);
        for attempt in 1..=MAX_ATTEMPTS {
            let now = self.clock.now();
            let (before, is_loaded) = match seen.take() {
                Some(seen) => (seen, false),
                None => (self.load(target).await?, true),
            };
            let decision = match decide(&before, now) {
                Ok(decision) if decision.release.revision != before.revision => decision,
                // The cached release may be stale: load it and decide again.
                _ if !is_loaded => continue,
                Ok(nothing_to_do) => return Ok(with(&nothing_to_do, now).0),
                Err(refusal) => return Err(NotChanged::Refused(refusal)),
            };
            let (result, commit) = with(&decision, now);
            let first = commit.events.first().map(|event| event.event_type.clone());
            let completed = |event: &&ReleaseEvent| matches!(event, ReleaseEvent::TaskCompleted(_));
            let completed = decision.events.iter().filter(completed).count() as u64;
            let save = self
                .stores
                .releases
                .save(&before, &decision.release, commit);
            let saved = save.await;
            if saved.is_err() {
                self.seen.forget(before.id);
            }
            match saved {
                Ok(()) => {
                    self.due.stored(decision.release.due_at());
                    self.seen.stored(decision.release);
                    metrics::histogram!(m::ATTEMPTS).record(f64::from(attempt));
                    metrics::counter!(m::TASKS_COMPLETED).increment(completed);
                    self.done(first.as_deref().unwrap_or("recurrence"), before.id);
                    return Ok(result);
                }
                Err(SaveError::Revision) if !is_loaded => {}
                Err(SaveError::Revision) if turn.is_none() => {
                    turn = Some(self.turns.wait(before.id.0).await);
                }
                Err(SaveError::Revision) => back_off(attempt).await,
                Err(SaveError::DeveloperBusy(developer)) => {
                    let active = self.stores.releases.active_task(developer).await;
                    if let Some(active) = active.map_err(Fault::from)? {
                        let active = Box::new(active);
                        return Err(NotChanged::Refused(Refusal::DeveloperBusy { active }));
                    }
                    // The other task was completed meanwhile: try again.
                }
                Err(SaveError::Backlog) => return Err(backlog().into()),
                Err(SaveError::Store(error)) => return Err(Fault::from(error).into()),
            }
        }
        Err(Fault::contended("release").into())
    }

    /// Does what is due on a release. If it was changed meanwhile, nothing is done: then it is
    /// still due, or no longer.
    ///
    /// # Errors
    /// The store's error.
    pub async fn pass_time(&self, release: Release) -> Result<(), SaveError> {
        let now = self.clock.now();
        let Some(decision) = release.pass_time(now, self.stale) else {
            return Ok(());
        };
        let commit = Commit {
            events: events::of(&decision, &Actor::System, now),
            receipt: None,
        };
        let save = self
            .stores
            .releases
            .save(&release, &decision.release, commit);
        match save.await {
            Ok(()) => {
                self.seen.stored(decision.release);
                self.wake.wake(release.id.0);
                Ok(())
            }
            Err(error) => {
                self.seen.forget(release.id);
                match error {
                    SaveError::Revision => Ok(()),
                    error => Err(error),
                }
            }
        }
    }

    /// Runs a command, or returns the stored response if the request ran before.
    ///
    /// # Errors
    /// The command's, `IDEMPOTENCY_KEY_REUSED`, or the store's error.
    pub async fn once<R: Message + Default>(
        &self,
        by: &CommandContext,
        command: impl Future<Output = Result<R, Fault>>,
    ) -> Result<R, Fault> {
        let repeatable = by.repeatable.as_ref();
        let span = tracing::debug_span!(target: STEPS, "command");
        receipts::once(repeatable, &*self.stores.receipts, &*self.clock, command)
            .instrument(span)
            .await
    }

    async fn load(&self, target: Target) -> Result<Arc<Release>, NotChanged> {
        let (found, refusal) = match target {
            Target::Release(id) => (
                self.stores.releases.release(id).await,
                Refusal::ReleaseNotFound(id),
            ),
            Target::Task(id) => (
                self.stores.releases.release_of(id).await,
                Refusal::TaskNotFound(id),
            ),
        };
        let found = found.map_err(Fault::from)?;
        let found = Arc::new(found.ok_or(NotChanged::Refused(refusal))?);
        self.seen.read(&found);
        Ok(found)
    }

    fn done(&self, command: &str, release: ReleaseId) {
        metrics::counter!(m::COMMANDS, "command" => command.to_owned()).increment(1);
        self.wake.wake(release.0);
    }
}

/// The bus has been unavailable for so long that this release accepts no more changes.
fn backlog() -> Fault {
    Fault::new(
        Kind::Unavailable,
        "UNAVAILABLE",
        "Too many events of this release wait to be published. Nothing was done; try again later.",
    )
    .retry_after(BACKLOG_RETRY)
}

/// Counts a refusal and turns it into the error for the client.
pub(crate) fn refuse(refusal: Refusal) -> Fault {
    metrics::counter!(m::REFUSALS, "code" => refusal.code()).increment(1);
    refusal.into()
}

fn commit<R: Message>(
    decision: &Decision,
    by: &CommandContext,
    response: &R,
    now: Timestamp,
) -> Commit {
    Commit {
        events: events::of(decision, &by.actor(), now),
        receipt: by
            .repeatable
            .as_ref()
            .map(|repeatable| repeatable.receipt(response.encode_to_vec(), now)),
    }
}
