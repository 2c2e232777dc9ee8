//! Sort keys for the reading order: each comment before its replies, siblings oldest first.
//!
//! Every comment has a key; sorting by key gives the reading order. The key is the path to the
//! comment: the id of the root, then the reply's number among its siblings for each level. So the
//! replies to a comment, at any depth, are the keys that begin with its own key: one range of an
//! index. The key of a new reply depends only on its parent, and other keys do not change.
//!
//! A path grows with the depth. So its length is limited: the replies to a comment with a long
//! key get a [`Block`] of their own, where keys are short again. A thread is a tree of blocks,
//! each read by ranges; a chain of 10,000 replies has about forty.
//!
//! Keys are plain ASCII, which every database sorts by bytes.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{CommentId, TaskId};

/// Replies to a comment whose key has at least this many bytes begin a block. Even with the
/// longest number appended, a key stays far below the limit of an index (about 1,000 bytes).
const LONG: usize = 480;

/// Sorts after every character of a key.
const AFTER: char = '~';

/// The scope in which keys are compared: the threads of a task, or the replies to a comment with
/// a long key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Block(pub Uuid);

impl From<TaskId> for Block {
    /// The block with the threads of a task.
    fn from(task: TaskId) -> Self {
        Self(task.0)
    }
}

impl From<CommentId> for Block {
    /// The block with the replies to a comment whose [`Key::ends_block`].
    fn from(comment: CommentId) -> Self {
        Self(comment.0)
    }
}

/// The sort key of a comment in its block.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key(String);

impl Key {
    /// Before all keys.
    #[must_use]
    pub fn start() -> Self {
        Self(String::new())
    }

    /// After all keys.
    #[must_use]
    pub fn end() -> Self {
        Self(AFTER.to_string())
    }

    /// After the last reply, at any depth, in the same block.
    #[must_use]
    pub fn behind_replies(&self) -> Self {
        Self(format!("{}{AFTER}", self.0))
    }

    /// Whether replies to the comment with this key have a block of their own.
    #[must_use]
    pub fn ends_block(&self) -> bool {
        self.0.len() >= LONG
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The number of a reply among the replies to the same comment, from 1. A number is never
/// reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ordinal(pub u64);

impl Ordinal {
    /// The largest that a database can store.
    pub const MAX: Self = Self(i64::MAX.unsigned_abs());
}

impl fmt::Display for Ordinal {
    /// The count of digits, then the digits in base 32: the texts sort like the numbers, and no
    /// text is a prefix of another.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
        let count = (u64::BITS - self.0.leading_zeros()).div_ceil(5).max(1);
        let digit = |value: u64| char::from(DIGITS[(value & 31) as usize]);
        write!(f, "{}", digit(count.into()))?;
        for place in (0..count).rev() {
            write!(f, "{}", digit(self.0 >> (5 * place)))?;
        }
        Ok(())
    }
}

/// The part of a block between two keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// The block.
    pub block: Block,
    /// The lower bound, exclusive.
    pub after: Key,
    /// The upper bound, exclusive.
    pub before: Key,
}

/// The position of a comment in the reading order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The block.
    pub block: Block,
    /// The key in the block.
    pub key: Key,
}

impl Position {
    /// The position of a comment that begins a thread: after older threads, whose ids are smaller.
    #[must_use]
    pub fn of_root(task: TaskId, root: CommentId) -> Self {
        Self {
            block: task.into(),
            key: Key(root.0.simple().to_string()),
        }
    }

    /// The position of the reply with this number to the comment `parent`, whose position is
    /// `self`.
    #[must_use]
    pub fn of_reply(&self, parent: CommentId, number: Ordinal) -> Self {
        if self.key.ends_block() {
            Self {
                block: parent.into(),
                key: Key(number.to_string()),
            }
        } else {
            Self {
                block: self.block,
                key: Key(format!("{}{number}", self.key.0)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ordinals_sort_as_numbers_and_none_is_a_prefix(a: u64, b: u64, shift in 0_u32..64) {
            for b in [b, a >> shift, a.saturating_add(1)] {
                let (x, y) = (Ordinal(a).to_string(), Ordinal(b).to_string());
                prop_assert_eq!(x.cmp(&y), a.cmp(&b));
                prop_assert!(a == b || !y.starts_with(&x));
            }
        }
    }

    #[test]
    fn ordinals_are_short() {
        for (number, text) in [
            (1, "11"),
            (31, "1v"),
            (32, "210"),
            (1023, "2vv"),
            (10_000, "39og"),
        ] {
            assert_eq!(Ordinal(number).to_string(), text);
        }
        assert_eq!(Ordinal(u64::MAX).to_string(), "dfvvvvvvvvvvvv");
    }

    #[test]
    fn a_key_stays_short_at_any_depth() {
        let (task, root) = (TaskId::generate(), CommentId::generate());
        let mut position = Position::of_root(task, root);
        let mut blocks = 1;
        for _ in 0..10_000 {
            let next = position.of_reply(CommentId::generate(), Ordinal(u64::MAX));
            assert!(next.key.as_str().len() < 500, "{:?}", next.key);
            blocks += usize::from(next.block != position.block);
            position = next;
        }
        assert!(blocks > 1);
    }

    #[test]
    fn replies_are_between_their_comment_and_the_end_of_its_replies() {
        let (task, root) = (TaskId::generate(), CommentId::generate());
        let here = Position::of_root(task, root);
        let behind = here.key.behind_replies();
        let first = here.of_reply(root, Ordinal(1));
        let last = here.of_reply(root, Ordinal(u64::MAX));
        let below = first.of_reply(CommentId::generate(), Ordinal(u64::MAX));
        let next = Position::of_root(task, CommentId::generate()).key;
        let order = [
            &Key::start(),
            &here.key,
            &first.key,
            &below.key,
            &last.key,
            &behind,
            &next,
            &Key::end(),
        ];
        assert!(order.is_sorted(), "{order:?}");
    }
}
