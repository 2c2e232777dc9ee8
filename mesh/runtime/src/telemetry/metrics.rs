//! The metrics of this crate, and the recorder they go to.

use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

/// 1, with what this process is: its `version`, `role` and the cargo `features` it was built with.
pub const BUILD_INFO: &str = "slipway_build_info";
/// gRPC calls served, by `method` and `code`.
pub const RPC_CALLS: &str = "slipway_rpc_calls_total";
/// Time a gRPC call took, by `method`.
pub const RPC_SECONDS: &str = "slipway_rpc_duration_seconds";
/// Open client connections, by `listener`: `http`, `grpc` or `ops`.
pub const CONNECTIONS: &str = "slipway_connections";
/// Client connections refused because all others were busy, by `listener`.
pub const CONNECTIONS_REFUSED: &str = "slipway_connections_refused_total";
/// Client connections closed before their client did, by `reason`: `idle` (to make room),
/// `unread` (the same, of one that does not read its answer) or `silent` (no request came).
pub const CONNECTIONS_CLOSED: &str = "slipway_connections_closed_total";
/// Requests refused because too many were in flight, by `listener`.
pub const REQUESTS_REFUSED: &str = "slipway_requests_refused_total";
/// gRPC calls made to services in other processes, by `service` and `code`.
pub const LINK_CALLS: &str = "slipway_link_calls_total";
/// Further attempts of calls without an effect, by `service`.
pub const LINK_RETRIES: &str = "slipway_link_retries_total";
/// Addresses taken out, by `service` and `reason`: `lost` or `silent`.
pub const LINK_EJECTIONS: &str = "slipway_link_ejections_total";
/// Addresses that take calls, by `service`.
pub const LINK_ADDRESSES: &str = "slipway_link_addresses";
/// 1 while a service has no address that takes calls, by `service`.
pub const LINK_OPEN: &str = "slipway_link_circuit_open";
/// Events acknowledged by the bus, by `topic`.
pub const EVENTS_PUBLISHED: &str = "slipway_events_published_total";
/// Events whose effect is stored, by `group` and `topic`.
pub const EVENTS_CONSUMED: &str = "slipway_events_consumed_total";
/// Batches tried again while what they need is away, by `group`.
pub const EVENTS_RETRIED: &str = "slipway_events_retried_total";
/// Events sent to a retry topic, by `group` and `tier`.
pub const EVENTS_DEFERRED: &str = "slipway_events_deferred_total";
/// Events put aside as dead letters, by `group`, `topic` and `cause`.
pub const EVENTS_DEAD: &str = "slipway_events_dead_lettered_total";
/// How long the batch in hand has been held up, by `group`; 0 if none is.
pub const CONSUMER_HELD_SECONDS: &str = "slipway_consumer_held_seconds";
/// Time from an event to its stored effect, by `group`.
pub const EVENT_LAG_SECONDS: &str = "slipway_event_lag_seconds";
/// Events committed and not yet published, by `service`.
pub const OUTBOX_PENDING: &str = "slipway_outbox_pending";
/// Aggregates whose next event the bus refuses, by `service`: it waits with what is behind it.
pub const OUTBOX_HELD: &str = "slipway_outbox_held";
/// Writes that shared one commit, by `store`.
pub const STORE_BATCH: &str = "slipway_store_commit_batch_size";
/// Time a commit took, by `store`.
pub const STORE_COMMIT_SECONDS: &str = "slipway_store_commit_duration_seconds";
/// 0 while a database takes no writes, else 1, by `store`.
pub const STORE_WRITABLE: &str = "slipway_store_writable";

const SECONDS: &[f64] = &[
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const SIZES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// How often the samples of histograms are summed up. Until then each is kept, so without it
/// a process that nobody scrapes would grow with every request.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Sums up samples until `stop`.
pub async fn upkeep(handle: PrometheusHandle, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(UPKEEP_EVERY) => handle.run_upkeep(),
        }
    }
}

/// Starts recording for this process; the handle renders what was recorded. [`upkeep`] has to
/// run as long as it is recorded.
///
/// # Errors
/// If another recorder is there already.
pub fn init() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_size".into()), SIZES)?
        .install_recorder()?;
    describe();
    Ok(handle)
}

/// Says what this process is.
pub fn build_info(version: &'static str, role: &'static str, features: &'static str) {
    metrics::gauge!(
        BUILD_INFO, "version" => version, "role" => role, "features" => features
    )
    .set(1.0);
}

fn describe() {
    describe_gauge!(
        BUILD_INFO,
        "1, with what this process is: its version, role and the cargo features it was built with"
    );
    describe_counter!(RPC_CALLS, "gRPC calls served, by method and code");
    describe_histogram!(
        RPC_SECONDS,
        Unit::Seconds,
        "Time a gRPC call took, by method"
    );
    describe_gauge!(
        CONNECTIONS,
        "Open client connections, by listener (http, grpc or ops)"
    );
    describe_counter!(
        CONNECTIONS_REFUSED,
        "Client connections refused because all others were busy, by listener"
    );
    describe_counter!(
        CONNECTIONS_CLOSED,
        "Client connections closed before their client did, by reason (idle: to make room; unread: the same, with an answer that nobody reads; silent: no request came)"
    );
    describe_counter!(
        REQUESTS_REFUSED,
        "Requests refused because too many were in flight, by listener"
    );
    describe_counter!(
        LINK_CALLS,
        "gRPC calls made to services in other processes, by service and code"
    );
    describe_counter!(
        LINK_RETRIES,
        "Further attempts of calls without an effect, by service"
    );
    describe_counter!(
        LINK_EJECTIONS,
        "Addresses taken out, by service and reason (lost or silent)"
    );
    describe_gauge!(LINK_ADDRESSES, "Addresses that take calls, by service");
    describe_gauge!(
        LINK_OPEN,
        "1 while a service has no address that takes calls, by service"
    );
    describe_counter!(EVENTS_PUBLISHED, "Events acknowledged by the bus, by topic");
    describe_counter!(
        EVENTS_CONSUMED,
        "Events whose effect is stored, by group and topic"
    );
    describe_counter!(
        EVENTS_RETRIED,
        "Batches tried again while what they need is away, by group"
    );
    describe_counter!(
        EVENTS_DEFERRED,
        "Events sent to a retry topic, by group and tier"
    );
    describe_counter!(
        EVENTS_DEAD,
        "Events put aside as dead letters, by group, topic and cause"
    );
    describe_gauge!(
        CONSUMER_HELD_SECONDS,
        Unit::Seconds,
        "How long the batch in hand has been held up, by group; 0 if none is"
    );
    describe_histogram!(
        EVENT_LAG_SECONDS,
        Unit::Seconds,
        "Time from an event to its stored effect, by group"
    );
    describe_gauge!(
        OUTBOX_PENDING,
        "Events committed and not yet published, by service"
    );
    describe_gauge!(
        OUTBOX_HELD,
        "Aggregates whose next event the bus refuses, by service: it waits with what is behind it"
    );
    describe_histogram!(STORE_BATCH, "Writes that shared one commit, by store");
    describe_histogram!(
        STORE_COMMIT_SECONDS,
        Unit::Seconds,
        "Time a commit took, by store"
    );
    describe_gauge!(
        STORE_WRITABLE,
        "0 while a database takes no writes, else 1, by store"
    );
}
