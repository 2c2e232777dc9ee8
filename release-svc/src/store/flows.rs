//! Stores sign-ins with an identity provider that have begun: one document per sign-in.

use jiff::Timestamp;
use slipway_store::{
    Collection, Document, Documents, Entries, Index, Query, Refusal, Write, by_time,
};

use super::StoreError;
use crate::provider::flow::{Flow, FlowSecrets};

/// Documents that one write purges.
const PURGED: u32 = 500;

const BY_EXPIRY: Index = Index::list("by_expiry");

impl Document for Flow {
    const COLLECTION: Collection = Collection::new("provider_sign_ins", 1, &[BY_EXPIRY]);

    type Summary = ();

    fn id(&self) -> String {
        self.id.clone()
    }

    fn revision(&self) -> u64 {
        1
    }

    fn entries(&self, entries: &mut Entries) {
        entries.list(&BY_EXPIRY, "", by_time(self.expires_at, &self.id));
    }

    fn summary(&self) {}
}

/// The sign-ins that have begun.
#[derive(Clone)]
pub struct FlowStore {
    documents: Documents,
}

impl FlowStore {
    pub(super) fn new(documents: Documents) -> Self {
        Self { documents }
    }

    /// Stores a new one.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn insert(&self, flow: &Flow) -> Result<(), StoreError> {
        Ok(self.documents.write(Write::insert(flow)).await??)
    }

    /// Takes out the one of the browser with these secrets, unless it has expired. Of several
    /// calls at the same time only one gets it.
    ///
    /// # Errors
    /// If the database is unavailable: then it is unknown whether it is taken.
    pub async fn take(
        &self,
        secrets: &FlowSecrets,
        now: Timestamp,
    ) -> Result<Option<Flow>, StoreError> {
        let found: Option<Flow> = self.documents.get(secrets.flow_id()).await?;
        let Some(flow) = found.filter(|flow| flow.admits(secrets, now)) else {
            return Ok(None);
        };
        match self.documents.write(Write::delete(&flow)).await? {
            Ok(()) => Ok(Some(flow)),
            Err(Refusal::Revision) => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Deletes those that expired before `now`.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn purge(&self, now: Timestamp) -> Result<(), StoreError> {
        let old = Query::first(PURGED, "").below(by_time(now, ""));
        loop {
            let found: Vec<Flow> = self.documents.list(&BY_EXPIRY, &old).await?;
            let purge = found.iter().map(Write::delete).collect();
            self.documents.write_many(purge).await?;
            if found.len() < PURGED as usize {
                return Ok(());
            }
        }
    }
}
