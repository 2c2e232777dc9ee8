//! Converts between records and messages. The attributes of an event are the message's headers:
//! CloudEvents in Kafka's binary mode, readable by any client.

use bytes::Bytes;
use rdkafka::{
    Message as _,
    message::{BorrowedMessage, Header, OwnedHeaders},
    producer::FutureRecord,
};

use super::headers;
use slipway_bus::{Delivery, Record};

pub(super) fn to_message(record: &Record) -> FutureRecord<'_, str, [u8]> {
    let headers = OwnedHeaders::new_with_capacity(record.headers.len());
    let headers = record
        .headers
        .iter()
        .fold(headers, |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(value),
            })
        });
    FutureRecord::to(&record.topic)
        .key(record.key.as_str())
        .payload(&record.value[..])
        .headers(headers)
}

/// Other clients may write bytes that are not UTF-8: these are replaced, and the consumer decides
/// about the record.
pub(super) fn from_message(message: &BorrowedMessage<'_>) -> Delivery {
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into();
    Delivery {
        record: Record {
            topic: message.topic().to_owned(),
            key: text(message.key()),
            headers: headers::of(message),
            value: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
        },
        // Neither is negative in a received message.
        partition: message.partition().unsigned_abs(),
        offset: message.offset().unsigned_abs(),
    }
}
