//! This crate's metrics.

slipway_runtime::metrics! {
    pub fn describe;
    counter POSTED {event} = "slipway_comments_posted_total", "Comments posted, by type of event";
    counter CHANGES {change} = "slipway_comment_changes_total",
        "Comments edited and deleted, by change";
    counter REFUSALS {code} = "slipway_refusals_total", "Commands refused by a rule, by code";
    counter SETTLED = "slipway_replies_settled_total",
        "Replies left half-way by a process that ended, settled by another";
}
