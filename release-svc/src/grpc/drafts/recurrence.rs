//! Recurrences in requests.

use std::collections::BTreeSet;

use jiff::Timestamp;
use slipway_proto::release::v1::NewRecurrence;
use slipway_runtime::zone::{UnknownZone, Zone};

use super::Errors;
use crate::{
    release::{Recurrence, RecurrenceDraft, ReleaseId, Rule},
    store::{ReleaseStore, StoreError},
};

/// The releases that the recurrences of a request name, as far as they exist.
pub(super) struct NamedReleases(BTreeSet<ReleaseId>);

impl NamedReleases {
    pub(super) async fn look_up<'a>(
        releases: &ReleaseStore,
        recurrences: impl IntoIterator<Item = &'a NewRecurrence>,
    ) -> Result<Self, StoreError> {
        let named = recurrences
            .into_iter()
            .map(|asked| asked.release_id.parse());
        let named: BTreeSet<ReleaseId> = named.filter_map(Result::ok).collect();
        let mut existing = BTreeSet::new();
        for id in named {
            if releases.release(id).await?.is_some() {
                existing.insert(id);
            }
        }
        Ok(Self(existing))
    }

    /// The recurrence of a task that is due at this time.
    pub(super) fn started(
        &self,
        prefix: &str,
        asked: &NewRecurrence,
        due_at: Option<Option<Timestamp>>,
        errors: &mut Errors,
    ) -> Option<Recurrence> {
        let draft = self.draft(prefix, asked, errors);
        // A due time that is wrong is reported elsewhere.
        let due_at = due_at?.ok_or("is required: a recurring task has a due time");
        let due_at = errors.note(format!("{prefix}due_at"), due_at)?;
        errors.note(format!("{prefix}recurrence.rule"), draft?.starting(due_at))
    }

    /// The recurrence that is asked for.
    pub(super) fn draft(
        &self,
        prefix: &str,
        asked: &NewRecurrence,
        errors: &mut Errors,
    ) -> Option<RecurrenceDraft> {
        let field = |name: &str| format!("{prefix}recurrence.{name}");
        let rule = errors.note(field("rule"), Rule::new(&asked.rule));
        let zone = match asked.time_zone.as_str() {
            "" => Ok(Zone::default()),
            name => name.parse().map_err(|error: UnknownZone| error.to_string()),
        };
        let time_zone = errors.note(field("time_zone"), zone);
        let release = match asked.release_id.as_str() {
            "" => Ok(None),
            id => self.release(id).map(Some),
        };
        let release = errors.note(field("release_id"), release);
        Some(RecurrenceDraft {
            rule: rule?,
            time_zone: time_zone?,
            release: release?,
        })
    }

    fn release(&self, id: &str) -> Result<ReleaseId, &'static str> {
        let id = id.parse().ok().filter(|id| self.0.contains(id));
        id.ok_or("is not a release")
    }
}
