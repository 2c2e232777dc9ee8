//! This crate's metrics: their names and help texts.

use metrics::{describe_counter, describe_gauge};

/// Entries appended to the activity log.
pub(crate) const ENTRIES_APPENDED: &str = "slipway_activity_entries_appended_total";
/// Entries deleted from the activity log because of their age.
pub(crate) const ENTRIES_PRUNED: &str = "slipway_activity_entries_pruned_total";
/// Streams of the activity log that are open.
pub(crate) const WATCHERS: &str = "slipway_activity_watchers";

/// Dead letters filed.
pub(crate) const DEAD_LETTERS_FILED: &str = "slipway_dead_letters_filed_total";
/// Dead letters sent back to their groups.
pub(crate) const DEAD_LETTERS_REPLAYED: &str = "slipway_dead_letters_replayed_total";

/// Describes them to the recorder.
pub(crate) fn describe() {
    describe_counter!(ENTRIES_APPENDED, "Entries appended to the activity log");
    describe_counter!(
        ENTRIES_PRUNED,
        "Entries deleted from the activity log because of their age"
    );
    describe_counter!(DEAD_LETTERS_FILED, "Dead letters filed, of all groups");
    describe_counter!(
        DEAD_LETTERS_REPLAYED,
        "Dead letters sent back to their groups by administrators"
    );
    describe_gauge!(WATCHERS, "Streams of the activity log that are open");
}
