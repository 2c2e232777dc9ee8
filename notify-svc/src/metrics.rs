//! This crate's metrics: their names and help texts.

use metrics::{describe_counter, describe_gauge};

/// Entries appended to the activity log.
pub(crate) const ENTRIES_APPENDED: &str = "slipway_activity_entries_appended_total";
/// Entries deleted from the activity log because of their age.
pub(crate) const ENTRIES_PRUNED: &str = "slipway_activity_entries_pruned_total";
/// Streams of the activity log that are open.
pub(crate) const WATCHERS: &str = "slipway_activity_watchers";

/// Describes them to the recorder.
pub(crate) fn describe() {
    describe_counter!(ENTRIES_APPENDED, "Entries appended to the activity log");
    describe_counter!(
        ENTRIES_PRUNED,
        "Entries deleted from the activity log because of their age"
    );
    describe_gauge!(WATCHERS, "Streams of the activity log that are open");
}
