//! A client of the activity stream.

use std::pin::Pin;

use axum::{body::BodyDataStream, response::Response};
use futures::StreamExt as _;
use serde_json::Value;

pub(crate) struct Reader {
    pub(crate) response: Response<()>,
    body: Pin<Box<BodyDataStream>>,
    buffer: String,
}

/// One block of a stream of server-sent events.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Block {
    pub(crate) id: Option<u64>,
    pub(crate) event: Option<String>,
    pub(crate) data: Option<Value>,
    pub(crate) retry: Option<u64>,
    pub(crate) comment: Option<String>,
}

impl Block {
    fn parse(text: &str) -> Self {
        let mut block = Self::default();
        for line in text.lines() {
            let (field, value) = line.split_once(':').unwrap();
            let value = value.trim_start();
            match field {
                "" => block.comment = Some(value.to_owned()),
                "id" => block.id = Some(value.parse().unwrap()),
                "event" => block.event = Some(value.to_owned()),
                "data" => block.data = Some(serde_json::from_str(value).unwrap()),
                "retry" => block.retry = Some(value.parse().unwrap()),
                other => panic!("{other} is no field"),
            }
        }
        block
    }

    pub(crate) fn is(&self, event: &str) -> bool {
        self.event.as_deref() == Some(event)
    }
}

impl Reader {
    pub(crate) fn of(response: Response) -> Self {
        let (head, body) = response.into_parts();
        Self {
            response: Response::from_parts(head, ()),
            body: Box::pin(body.into_data_stream()),
            buffer: String::new(),
        }
    }

    /// The next block; `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Block> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let block = Block::parse(block);
                self.buffer = rest.to_owned();
                return Some(block);
            }
            let piece = self.body.next().await?.unwrap();
            self.buffer.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    /// The numbers of the next `count` entries; other blocks are skipped.
    pub(crate) async fn numbers(&mut self, count: usize) -> Vec<u64> {
        let mut numbers = Vec::new();
        while numbers.len() < count {
            let block = self.next().await.unwrap();
            if let Some(sequence) = block
                .data
                .as_ref()
                .and_then(|data| data["sequence"].as_u64())
            {
                assert_eq!(block.id, Some(sequence));
                numbers.push(sequence);
            }
        }
        numbers
    }
}
