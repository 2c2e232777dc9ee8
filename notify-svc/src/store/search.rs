//! Searches that examine a bounded number of documents.
//!
//! An index serves one condition. The others are checked on what it yields, in the order
//! asked for; a page examines so many of them at most, and a search that finds little goes
//! on on the next page.

use slipway_rpc::page::Page;

use super::{EXAMINED, PAGE_WEIGHT, StoreError};

/// What a search needs to know of what it reads: documents, or their summaries.
pub(crate) struct Search<'a, T, K> {
    /// How many are wanted at most.
    pub(crate) limit: u32,
    /// How many are read at a time when some of them may not be wanted.
    pub(crate) read: u32,
    /// The place of one in the list.
    pub(crate) place: &'a (dyn Fn(&T) -> K + Sync),
    /// Whether it is wanted.
    pub(crate) admits: &'a (dyn Fn(&T) -> bool + Sync),
    /// The bytes of its texts: a page ends early when they are many.
    pub(crate) weight: &'a (dyn Fn(&T) -> usize + Sync),
}

impl<T, K: Copy> Search<'_, T, K> {
    /// The first page of what `read` yields, which reads so many behind a place; where it
    /// goes on is the place of the last one that was examined.
    ///
    /// # Errors
    /// If the database is away.
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
        // Most searches find all they look for at once.
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
