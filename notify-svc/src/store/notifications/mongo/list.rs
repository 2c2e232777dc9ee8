//! Reading the log in MongoDB.

use mongodb::bson::doc;
use slipway_mongo::{StorageError, malformed};

use super::MongoNotificationStore;
use crate::{
    notification::{Notification, filter::key},
    store::{
        notifications::{Direction, Page, Query},
        search::{Search, literally},
    },
};

pub(super) async fn page(
    store: &MongoNotificationStore,
    query: &Query,
) -> Result<Page, StorageError> {
    let id = |notification: &Notification| notification.id.to_string();
    let found = search(query)
        .page(&store.notifications, id, Notification::weight)
        .await?;
    let next = found.next.map(|id: String| id.parse().map_err(malformed));
    Ok(Page {
        items: found.items,
        next: next.transpose()?,
    })
}

pub(super) fn search(query: &Query) -> Search {
    let filter = &query.filter;
    let mut conditions = Vec::new();
    if let Some(to) = &filter.to {
        conditions.push(doc! { "recipient": to.to_string() });
    }
    if let Some(kind) = &filter.kind {
        conditions.push(doc! { "kind": kind });
    }
    if let Some(state) = filter.state {
        conditions.push(doc! { "state": state.as_str() });
    }
    let (least, end) = query.range();
    let range = doc! { "$gte": least.to_string(), "$lt": end.to_string() };
    let order = match query.direction {
        Direction::OldestFirst => 1,
        Direction::NewestFirst => -1,
    };
    let search = Search::new(range, conditions, order, query.limit);
    match &filter.text {
        Some(text) => search.checking("subjectKey", doc! { "$regex": literally(&key(text)) }),
        None => search,
    }
}
