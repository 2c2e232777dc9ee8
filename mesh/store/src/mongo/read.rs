//! Reading: by id, by unique key, and in the order of a list.

use std::sync::Arc;

use futures::TryStreamExt as _;
use mongodb::{
    Collection as Stored,
    action::Find,
    bson::{Bson, Document as Fields, deserialize_from_bson, doc},
};
use serde::de::DeserializeOwned;
use slipway_mongo::{StorageError, bounded, malformed};

use super::indexes;
use crate::{
    StoreError,
    document::{Collection, Index, Kind},
    query::{Direction, Query},
};

/// The fields of what is read.
pub(super) const BODY: &str = "body";
pub(super) const SUMMARY: &str = "summary";

pub(super) fn by_id(ids: &[String]) -> Fields {
    doc! { "_id": any_of(ids) }
}

pub(crate) fn by_key(index: &Index, keys: &[String]) -> Fields {
    let key = indexes::field(index);
    // That it exists is said too: the index holds only the documents where it does.
    doc! { "$and": [{ &key: any_of(keys) }, { &key: { "$exists": true } }] }
}

/// A single one is asked for as such: servers find it faster.
fn any_of(wanted: &[String]) -> Bson {
    match wanted {
        [one] => Bson::from(one),
        many => Bson::from(doc! { "$in": many }),
    }
}

/// The documents in a part of a list.
pub(crate) fn within(index: &Index, query: &Query) -> Fields {
    let mut condition = match index.kind {
        Kind::Id => Fields::new(),
        Kind::Unique | Kind::List | Kind::View => {
            doc! { indexes::field(index): { "$eq": &query.key, "$exists": true } }
        }
    };
    let mut range = Fields::new();
    if let Some(above) = &query.above {
        range.insert("$gt", above);
    }
    if let Some(below) = &query.below {
        range.insert("$lt", below);
    }
    if !range.is_empty() {
        condition.insert(indexes::order(index), range);
    }
    condition
}

pub(crate) fn sort(index: &Index, query: &Query) -> Fields {
    let direction = match query.direction {
        Direction::Ascending => 1,
        Direction::Descending => -1,
    };
    doc! { indexes::order(index): direction }
}

fn find<'a>(stored: &'a Stored<Fields>, index: &Index, query: &Query) -> Find<'a, Fields> {
    stored
        .find(within(index, query))
        .sort(sort(index, query))
        .limit(i64::from(query.limit))
        // All of them in the first answer.
        .batch_size(query.limit.saturating_add(1))
}

pub(super) async fn documents<T: DeserializeOwned>(
    stored: &Stored<Fields>,
    condition: Fields,
    of: Collection,
) -> Result<Vec<T>, StoreError> {
    let find = stored.find(condition);
    let found = collect(find.projection(projection(BODY))).await?;
    found.into_iter().map(|d| decode(d, BODY, of)).collect()
}

pub(super) async fn list<T: DeserializeOwned>(
    stored: &Stored<Fields>,
    field: &str,
    of: Collection,
    index: &Index,
    query: &Query,
) -> Result<Vec<T>, StoreError> {
    let found = collect(find(stored, index, query).projection(projection(field))).await?;
    found.into_iter().map(|d| decode(d, field, of)).collect()
}

pub(super) async fn view<V: DeserializeOwned>(
    stored: &Stored<Fields>,
    of: Collection,
    index: &Index,
    query: &Query,
    view: &Index,
    key: &str,
) -> Result<Vec<V>, StoreError> {
    debug_assert_eq!(view.kind, Kind::View);
    let (field, name) = (indexes::field(view), indexes::value(key));
    let field = format!("{field}.{name}");
    let found = collect(find(stored, index, query).projection(projection(&field))).await?;
    let mut values = Vec::with_capacity(found.len());
    for document in found {
        let id = checked(&document, of)?;
        let Some(value) = value(&document, view, &name) else {
            continue;
        };
        let value = serde_json::from_str(value);
        values.push(value.map_err(|error| not_of_form(of, &id, error))?);
    }
    Ok(values)
}

/// The value of this name that a document has in a view.
fn value<'a>(document: &'a Fields, view: &Index, name: &str) -> Option<&'a str> {
    let views = document.get_document("v").ok()?;
    views.get_document(view.name).ok()?.get_str(name).ok()
}

pub(super) async fn count(
    stored: &Stored<Fields>,
    index: &Index,
    query: &Query,
) -> Result<u64, StoreError> {
    let count = stored
        .count_documents(within(index, query))
        .limit(u64::from(query.limit));
    Ok(bounded(count.into_future()).await?)
}

fn projection(field: &str) -> Fields {
    doc! { "schema": 1, field: 1 }
}

async fn collect(find: Find<'_, Fields>) -> Result<Vec<Fields>, StorageError> {
    bounded(async { find.await?.try_collect().await }).await
}

/// The id of a document, if it has the schema that this version reads.
fn checked(document: &Fields, of: Collection) -> Result<String, StoreError> {
    let id = document.get_str("_id").map_err(malformed)?.to_owned();
    let found = document.get_i32("schema").map_err(malformed)?;
    let found = u32::try_from(found).map_err(malformed)?;
    if found != of.schema {
        return Err(StoreError::Schema {
            collection: of.name,
            id,
            found,
            known: of.schema,
        });
    }
    Ok(id)
}

fn decode<T: DeserializeOwned>(
    mut document: Fields,
    field: &str,
    of: Collection,
) -> Result<T, StoreError> {
    let id = checked(&document, of)?;
    let value = document.remove(field).unwrap_or(Bson::Null);
    deserialize_from_bson(value).map_err(|error| {
        let error = <serde_json::Error as serde::de::Error>::custom(error);
        not_of_form(of, &id, error)
    })
}

fn not_of_form(of: Collection, id: &str, error: serde_json::Error) -> StoreError {
    StoreError::Malformed {
        collection: of.name,
        id: id.to_owned(),
        source: Arc::new(error),
    }
}
