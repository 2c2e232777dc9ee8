//! The metrics of all parts of Slipway, for the documentation. Each process has those of its role.

use slipway_runtime::telemetry::metrics::{Metric, own};

/// The metrics of each part, with the part's name.
pub const ALL: &[(&str, &[Metric])] = &[
    ("Process", own::METRICS),
    ("Process, as its system sees it", own::PROCESS),
    ("Gateway", gateway::metrics::METRICS),
    (
        "Releases, tasks and accounts",
        release_svc::metrics::METRICS,
    ),
    ("Discussions", forum_svc::metrics::METRICS),
    ("Assistant", chat_svc::metrics::METRICS),
    (
        "Activity feed, notifications, incidents",
        notify_svc::metrics::METRICS,
    ),
    (
        "Calls between processes, and connections",
        slipway_rpc::metrics::METRICS,
    ),
    ("Bus", slipway_bus::metrics::METRICS),
    (
        "Databases, outbox, work at due times",
        slipway_store::metrics::METRICS,
    ),
    ("SQLite", slipway_sqlite::metrics::METRICS),
];
