//! Shows that every list is read through the index of its most selective condition: by
//! what the server says it would do.

use std::collections::BTreeSet;

use jiff::Timestamp;
use mongodb::bson::doc;
use slipway_mongo::testing::Scratch;

use super::{ACTIVITY, MongoActivityStore, list::search};
use crate::{
    activity::{Filter, TypePattern},
    store::activity::{ActivityStore as _, contract},
};

/// Enough that reading all of them would be worse.
const STORED: u64 = 300;

/// The indexes that lead to what a filter admits.
fn indexes(filter: &Filter) -> BTreeSet<&'static str> {
    if filter.person.is_some() {
        return ["by_person"].into();
    }
    if filter.release_id.is_some() {
        return ["by_release"].into();
    }
    let of_type = |wanted: &TypePattern| match wanted {
        TypePattern::Exact(_) => "by_type",
        TypePattern::Family(_) => "by_family",
    };
    match filter.types.as_slice() {
        [] => ["_id_"].into(),
        types => types.iter().map(of_type).collect(),
    }
}

#[tokio::test]
async fn every_list_is_read_through_its_index() {
    let Some(scratch) = Scratch::database().await else {
        return;
    };
    let store = MongoActivityStore::open(scratch.client(), scratch.name())
        .await
        .unwrap();
    let log = contract::log(STORED.into());
    store.append(log, Timestamp::UNIX_EPOCH).await.unwrap();
    for query in contract::every_shape_of_query() {
        for pipeline in search(&query, STORED).pipelines() {
            let list = doc! { "aggregate": ACTIVITY, "pipeline": pipeline, "cursor": {} };
            let used = scratch.indexes(&list).await;
            assert!(used.iter().eq(indexes(&query.filter)), "{query}: {used:?}");
        }
    }
}
