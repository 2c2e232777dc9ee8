//! The templates that come with Slipway.

use super::{Part, Source};

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

/// The files that a template may extend.
pub(super) const LAYOUTS: &[&str] = &["layout.html", "layout.txt"];

/// The files that a template may include: none of them has blocks.
pub(super) const INCLUDES: &[&str] = &["facts.html", "button.html", "quote.html"];

files! {
    "layout.html" "layout.txt" "facts.html" "button.html" "quote.html"
    "notification.digest.txt" "notification.digest.html"
    "task.assigned.subject" "task.assigned.txt" "task.assigned.html"
    "task.hotfix_added.subject" "task.hotfix_added.txt" "task.hotfix_added.html"
    "task.ready.subject" "task.ready.txt" "task.ready.html"
    "task.commented.subject" "task.commented.txt" "task.commented.html"
    "release.ready.subject" "release.ready.txt" "release.ready.html"
    "task.stale_detected.subject" "task.stale_detected.txt" "task.stale_detected.html"
    "task.reminder_due.subject" "task.reminder_due.txt" "task.reminder_due.html"
    "comment.posted.subject" "comment.posted.txt" "comment.posted.html"
    "comment.replied.subject" "comment.replied.txt" "comment.replied.html"
    "system.error.subject" "system.error.txt" "system.error.html"
}

/// The types that come with Slipway, by name.
pub(super) fn kinds() -> Vec<&'static str> {
    let mut kinds: Vec<_> = FILES
        .iter()
        .filter_map(|(name, _)| name.strip_suffix(".subject"))
        .collect();
    kinds.sort_unstable();
    kinds
}

/// The templates of one of them.
pub(super) fn source(kind: &str) -> Option<Source> {
    let file = |part: Part| {
        let name = part.name(kind);
        let file = FILES.iter().find(|(file, _)| *file == name);
        file.map(|(_, source)| (*source).to_owned())
    };
    Some(Source {
        subject: file(Part::Subject)?,
        text: file(Part::Text)?,
        html: file(Part::Html)?,
    })
}

/// Whether a file has this name, whatever its ending.
pub(super) fn is_file(kind: &str) -> bool {
    FILES
        .iter()
        .any(|(name, _)| name.rsplit_once('.').is_some_and(|(file, _)| file == kind))
}
