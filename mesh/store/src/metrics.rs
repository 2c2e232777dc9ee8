//! This crate's metrics: the outbox.

slipway_runtime::metrics! {
    pub fn describe;
    gauge OUTBOX_PENDING = "slipway_outbox_pending",
        "Events committed and not yet published, by service";
    gauge OUTBOX_HELD = "slipway_outbox_held",
        "Aggregates whose next event the bus refuses, by service; their later events wait";
}
