//! This crate's metrics: the outbox, and work at due times.

slipway_runtime::metrics! {
    pub fn describe;
    gauge OUTBOX_PENDING = "slipway_outbox_pending",
        "Events committed and not yet published, by service";
    gauge OUTBOX_HELD = "slipway_outbox_held",
        "Aggregates whose next event the bus refuses, by service; their later events wait";
    histogram DUE_LATE_SECONDS = "slipway_due_late_seconds",
        "Time from when work was due to when it was begun, by work";
    counter DUE_FAILED = "slipway_due_failed_total",
        "Attempts of due work that failed; each is repeated until it succeeds, by work";
}
