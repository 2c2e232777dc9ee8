//! What a type says of itself to be kept as a document.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    hash::Hash,
};

use serde::{Serialize, de::DeserializeOwned};

/// A type that is kept as documents: one value, one document.
///
/// Documents are stored in the type's serde representation. A change of that
/// representation needs a new number in [`Collection::new`].
pub trait Document: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Where documents of this type are kept, and how they are found.
    const COLLECTION: Collection;

    /// What lists show of a document, stored beside it, so that a list does not read whole
    /// documents. `()` for types whose lists show everything.
    type Summary: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// What tells it from all others of its collection. Never changes.
    fn id(&self) -> String;

    /// Which version of the document this is: 1 when it is inserted, and one more with
    /// every change.
    fn revision(&self) -> u64;

    /// The keys under which it is found.
    fn entries(&self, entries: &mut Entries);

    /// What lists show of it.
    fn summary(&self) -> Self::Summary;
}

/// A collection of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collection {
    /// Its name: lower case letters and `_`.
    pub name: &'static str,
    /// The number of the documents' schema.
    pub schema: u32,
    /// All of its indexes.
    pub indexes: &'static [Index],
    pub(crate) has_events: bool,
    pub(crate) has_receipts: bool,
}

impl Collection {
    /// The collection `name`, whose documents have the schema number `schema` and these
    /// indexes.
    #[must_use]
    pub const fn new(name: &'static str, schema: u32, indexes: &'static [Index]) -> Self {
        Self {
            name,
            schema,
            indexes,
            has_events: false,
            has_receipts: false,
        }
    }

    /// The same, whose writes may carry events.
    #[must_use]
    pub const fn with_events(self) -> Self {
        Self {
            has_events: true,
            ..self
        }
    }

    /// The same, whose writes may carry receipts.
    #[must_use]
    pub const fn with_receipts(self) -> Self {
        Self {
            has_receipts: true,
            ..self
        }
    }
}

/// How documents of a collection are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    /// Its name: lower case letters and `_`. Unique in its collection.
    pub name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) has_summaries: bool,
}

/// All documents of a collection, under the empty key, in the order of their ids. A
/// collection that is read by it declares it; its documents have no entries in it.
pub const BY_ID: Index = Index {
    // As both kinds of MongoDB server call it.
    name: "_id_",
    kind: Kind::Id,
    has_summaries: false,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What every collection has anyway.
    Id,
    /// No two documents have the same key.
    Unique,
    /// The documents of a key stand in an order.
    List,
    /// Values made from the document, by key.
    View,
}

impl Index {
    /// No two documents may have the same key in it. A document may have several keys.
    #[must_use]
    pub const fn unique(name: &'static str) -> Self {
        Self::new(name, Kind::Unique)
    }

    /// Under each key the documents that have it, in an order. A document may have several
    /// keys; its place in the order is the same under all of them.
    #[must_use]
    pub const fn list(name: &'static str) -> Self {
        Self::new(name, Kind::List)
    }

    /// The same list, whose entries hold the summaries of their documents, so that hundreds
    /// are read at once without the documents. They have at most a kilobyte each; with every
    /// change of a document its entries are written again.
    #[must_use]
    pub const fn with_summaries(self) -> Self {
        Self {
            has_summaries: true,
            ..self
        }
    }

    /// Values made from a document, each under a key, which are read without it: of all that
    /// are in a [list](Self::list), those under one key.
    #[must_use]
    pub const fn view(name: &'static str) -> Self {
        Self::new(name, Kind::View)
    }

    const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            has_summaries: false,
        }
    }
}

/// The entries of one document in the indexes of its collection.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Entries {
    pub(crate) unique: Vec<UniqueEntry>,
    pub(crate) lists: Vec<ListEntry>,
    pub(crate) views: Vec<ViewEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct UniqueEntry {
    pub(crate) index: &'static str,
    pub(crate) key: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ListEntry {
    pub(crate) index: &'static str,
    pub(crate) key: String,
    pub(crate) order: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ViewEntry {
    pub(crate) index: &'static str,
    pub(crate) key: String,
    /// As JSON.
    pub(crate) value: String,
}

impl Entries {
    /// The entries of `document`.
    #[must_use]
    pub fn of<D: Document>(document: &D) -> Self {
        let mut entries = Self::default();
        document.entries(&mut entries);
        entries
    }

    /// A unique key that the document has twice.
    pub(crate) fn repeated(&self) -> Option<&'static str> {
        let mut seen = HashSet::with_capacity(self.unique.len());
        let repeated = self.unique.iter().find(|entry| !seen.insert(*entry));
        repeated.map(|entry| entry.index)
    }

    /// A key that no other document has.
    pub fn unique(&mut self, index: &Index, key: impl fmt::Display) {
        debug_assert_eq!(index.kind, Kind::Unique);
        self.unique.push(UniqueEntry {
            index: index.name,
            key: key.to_string(),
        });
    }

    /// A key under which the document is listed at the place `order`. Orders compare as
    /// texts, byte by byte. No two documents have the same order under a key: let it end
    /// with the document's id, if it is not the id itself.
    pub fn list(&mut self, index: &Index, key: impl fmt::Display, order: impl fmt::Display) {
        debug_assert_eq!(index.kind, Kind::List);
        self.lists.push(ListEntry {
            index: index.name,
            key: key.to_string(),
            order: order.to_string(),
        });
    }

    /// A value under a key. A document has one under each.
    ///
    /// # Panics
    /// If the value is not one of plain fields, so that it has no JSON.
    pub fn view(&mut self, index: &Index, key: impl fmt::Display, value: &impl Serialize) {
        debug_assert_eq!(index.kind, Kind::View);
        self.views.push(ViewEntry {
            index: index.name,
            key: key.to_string(),
            value: serde_json::to_string(value).expect("a view's value is of plain fields"),
        });
    }
}

/// What becomes of a document's entries when it is changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    /// Those that it has no more. A value of a view that is replaced is not among them.
    pub(crate) gone: Entries,
    /// Those that it did not have.
    pub(crate) new: Entries,
}

impl Changed {
    pub(crate) fn between(before: &Entries, after: &Entries) -> Self {
        let kept: HashSet<_> = after.views.iter().map(ViewEntry::place).collect();
        let lost = |entry: &&ViewEntry| !kept.contains(&entry.place());
        let values: HashMap<_, _> = before.views.iter().map(|e| (e.place(), &e.value)).collect();
        let differs = |entry: &&ViewEntry| values.get(&entry.place()) != Some(&&entry.value);
        Self {
            gone: Entries {
                unique: without(&before.unique, &after.unique),
                lists: without(&before.lists, &after.lists),
                views: before.views.iter().filter(lost).cloned().collect(),
            },
            new: Entries {
                unique: without(&after.unique, &before.unique),
                lists: without(&after.lists, &before.lists),
                views: after.views.iter().filter(differs).cloned().collect(),
            },
        }
    }
}

impl ViewEntry {
    /// Which value of the document it is.
    fn place(&self) -> (&'static str, &str) {
        (self.index, &self.key)
    }
}

/// Those of `entries` that are not among `others`.
fn without<T: Clone + Eq + Hash>(entries: &[T], others: &[T]) -> Vec<T> {
    let others: HashSet<_> = others.iter().collect();
    let entries = entries.iter().filter(|entry| !others.contains(entry));
    entries.cloned().collect()
}
