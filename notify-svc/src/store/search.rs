//! Searches that examine a bounded number of documents.
//!
//! An index serves one condition. The other conditions are checked on each document it returns, in
//! the order of the list. A page examines a limited number of documents; a search that finds few of
//! them continues on the next page.

use slipway_rpc::page::Page;

use super::{EXAMINED, PAGE_WEIGHT, StoreError};

/// A search over documents or their summaries.
pub(crate) struct Search<'a, T, K> {
    /// Maximum number of results.
    pub(crate) limit: u32,
    /// Number of items to read at a time when some may be rejected.
    pub(crate) read: u32,
    /// The position of an item in the list.
    pub(crate) place: &'a (dyn Fn(&T) -> K + Sync),
    /// Whether an item is a result.
    pub(crate) admits: &'a (dyn Fn(&T) -> bool + Sync),
    /// Size of an item's texts in bytes: a page ends early when it is large.
    pub(crate) weight: &'a (dyn Fn(&T) -> usize + Sync),
}

impl<T, K: Copy> Search<'_, T, K> {
    /// The first page of results. `read` returns up to a number of items after a position. The next
    /// page starts after the last item examined.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub(crate) async fn page<F>(
        &self,
        read: impl Fn(u32, Option<K>) -> F,
    ) -> Result<Page<T, K>, StoreError>
    where
        F: Future<Output = Result<Vec<T>, slipway_store::StoreError>>,
    {
        let mut page = Page {
            items: Vec::new(),
            next: None,
        };
        let (mut examined, mut weighs, mut last) = (0, 0, None);
        // Most searches find all results in the first read.
        let mut count = self.limit.saturating_add(1).min(self.read);
        loop {
            let found = read(count, last).await?;
            let is_end = found.len() < count as usize;
            for one in found {
                if examined == EXAMINED {
                    page.next = last;
                    return Ok(page);
                }
                examined += 1;
                let place = (self.place)(&one);
                if (self.admits)(&one) {
                    if page.items.len() == self.limit as usize || weighs > PAGE_WEIGHT {
                        page.next = last;
                        return Ok(page);
                    }
                    weighs += (self.weight)(&one);
                    page.items.push(one);
                }
                last = Some(place);
            }
            if is_end {
                return Ok(page);
            }
            count = self.read;
        }
    }
}
