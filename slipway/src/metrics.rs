//! This crate's metrics: backups.

slipway_runtime::metrics! {
    pub(crate) fn describe;
    gauge BACKUP_LAST_SUCCESS = "slipway_backup_last_success_timestamp_seconds",
        "Time of the newest backup that the process made by itself";
    histogram BACKUP_SECONDS = "slipway_backup_duration_seconds",
        "Time such a backup took";
    counter BACKUPS_FAILED = "slipway_backups_failed_total",
        "Such backups that failed";
}
