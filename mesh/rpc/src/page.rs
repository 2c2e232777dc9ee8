//! Keyset paging: limits, and cursors that are opaque to clients.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};

use crate::error::Fault;

/// Default number of items on a page.
pub const DEFAULT_LIMIT: u32 = 50;

/// Maximum number of items on a page.
pub const MAX_LIMIT: u32 = 200;

/// The number of items to return for a requested `page_size`; 0 means the default.
///
/// # Errors
/// If the size is negative or above `max`.
pub fn limit(page_size: i32, max: u32) -> Result<u32, Fault> {
    match u32::try_from(page_size) {
        Ok(0) => Ok(DEFAULT_LIMIT),
        Ok(size) if size <= max => Ok(size),
        _ => Err(Fault::invalid_field(
            "page_size",
            format!("must be from 1 to {max}, or 0 for {DEFAULT_LIMIT}"),
        )),
    }
}

/// One page of a list, and the key after which the next one starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, K> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// The key of the last item, if there are more.
    pub next: Option<K>,
}

impl<T, K> Page<T, K> {
    /// A page from the rows of a query that asked for one row more than `limit`.
    pub fn from_overfetch(mut items: Vec<T>, limit: u32, key: impl FnOnce(&T) -> K) -> Self {
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = if more { items.last().map(key) } else { None };
        Self { items, next }
    }
}

/// Encodes a cursor that continues `list` after `key`. `list` names the list and all filters, so
/// that a cursor of one list is not valid for another.
#[must_use]
pub fn encode_cursor<K: Serialize>(list: &str, key: Option<&K>) -> String {
    let Some(key) = key else {
        return String::new();
    };
    let bytes =
        serde_json::to_vec(&(list, key)).expect("keys are plain numbers, strings and identifiers");
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes the key in a cursor of `list`; `None` for the empty cursor, which is the first page.
///
/// # Errors
/// If `list` did not issue the cursor.
pub fn decode_cursor<K: DeserializeOwned>(list: &str, cursor: &str) -> Result<Option<K>, Fault> {
    if cursor.is_empty() {
        return Ok(None);
    }
    URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<(String, K)>(&bytes).ok())
        .filter(|(issuer, _)| issuer == list)
        .map(|(_, key)| Some(key))
        .ok_or_else(|| Fault::invalid_field("page_token", "was not issued by this list"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_valid_only_for_the_list_that_issued_it() {
        let cursor = encode_cursor("releases?OPEN", Some(&7));
        assert_eq!(decode_cursor("releases?OPEN", &cursor).unwrap(), Some(7));
        assert!(decode_cursor::<i64>("releases?", &cursor).is_err());
        assert!(decode_cursor::<i64>("releases?OPEN", "bm9uc2Vuc2U").is_err());
        assert!(decode_cursor::<i64>("releases?OPEN", "%%%").is_err());
    }

    #[test]
    fn no_cursor_is_the_first_page_and_the_last_page_has_none() {
        assert_eq!(decode_cursor::<i64>("x", "").unwrap(), None);
        assert_eq!(encode_cursor::<i64>("x", None), "");
    }

    #[test]
    fn limits_are_bounded() {
        assert_eq!(limit(0, MAX_LIMIT).unwrap(), DEFAULT_LIMIT);
        assert_eq!(limit(200, MAX_LIMIT).unwrap(), 200);
        assert!(limit(201, MAX_LIMIT).is_err());
        assert!(limit(-1, MAX_LIMIT).is_err());
    }

    #[test]
    fn a_page_knows_whether_more_follows() {
        let page = Page::from_overfetch(vec![1, 2, 3], 2, |item| *item);
        assert_eq!((page.items, page.next), (vec![1, 2], Some(2)));
        let page = Page::from_overfetch(vec![1, 2], 2, |item| *item);
        assert_eq!(page.next, None);
    }
}
