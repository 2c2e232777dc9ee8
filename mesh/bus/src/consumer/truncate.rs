//! Truncates a record that is too large for a topic. Pure.

use bytes::Bytes;

use crate::Record;

/// The part of the room that headers may take: the payload says more.
const HEADERS: usize = 4;

/// `record` cut to `room` bytes of key, headers and payload, and in words what was cut.
/// Headers stay whole or not at all, the first ones first.
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
    let kept = Record {
        topic: record.topic.clone(),
        key: key.to_owned(),
        value: Bytes::copy_from_slice(&record.value[..payload.min(record.value.len())]),
        headers,
    };
    let what = format!(
        "cut, being too large: {} of {} bytes of payload, {} of {} headers, {} of {} bytes of key \
         are kept",
        kept.value.len(),
        record.value.len(),
        kept.headers.len(),
        record.headers.len(),
        kept.key.len(),
        record.key.len(),
    );
    (kept, what)
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
    fn whatever_is_large_is_cut_and_the_rest_stays() {
        let small = crate::testing::stage::record("t", "k", "v");
        let (kept, _) = to(&small, 1000);
        assert_eq!(kept, small);

        let long = "é".repeat(1000);
        let mut large = small.clone();
        large.value = long.clone().into();
        large.headers.push(("huge".into(), long.clone()));
        large.headers.push(("last".into(), "x".into()));
        large.key = long;
        let (kept, what) = to(&large, 101);
        assert!(size(&kept) <= 101, "{kept:?}");
        assert_eq!(kept.header("ce_id"), small.header("ce_id"));
        assert_eq!(kept.header("huge"), None);
        assert_eq!(kept.header("last"), Some("x"));
        assert_eq!(
            (kept.value.len(), kept.key.as_str()),
            (51, &*"é".repeat(12))
        );
        assert!(what.contains("51 of 2000 bytes of payload"), "{what}");
    }
}
