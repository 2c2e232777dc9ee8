//! The templates that come with Slipway.

/// Names, by which templates refer to each other, and sources. The ending decides about
/// escaping: `.html` is escaped.
macro_rules! files {
    ($($name:literal)*) => {
        /// Every file of `notify-svc/templates`.
        pub(super) const FILES: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../templates/", $name)))),*
        ];
    };
}

files! {
    "layout.html" "layout.txt" "facts.html" "button.html"
    "task.assigned.subject" "task.assigned.txt" "task.assigned.html"
    "task.hotfix_added.subject" "task.hotfix_added.txt" "task.hotfix_added.html"
    "task.stale_detected.subject" "task.stale_detected.txt" "task.stale_detected.html"
    "task.reminder_due.subject" "task.reminder_due.txt" "task.reminder_due.html"
}
