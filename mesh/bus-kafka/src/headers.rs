//! Reads a message's headers as bytes, directly from the C library: `rdkafka` panics at a name that
//! is not UTF-8, and any client of the broker may write one.

#![allow(
    unsafe_code,
    reason = "the headers are read in the memory of the C library"
)]

use std::{ffi::CStr, ptr, slice};

use rdkafka::{
    bindings::{rd_kafka_header_get_all, rd_kafka_headers_t, rd_kafka_message_headers},
    message::BorrowedMessage,
    types::RDKafkaRespErr,
};

const FINE: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;

/// The names and values of a message's headers, in their order. Bytes that are not UTF-8 are
/// replaced; a list that the library cannot read is empty.
pub(super) fn of(message: &BorrowedMessage<'_>) -> Vec<(String, String)> {
    let mut list = ptr::null_mut();
    // SAFETY: `message` keeps what it points to alive. The list belongs to it.
    if unsafe { rd_kafka_message_headers(message.ptr(), &raw mut list) } != FINE {
        return Vec::new();
    }
    // SAFETY: the list lives as long as `message`, and nothing changes it.
    (0..)
        .map_while(|index| unsafe { at(list, index) })
        .collect()
}

/// The header at `index`; `None` after the last.
///
/// # Safety
/// `list` must be a valid list of the library that is neither changed nor freed during the call.
unsafe fn at(list: *const rd_kafka_headers_t, index: usize) -> Option<(String, String)> {
    let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
    // SAFETY: the caller guarantees that `list` is valid. On success the library has set the name
    // to a zero-terminated text, and the value to `size` bytes or to null.
    unsafe {
        let found =
            rd_kafka_header_get_all(list, index, &raw mut name, &raw mut value, &raw mut size);
        if found != FINE {
            return None;
        }
        let name = CStr::from_ptr(name).to_string_lossy().into_owned();
        let value = if value.is_null() {
            &[][..]
        } else {
            slice::from_raw_parts(value.cast::<u8>(), size)
        };
        Some((name, String::from_utf8_lossy(value).into_owned()))
    }
}

#[cfg(test)]
pub(super) mod testing {
    use std::ptr;

    use rdkafka::{
        bindings::{rd_kafka_header_add, rd_kafka_headers_t},
        message::OwnedHeaders,
    };

    /// Adds a header that a client in Rust cannot write.
    pub(in super::super) fn add(headers: OwnedHeaders, name: &[u8], value: &[u8]) -> OwnedHeaders {
        let list = ptr::from_ref(headers.as_borrowed())
            .cast::<rd_kafka_headers_t>()
            .cast_mut();
        let size = |bytes: &[u8]| isize::try_from(bytes.len()).unwrap();
        // SAFETY: a reference to borrowed headers is the pointer to the library's list, and
        // `headers` is its only owner. Name and value are copied.
        let added = unsafe {
            rd_kafka_header_add(
                list,
                name.as_ptr().cast(),
                size(name),
                value.as_ptr().cast(),
                size(value),
            )
        };
        assert_eq!(added, super::FINE);
        headers
    }
}
