//! The indexes of MongoDB, made from the declared ones, and the fields that they are on.

use crate::{
    outbox::mongo::index as outbox_index,
    receipts::mongo::{index as receipt_index, time_index},
};
use slipway_mongo::Index as Stored;

use crate::document::{Collection, Index, Kind};

/// The index that refuses a second receipt of a key.
pub(super) const RECEIPT: &str = "receipt";

/// The field with the keys of a document in an index.
pub(super) fn key(index: &Index) -> String {
    let name = index.name;
    match index.kind {
        Kind::Id => "_id".to_owned(),
        Kind::Unique => format!("u.{name}"),
        Kind::List => format!("l.{name}.k"),
        Kind::View => format!("v.{name}.e.k"),
    }
}

/// The field with the place of a document in a list or a view.
pub(super) fn order(index: &Index) -> String {
    let name = index.name;
    match index.kind {
        Kind::Id | Kind::Unique => "_id".to_owned(),
        Kind::List => format!("l.{name}.o"),
        Kind::View => format!("v.{name}.o"),
    }
}

/// All indexes of a collection.
pub(super) fn of(collection: &Collection) -> Vec<Stored> {
    let name = collection.name;
    let mut indexes: Vec<_> = collection
        .indexes
        .iter()
        .filter_map(|index| declared(name, index))
        .collect();
    if collection.has_events {
        indexes.push(outbox_index(name));
        // Events are published aggregate by aggregate.
        indexes
            .push(Stored::on(name, "outbox_by_aggregate", &[("aggregate", 1)]).having("outbox.id"));
    }
    if collection.has_receipts {
        indexes.push(receipt_index(name, RECEIPT));
        indexes.push(time_index(name));
    }
    indexes
}

/// Only documents that have a key are in it. `None`: it is there anyway.
fn declared(collection: &'static str, index: &Index) -> Option<Stored> {
    // Lives as long as the process, as the declarations of all indexes do: a database is
    // opened once.
    let key: &'static str = key(index).leak();
    Some(match index.kind {
        Kind::Id => return None,
        Kind::Unique => Stored::on(collection, index.name, vec![(key, 1)].leak())
            .unique()
            .having(key),
        Kind::List | Kind::View => {
            let order: &'static str = order(index).leak();
            Stored::on(collection, index.name, vec![(key, 1), (order, 1)].leak()).having(key)
        }
    })
}
