//! What is known of a value before a template runs: how large it can be.

use crate::notification::templates::{LONGEST_DATA, filters};

/// Bytes of a number at most, as text.
const NUMBER: usize = 512;

/// Bytes of a text at most that is joined with `~`.
pub(super) const LONGEST_TEXT: usize = 256 * 1024;

/// Bytes of a list at most that a template writes down.
const LONGEST_LIST: usize = 1024 * 1024;

/// Lists inside each other at most: rows of cells.
const DEEPEST_LIST: usize = 2;

/// What is known of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// A number, or true, false or none.
    Number,
    /// A text, or a value of the event, which may be anything; of so many bytes at most.
    Plain(usize),
    /// A list that the template has written down.
    List {
        /// What each of its items can be.
        item: Box<Shape>,
        /// Its bytes at most.
        size: usize,
    },
}

impl Shape {
    /// A value of the event.
    pub(super) const DATA: Self = Self::Plain(LONGEST_DATA);

    /// What a filter makes.
    pub(super) const FILTERED: Self = Self::Plain(filters::LONGEST);

    /// The list of these; nothing if it is too large.
    pub(super) fn list(items: Vec<Self>) -> Result<Self, String> {
        let size = items.iter().map(Self::size).sum();
        let item = items.into_iter().reduce(Self::or);
        let list = Self::List {
            item: Box::new(item.unwrap_or(Self::Number)),
            size,
        };
        if list.depth() > DEEPEST_LIST {
            return Err(format!(
                "lists may be nested at most {DEEPEST_LIST} deep: rows and their cells"
            ));
        }
        if size > LONGEST_LIST {
            return Err("this list can become too large: make it of fewer variables".to_owned());
        }
        Ok(list)
    }

    /// What is one or the other of two.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Number, Self::Number) => Self::Number,
            (Self::List { item: a, size: m }, Self::List { item: b, size: n }) => Self::List {
                item: Box::new(a.or(*b)),
                size: m.max(n),
            },
            (Self::List { item, size }, other) | (other, Self::List { item, size }) => Self::List {
                item: Box::new(item.or(other.item())),
                size,
            },
            (a, b) => Self::Plain(a.size().max(b.size())),
        }
    }

    /// What is found in it.
    pub(super) fn item(&self) -> Self {
        match self {
            Self::List { item, .. } => (**item).clone(),
            Self::Number | Self::Plain(_) => Self::DATA,
        }
    }

    /// Its bytes at most.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Number => NUMBER,
            Self::Plain(size) | Self::List { size, .. } => *size,
        }
    }

    /// Lists inside each other.
    pub(super) fn depth(&self) -> usize {
        match self {
            Self::Number | Self::Plain(_) => 0,
            Self::List { item, .. } => 1 + item.depth(),
        }
    }
}
