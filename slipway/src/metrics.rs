//! The metrics of this crate, and those of all parts of Slipway, for the documentation. Each process
//! has those of its role.

use slipway_runtime::telemetry::metrics::{Metric, own};

slipway_runtime::metrics! {
    pub(crate) fn describe;
    gauge BACKUP_LAST_SUCCESS = "slipway_backup_last_success_timestamp_seconds",
        "Time of the newest backup that the process made by itself";
    histogram BACKUP_SECONDS = "slipway_backup_duration_seconds",
        "Time such a backup took";
    counter BACKUPS_FAILED = "slipway_backups_failed_total",
        "Such backups that failed";
    gauge ENDED_SESSIONS_AGE = "slipway_ended_sessions_age_seconds",
        "Time since release-svc last told which sessions have ended, in the other processes; \
         normally below 2. Until it does, tokens of ended sessions stay valid";
}

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
    ("Backups, and processes in general", METRICS),
];
