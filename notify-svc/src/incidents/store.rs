//! Stores incidents: one document for each fingerprint.

use jiff::Timestamp;
use slipway_rpc::page::Page;
use slipway_store::{Collection, Document, Documents, Entries, Index, Query, Write, by_time};

use super::{Incident, IncidentId, State};
use crate::store::StoreError;

#[cfg(test)]
mod tests;

const FINGERPRINT: Index = Index::unique("fingerprint");
/// All incidents under the empty key, and each under its state, ordered by the time last seen.
const BY_STATE: Index = Index::list("by_state");
/// Incidents with pending mailings.
const OWING: Index = Index::list("owing");
/// Open incidents that close by silence, the longest silent first.
const SILENT: Index = Index::list("silent");

impl Document for Incident {
    const COLLECTION: Collection =
        Collection::new("incidents", 1, &[FINGERPRINT, BY_STATE, OWING, SILENT]);

    type Summary = ();

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn entries(&self, entries: &mut Entries) {
        let last_seen = by_time(self.last_seen, self.id);
        entries.unique(&FINGERPRINT, &self.fingerprint);
        entries.list(&BY_STATE, "", &last_seen);
        entries.list(&BY_STATE, self.state.as_str(), &last_seen);
        if self.is_owing() {
            entries.list(&OWING, "", self.id);
        }
        if self.state == State::Open && !self.lasts {
            entries.list(&SILENT, "", &last_seen);
        }
    }

    fn summary(&self) {}
}

/// Position of an incident in a list.
pub type IncidentKey = (Timestamp, IncidentId);

/// The incidents, one for each fingerprint.
#[derive(Clone)]
pub struct IncidentStore(Documents);

impl IncidentStore {
    /// A store of the incidents in this database.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self(documents)
    }

    /// The incidents of these fingerprints, in any order.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn find(&self, fingerprints: &[String]) -> Result<Vec<Incident>, StoreError> {
        Ok(self.0.find_many(&FINGERPRINT, fingerprints).await?)
    }

    /// Stores changed incidents, each pair the incident before, if there was one, and after. Each
    /// is one write. Returns for each whether it was stored: not if another writer was faster.
    ///
    /// # Errors
    /// If the database is unavailable. Some may have been stored.
    pub async fn save(
        &self,
        changed: &[(Option<Incident>, Incident)],
    ) -> Result<Vec<bool>, StoreError> {
        let writes = changed.iter().map(|(before, after)| match before {
            None => Write::insert(after),
            Some(before) => Write::replace(before, after),
        });
        let outcomes = self.0.write_many(writes.collect()).await?;
        Ok(outcomes.iter().map(Result::is_ok).collect())
    }

    /// Lists incidents, those in `state` if it is given, the last seen first, after `after`.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn list(
        &self,
        state: Option<State>,
        after: Option<IncidentKey>,
        limit: u32,
    ) -> Result<Page<Incident, IncidentKey>, StoreError> {
        let after = after.map(|(last_seen, id)| by_time(last_seen, id));
        let query = Query::last(limit + 1, state.map_or("", State::as_str)).behind(after);
        let found = self.0.list(&BY_STATE, &query).await?;
        Ok(Page::from_overfetch(found, limit, |last: &Incident| {
            (last.last_seen, last.id)
        }))
    }

    /// Incidents with pending mailings, at most `limit`.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn owing(&self, limit: u32) -> Result<Vec<Incident>, StoreError> {
        Ok(self.0.list(&OWING, &Query::first(limit, "")).await?)
    }

    /// Open incidents that close by silence and were last seen before `before`, at most `limit`.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn silent(&self, before: Timestamp, limit: u32) -> Result<Vec<Incident>, StoreError> {
        let query = Query::first(limit, "").below(by_time(before, ""));
        Ok(self.0.list(&SILENT, &query).await?)
    }
}
