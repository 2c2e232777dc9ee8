//! What a type declares to be stored as documents: its collection, indexes, keys and summary.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    hash::Hash,
};

use serde::{Serialize, de::DeserializeOwned};

/// A type whose values are stored as documents, one document per value.
///
/// Documents are stored in the type's serde representation. A change of that
/// representation needs a new number in [`Collection::new`].
pub trait Document: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The collection of this type, with its indexes.
    const COLLECTION: Collection;

    /// The part of a document that lists return. It is stored next to the document, so that a list
    /// does not read whole documents. `()` for types whose lists return whole documents.
    type Summary: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// The id of the document, unique in its collection. Never changes.
    fn id(&self) -> String;

    /// The revision of the document: 1 when it is inserted, and one more with every change.
    fn revision(&self) -> u64;

    /// Adds the keys under which the document is found.
    fn entries(&self, entries: &mut Entries);

    /// The summary of the document.
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
    /// Whether writes may carry events.
    pub has_events: bool,
    /// Whether writes may carry receipts.
    pub has_receipts: bool,
}

impl Collection {
    /// Creates the collection `name`, whose documents have the schema number `schema` and these
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

    /// Allows writes to carry events.
    #[must_use]
    pub const fn with_events(self) -> Self {
        Self {
            has_events: true,
            ..self
        }
    }

    /// Allows writes to carry receipts.
    #[must_use]
    pub const fn with_receipts(self) -> Self {
        Self {
            has_receipts: true,
            ..self
        }
    }
}

/// An index of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    /// Its name: lower case letters and `_`. Unique in its collection.
    pub name: &'static str,
    /// What it is for.
    pub kind: IndexKind,
    /// Whether its entries have the summaries of the documents.
    pub has_summaries: bool,
}

/// All documents of a collection, under the empty key, ordered by id. A collection must declare it
/// to be listed by it; its documents add no entries to it.
pub const BY_ID: Index = Index {
    // The name that both kinds of MongoDB server use for it.
    name: "_id_",
    kind: IndexKind::Id,
    has_summaries: false,
};

/// What an index is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexKind {
    /// The index on ids, which every collection has.
    Id,
    /// No two documents have the same key.
    Unique,
    /// The documents of each key, in an order.
    List,
    /// Values derived from the document, by key.
    View,
}

impl Index {
    /// An index in which no two documents may have the same key. A document may have several keys.
    #[must_use]
    pub const fn unique(name: &'static str) -> Self {
        Self::new(name, IndexKind::Unique)
    }

    /// An index with an ordered list of documents for each key. A document may have several keys;
    /// its position in the order is the same under all of them.
    #[must_use]
    pub const fn list(name: &'static str) -> Self {
        Self::new(name, IndexKind::List)
    }

    /// Stores the summaries of the documents in the entries of the list, so that hundreds can be
    /// read without the documents. A summary should have at most a kilobyte; every change of a
    /// document rewrites its entries.
    #[must_use]
    pub const fn with_summaries(self) -> Self {
        Self {
            has_summaries: true,
            ..self
        }
    }

    /// Values derived from a document, each under a key, which are read without the document: for
    /// the documents of a [list](Self::list), the values under one key.
    #[must_use]
    pub const fn view(name: &'static str) -> Self {
        Self::new(name, IndexKind::View)
    }

    const fn new(name: &'static str, kind: IndexKind) -> Self {
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
    /// Collects the entries of `document`.
    #[must_use]
    pub fn of<D: Document>(document: &D) -> Self {
        let mut entries = Self::default();
        document.entries(&mut entries);
        entries
    }

    /// A unique key that the document has twice, if there is one.
    pub(crate) fn repeated(&self) -> Option<&'static str> {
        let mut seen = HashSet::with_capacity(self.unique.len());
        let repeated = self.unique.iter().find(|entry| !seen.insert(*entry));
        repeated.map(|entry| entry.index)
    }

    /// Adds a key that no other document may have.
    pub fn unique(&mut self, index: &Index, key: impl fmt::Display) {
        debug_assert_eq!(index.kind, IndexKind::Unique);
        self.unique.push(UniqueEntry {
            index: index.name,
            key: key.to_string(),
        });
    }

    /// Adds a key under which the document is listed at the position `order`. Orders are compared
    /// as texts, byte by byte. No two documents may have the same order under a key: unless the
    /// order is the document's id, let it end with the id.
    pub fn list(&mut self, index: &Index, key: impl fmt::Display, order: impl fmt::Display) {
        debug_assert_eq!(index.kind, IndexKind::List);
        self.lists.push(ListEntry {
            index: index.name,
            key: key.to_string(),
            order: order.to_string(),
        });
    }

    /// Adds a value under a key. A document has at most one value per key.
    ///
    /// # Panics
    /// If the value cannot be serialised as JSON.
    pub fn view(&mut self, index: &Index, key: impl fmt::Display, value: &impl Serialize) {
        debug_assert_eq!(index.kind, IndexKind::View);
        self.views.push(ViewEntry {
            index: index.name,
            key: key.to_string(),
            value: serde_json::to_string(value).expect("a view's value is of plain fields"),
        });
    }
}

/// The change of a document's entries when the document is changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    /// Entries that it no longer has. A replaced value of a view is not included.
    pub(crate) gone: Entries,
    /// Entries that it did not have before.
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
    /// Identifies the value within the document: index and key.
    fn place(&self) -> (&'static str, &str) {
        (self.index, &self.key)
    }
}

/// The elements of `entries` that are not in `others`.
fn without<T: Clone + Eq + Hash>(entries: &[T], others: &[T]) -> Vec<T> {
    let others: HashSet<_> = others.iter().collect();
    let entries = entries.iter().filter(|entry| !others.contains(entry));
    entries.cloned().collect()
}
