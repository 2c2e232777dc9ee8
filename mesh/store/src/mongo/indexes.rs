//! Builds the MongoDB indexes from the declared ones, and names the fields that they are on.

use crate::{
    outbox::mongo::index as outbox_index,
    receipts::mongo::{index as receipt_index, time_index},
};
use slipway_mongo::Index as Stored;

use crate::document::{Collection, Index, IndexKind};

/// The unique index on the keys of receipts.
pub(super) const RECEIPT: &str = "receipt";

/// The field with the keys of a document in an index, or with its values in a view.
pub(super) fn field(index: &Index) -> String {
    let name = index.name;
    match index.kind {
        IndexKind::Id => "_id".to_owned(),
        IndexKind::Unique => format!("u.{name}"),
        IndexKind::List => format!("l.{name}.k"),
        IndexKind::View => format!("v.{name}"),
    }
}

/// The field with the position of a document in a list.
pub(super) fn order(index: &Index) -> String {
    match index.kind {
        IndexKind::Id => "_id".to_owned(),
        IndexKind::Unique | IndexKind::List | IndexKind::View => format!("l.{}.o", index.name),
    }
}

/// The name of a value in the field of its view: its key, encoded without the characters that field
/// names cannot contain or that have a meaning in query paths.
pub(super) fn value(key: &str) -> String {
    if key.is_empty() {
        return "%".to_owned();
    }
    let mut name = String::with_capacity(key.len());
    for c in key.chars() {
        match c {
            '%' | '.' | '$' | '\0' => name.push_str(&format!("%{:02x}", u32::from(c))),
            _ => name.push(c),
        }
    }
    name
}

/// All indexes of a collection, as MongoDB stores them.
pub(super) fn of(collection: &Collection) -> Vec<Stored> {
    let name = collection.name;
    let mut indexes: Vec<_> = collection
        .indexes
        .iter()
        .filter_map(|index| declared(name, index))
        .collect();
    if collection.has_events {
        indexes.push(outbox_index(name));
        // Events are published per aggregate.
        indexes
            .push(Stored::on(name, "outbox_by_aggregate", &[("aggregate", 1)]).having("outbox.id"));
    }
    if collection.has_receipts {
        indexes.push(receipt_index(name, RECEIPT));
        indexes.push(time_index(name));
    }
    indexes
}

/// The MongoDB index for a declared one. It contains only documents that have a key. `None` for the
/// index on ids, which exists anyway, and for a view, by which nothing is searched.
fn declared(collection: &'static str, index: &Index) -> Option<Stored> {
    // Leaked, because it lives as long as the process anyway, like all declared indexes: a database
    // is opened once.
    let key: &'static str = field(index).leak();
    let on = |fields: Vec<(&'static str, i32)>| {
        Stored::on(collection, index.name, fields.leak()).having(key)
    };
    match index.kind {
        IndexKind::Unique => Some(on(vec![(key, 1)]).unique()),
        IndexKind::List => Some(on(vec![(key, 1), (order(index).leak(), 1)])),
        IndexKind::Id | IndexKind::View => None,
    }
}
