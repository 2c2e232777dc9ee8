//! Indexes, declared in code and compared with those of the database.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use mongodb::{
    Collection, Database, IndexModel,
    bson::{Bson, Document, doc},
    error::ErrorKind,
    options::IndexOptions,
};

use super::{StorageError, bounded};

/// The collection does not exist yet.
const NAMESPACE_NOT_FOUND: i32 = 26;

/// An index that a service needs.
#[derive(Debug, Clone, Copy)]
pub struct Index {
    /// Its collection.
    pub collection: &'static str,
    /// Its name. Errors of a unique index contain it.
    pub name: &'static str,
    /// The fields, each ascending (1) or descending (-1).
    pub keys: &'static [(&'static str, i32)],
    /// Whether two documents may not have the same key. One document may have a key twice: of a
    /// field in an array, the index contains each value once.
    pub unique: bool,
    /// The index contains only documents that have this field.
    pub having: Option<&'static str>,
}

impl Index {
    /// An index of `collection` on `keys`.
    #[must_use]
    pub const fn on(
        collection: &'static str,
        name: &'static str,
        keys: &'static [(&'static str, i32)],
    ) -> Self {
        Self {
            collection,
            name,
            keys,
            unique: false,
            having: None,
        }
    }

    /// Makes the index refuse a key that another document has.
    #[must_use]
    pub const fn unique(self) -> Self {
        Self {
            unique: true,
            ..self
        }
    }

    /// Limits the index to documents that have `field`.
    #[must_use]
    pub const fn having(self, field: &'static str) -> Self {
        Self {
            having: Some(field),
            ..self
        }
    }

    fn keys(&self) -> Document {
        let keys = self.keys.iter();
        keys.map(|(field, order)| ((*field).to_owned(), Bson::from(*order)))
            .collect()
    }

    fn filter(&self) -> Option<Document> {
        self.having.map(|field| doc! { field: { "$exists": true } })
    }

    fn model(&self) -> IndexModel {
        let options = IndexOptions::builder()
            .name(self.name.to_owned())
            .unique(self.unique.then_some(true))
            .partial_filter_expression(self.filter())
            .build();
        IndexModel::builder()
            .keys(self.keys())
            .options(options)
            .build()
    }

    /// Whether an index of the database is this one.
    fn is(&self, found: &IndexModel) -> bool {
        let options = found.options.clone().unwrap_or_default();
        let same_keys =
            found.keys.len() == self.keys.len()
                && found.keys.iter().zip(self.keys).all(
                    |((field, order), (wanted, wanted_order))| {
                        // Servers return different kinds of numbers.
                        field == wanted && number(order) == Some(f64::from(*wanted_order))
                    },
                );
        same_keys
            && options.unique.unwrap_or(false) == self.unique
            && options.partial_filter_expression == self.filter()
            && options.expire_after.is_none()
            && !options.sparse.unwrap_or(false)
    }
}

fn number(value: &Bson) -> Option<f64> {
    match value {
        Bson::Int32(number) => Some(f64::from(*number)),
        Bson::Double(number) => Some(*number),
        #[allow(clippy::cast_precision_loss, reason = "it is 1 or -1")]
        Bson::Int64(number) => Some(*number as f64),
        _ => None,
    }
}

/// Builds missing indexes, and checks that all are as declared.
pub(super) async fn ensure(database: &Database, indexes: &[Index]) -> Result<(), StorageError> {
    let mut collections: BTreeMap<&str, Vec<&Index>> = BTreeMap::new();
    for index in indexes {
        collections.entry(index.collection).or_default().push(index);
    }
    for (name, wanted) in collections {
        let collection = database.collection::<Document>(name);
        let missing = missing(&collection, &wanted).await?;
        if missing.is_empty() {
            continue;
        }
        // Without a timeout: on a large collection this takes a while.
        collection
            .create_indexes(missing.iter().map(|index| index.model()))
            .await?;
        if let [absent, ..] = self::missing(&collection, &wanted).await?[..] {
            return Err(StorageError::Unusable(format!(
                "the index {} of {} was built but does not exist",
                absent.name,
                collection.namespace()
            )));
        }
    }
    Ok(())
}

/// The indexes of `wanted` that the collection does not have.
async fn missing<'a>(
    collection: &Collection<Document>,
    wanted: &[&'a Index],
) -> Result<Vec<&'a Index>, StorageError> {
    let found = existing(collection).await?;
    let mut missing = Vec::new();
    for index in wanted {
        let same_name = |model: &&IndexModel| {
            let options = model.options.as_ref();
            options.and_then(|options| options.name.as_deref()) == Some(index.name)
        };
        match found.iter().find(same_name) {
            None => missing.push(*index),
            Some(found) if index.is(found) => {}
            Some(_) => {
                return Err(StorageError::Unusable(format!(
                    "the index {} of {} is not defined as this Slipway needs it: \
                     if no other version uses it, drop it and start again",
                    index.name,
                    collection.namespace()
                )));
            }
        }
    }
    Ok(missing)
}

async fn existing(collection: &Collection<Document>) -> Result<Vec<IndexModel>, StorageError> {
    let list = async { collection.list_indexes().await?.try_collect().await };
    match bounded(list).await {
        Err(StorageError::Mongo(error)) if is_absent(&error) => Ok(Vec::new()),
        found => found,
    }
}

fn is_absent(error: &mongodb::error::Error) -> bool {
    matches!(error.kind.as_ref(), ErrorKind::Command(error) if error.code == NAMESPACE_NOT_FOUND)
}
