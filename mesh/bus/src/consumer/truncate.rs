//! Truncates a record that is too large for a topic. Pure.

use bytes::Bytes;

use crate::Record;

/// Divisor of the room that headers may take, and that the key may take: the payload is more
/// useful.
const HEADERS: usize = 4;

/// Cuts `record` to `room` bytes of key, headers and payload; returns it with a text that says what
/// was cut. A header is kept whole or dropped; earlier headers have priority.
pub(super) fn to(record: &Record, room: usize) -> (Record, String) {
    let key = prefix(&record.key, room / HEADERS);
    let mut left = room / HEADERS;
    let mut headers = record.headers.clone();
    headers.retain(|(name, value)| {
        let fits = name.len() + value.len() <= left;
        if fits {
            left -= name.len() + value.len();
        }
        fits
    });
    let payload = room - 2 * (room / HEADERS);
    let truncated = Record {
        topic: record.topic.clone(),
        key: key.to_owned(),
        value: Bytes::copy_from_slice(&record.value[..payload.min(record.value.len())]),
        headers,
    };
    let what = format!(
        "cut, being too large: {} of {} bytes of payload, {} of {} headers, {} of {} bytes of key \
         are kept",
        truncated.value.len(),
        record.value.len(),
        truncated.headers.len(),
        record.headers.len(),
        truncated.key.len(),
        record.key.len(),
    );
    (truncated, what)
}

fn prefix(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(record: &Record) -> usize {
        let headers = record.headers.iter();
        let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
        record.key.len() + headers + record.value.len()
    }

    #[test]
    fn large_parts_are_truncated_and_small_ones_stay() {
        let small = crate::testing::stage::record("t", "k", "v");
        let (truncated, _) = to(&small, 1000);
        assert_eq!(truncated, small);

        let long = "é".repeat(1000);
        let mut large = small.clone();
        large.value = long.clone().into();
        large.headers.push(("huge".into(), long.clone()));
        large.headers.push(("last".into(), "x".into()));
        large.key = long;
        let (truncated, what) = to(&large, 101);
        assert!(size(&truncated) <= 101, "{truncated:?}");
        assert_eq!(truncated.header("ce_id"), small.header("ce_id"));
        assert_eq!(truncated.header("huge"), None);
        assert_eq!(truncated.header("last"), Some("x"));
        assert_eq!(
            (truncated.value.len(), truncated.key.as_str()),
            (51, &*"é".repeat(12))
        );
        assert!(what.contains("51 of 2000 bytes of payload"), "{what}");
    }
}
