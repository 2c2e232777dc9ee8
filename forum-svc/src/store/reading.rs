//! Reads comments by id, in reading order, and by parent.

use async_trait::async_trait;
use slipway_rpc::page::Page;
use slipway_store::Query;

use super::{
    CommentStore, StoreError,
    document::{BY_PARENT, IN_ORDER, Stored},
};
use crate::{
    comment::{
        Comment, CommentId, PlacedComment,
        position::{Key, KeyRange, Ordinal},
    },
    reading::{CommentSummary, Threads},
};

#[async_trait]
impl Threads for CommentStore {
    async fn comment(&self, id: CommentId) -> Result<Option<PlacedComment>, StoreError> {
        let found: Option<Stored> = self.documents.get(id).await?;
        Ok(found.and_then(Stored::into_comment))
    }

    async fn comments(&self, ids: &[CommentId]) -> Result<Vec<Comment>, StoreError> {
        let ids: Vec<_> = ids.iter().map(CommentId::to_string).collect();
        let found = self.documents.get_many(&ids).await?;
        Ok(placed(found).map(|placed| placed.comment).collect())
    }

    async fn range(
        &self,
        stretch: &KeyRange,
        limit: u32,
    ) -> Result<Vec<PlacedComment>, StoreError> {
        let query = first_of(stretch, limit);
        let found = self.documents.list(&IN_ORDER, &query).await?;
        Ok(placed(found).collect())
    }

    async fn outline(
        &self,
        stretch: &KeyRange,
        limit: u32,
    ) -> Result<Vec<CommentSummary>, StoreError> {
        let query = first_of(stretch, limit);
        let found = self
            .documents
            .summaries::<Stored>(&IN_ORDER, &query)
            .await?;
        Ok(found.into_iter().flatten().collect())
    }
}

impl CommentStore {
    /// A page of the direct replies to a comment, in order, after the reply number `after`.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn replies(
        &self,
        parent: CommentId,
        after: Option<Ordinal>,
        limit: u32,
    ) -> Result<Page<Comment, Ordinal>, StoreError> {
        let query = Query::first(limit.saturating_add(1), parent).behind(after);
        let found = self.documents.list(&BY_PARENT, &query).await?;
        let found = placed(found).collect();
        let page = Page::from_overfetch(found, limit, |last: &PlacedComment| last.number);
        Ok(Page {
            items: page
                .items
                .into_iter()
                .map(|placed| placed.comment)
                .collect(),
            next: page.next,
        })
    }
}

fn placed(found: Vec<Stored>) -> impl Iterator<Item = PlacedComment> {
    found.into_iter().filter_map(Stored::into_comment)
}

/// The query for the first comments of a range. A bound that excludes nothing is left out, because
/// the database would check it for each comment.
fn first_of(stretch: &KeyRange, limit: u32) -> Query {
    let mut query = Query::first(limit, stretch.block.0);
    if stretch.after != Key::start() {
        query = query.above(stretch.after.as_str());
    }
    if stretch.before != Key::end() {
        query = query.below(stretch.before.as_str());
    }
    query
}
