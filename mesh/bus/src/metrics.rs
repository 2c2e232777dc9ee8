//! This crate's metrics: events and consumer groups.

slipway_runtime::metrics! {
    pub fn describe;
    counter EVENTS_PUBLISHED = "slipway_events_published_total",
        "Events acknowledged by the bus, by topic";
    counter EVENTS_CONSUMED = "slipway_events_consumed_total",
        "Events whose effect is stored, by group and topic";
    counter EVENTS_RETRIED = "slipway_events_retried_total",
        "Retries of batches after a transient failure, by group";
    counter EVENTS_DEFERRED = "slipway_events_deferred_total",
        "Events sent to a retry topic, by group and tier";
    counter EVENTS_DEAD = "slipway_events_dead_lettered_total",
        "Events that became dead letters, by group, topic and cause";
    gauge CONSUMER_HELD_SECONDS = "slipway_consumer_held_seconds",
        "Seconds for which the current batch has been retried, by group; 0 if none is";
    histogram EVENT_LAG_SECONDS = "slipway_event_lag_seconds",
        "Time from an event to its stored effect, by group";
}
