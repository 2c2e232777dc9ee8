//! The metrics of this crate.

use metrics::describe_counter;

/// Comments posted, by `event`: the type of their event.
pub(crate) const POSTED: &str = "slipway_comments_posted_total";
/// Comments changed, by `change`: edited, deleted.
pub(crate) const CHANGES: &str = "slipway_comment_changes_total";
/// Commands refused by a rule, by `code`: the same name as in release-svc.
pub(crate) const REFUSALS: &str = "slipway_refusals_total";
/// Replies that were begun and not finished, because a process ended in between.
pub(crate) const SETTLED: &str = "slipway_replies_settled_total";

pub(crate) fn describe() {
    describe_counter!(POSTED, "Comments posted, by type of event");
    describe_counter!(CHANGES, "Comments edited and deleted, by change");
    describe_counter!(REFUSALS, "Commands refused by a rule, by code");
    describe_counter!(
        SETTLED,
        "Replies left half-way by a process that ended, settled by another"
    );
}
