//! This crate's metrics: calls of databases, the outbox, and work at due times.

use std::time::Instant;

use metrics::{Counter, Histogram, counter, histogram};

slipway_runtime::metrics! {
    pub fn describe;
    histogram CALL_SECONDS {store, operation} = "slipway_store_call_duration_seconds",
        "Time a call of a database took, by store and operation (get, list, count or write)";
    counter CALLS_FAILED {store, operation} = "slipway_store_calls_failed_total",
        "Calls of a database that failed, by store and operation";
    gauge OUTBOX_PENDING {service} = "slipway_outbox_pending",
        "Events committed and not yet published, by service. Of the whole database, read from it \
         every second: each replica has the same value, so take the maximum, not the sum";
    gauge OUTBOX_OLDEST_SECONDS {service} = "slipway_outbox_oldest_seconds",
        "Seconds since the oldest event that is not yet published was committed, by service; 0 if \
         there is none. Of the whole database: take the maximum";
    gauge OUTBOX_HELD {service} = "slipway_outbox_held",
        "Aggregates whose next event the bus refuses, by service; their later events wait";
    histogram DUE_LATE_SECONDS {work} = "slipway_due_late_seconds",
        "Time from when work was due to when it was begun, by work";
    counter DUE_FAILED {work} = "slipway_due_failed_total",
        "Attempts of due work that failed, and due documents that cannot be read; each is repeated \
         until it succeeds, by work";
}

/// The kinds of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Reads documents by id or unique key.
    Get,
    /// Reads a part of a list.
    List,
    /// Counts entries of an index.
    Count,
    /// Changes documents.
    Write,
}

impl Operation {
    const ALL: [Self; 4] = [Self::Get, Self::List, Self::Count, Self::Write];

    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Count => "count",
            Self::Write => "write",
        }
    }
}

/// Measures the calls of one store. The metrics are looked up once, because there are many calls.
pub(crate) struct Calls([(Histogram, Counter); 4]);

impl Calls {
    pub(crate) fn of(store: &str) -> Self {
        Self(Operation::ALL.map(|operation| {
            let (store, operation) = (store.to_owned(), operation.as_str());
            let failed = counter!(CALLS_FAILED, "store" => store.clone(), "operation" => operation);
            failed.increment(0);
            let seconds = histogram!(CALL_SECONDS, "store" => store, "operation" => operation);
            (seconds, failed)
        }))
    }

    /// Waits for a call and records it.
    pub(crate) async fn measured<T, E>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let begun = Instant::now();
        let result = call.await;
        let (seconds, failed) = &self.0[operation as usize];
        seconds.record(begun.elapsed());
        if result.is_err() {
            failed.increment(1);
        }
        result
    }
}
