//! Searches that examine a bounded number of documents.
//!
//! An index serves one condition. The others are checked on the summaries that it yields,
//! in the order asked for; a page examines so many of them at most, and a search that finds
//! little goes on on the next page.

use slipway_rpc::page::Page;
use slipway_store::{Document, Documents, Index, Query};

use super::{EXAMINED, PAGE_WEIGHT, StoreError};

/// Summaries that are read at a time when some of them may not be wanted.
const READ: u32 = 500;

/// What a search needs to know of a summary.
pub(super) struct Search<'a, S> {
    /// How many summaries are wanted at most.
    pub(super) limit: u32,
    /// Its place in the list.
    pub(super) order: &'a (dyn Fn(&S) -> String + Sync),
    /// Whether it is wanted.
    pub(super) admits: &'a (dyn Fn(&S) -> bool + Sync),
    /// The bytes of its texts: a page ends early when they are many.
    pub(super) weight: &'a (dyn Fn(&S) -> usize + Sync),
}

impl<S> Search<'_, S> {
    /// The first page of what `query` yields; where it goes on is the place of the last
    /// summary that was examined.
    ///
    /// # Errors
    /// If the database is away.
    pub(super) async fn page<D: Document<Summary = S>>(
        &self,
        documents: &Documents,
        index: &Index,
        query: impl Fn(u32) -> Query + Sync,
    ) -> Result<Page<S, String>, StoreError> {
        let mut page = Page {
            items: Vec::new(),
            next: None,
        };
        let (mut examined, mut weighs, mut last) = (0, 0, None);
        // Most searches find all they look for at once.
        let mut read = self.limit.saturating_add(1).min(READ);
        loop {
            let found = query(read).behind(last.as_ref());
            let found = documents.summaries::<D>(index, &found).await?;
            let is_end = found.len() < read as usize;
            for summary in found {
                if examined == EXAMINED {
                    page.next = last;
                    return Ok(page);
                }
                examined += 1;
                let place = (self.order)(&summary);
                if (self.admits)(&summary) {
                    if page.items.len() == self.limit as usize || weighs > PAGE_WEIGHT {
                        page.next = last;
                        return Ok(page);
                    }
                    weighs += (self.weight)(&summary);
                    page.items.push(summary);
                }
                last = Some(place);
            }
            if is_end {
                return Ok(page);
            }
            read = READ;
        }
    }
}
