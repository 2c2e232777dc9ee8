//! The templates that come with Slipway.

use super::{Part, Source};

/// The name of a template, by which others refer to it, and the source in its file. The
/// ending of the name decides about escaping: `.html` is escaped.
macro_rules! file {
    ($name:expr, $($path:literal)+) => {
        ($name, include_str!(concat!("../../../templates/", $($path),+)))
    };
}

macro_rules! files {
    (shared: $($shared:literal)* types: $($kind:literal)* without_subject: $($bare:literal)*) => {
        /// Every file of `notify-svc/templates`: a directory for each type, and `shared`.
        pub(super) const FILES: &[(&str, &str)] = &[
            $(file!($shared, "shared/" $shared),)*
            $(
                file!(concat!($kind, ".subject"), $kind "/subject.txt"),
                file!(concat!($kind, ".txt"), $kind "/body.txt"),
                file!(concat!($kind, ".html"), $kind "/body.html"),
            )*
            $(
                file!(concat!($bare, ".txt"), $bare "/body.txt"),
                file!(concat!($bare, ".html"), $bare "/body.html"),
            )*
        ];
    };
}

/// The files that a template may extend.
pub(super) const LAYOUTS: &[&str] = &["layout.html", "layout.txt"];

/// The files that a template may include: none of them has blocks.
pub(super) const INCLUDES: &[&str] = &["facts.html", "button.html", "quote.html"];

files! {
    shared: "layout.html" "layout.txt" "facts.html" "button.html" "quote.html"
    types:
        "task.assigned"
        "task.hotfix_added"
        "task.ready"
        "task.paused"
        "task.commented"
        "task.stale_detected"
        "task.reminder_due"
        "task.recurrence_ended"
        "release.ready"
        "comment.posted"
        "comment.replied"
        "system.error"
        "user.reset_requested"
        "user.invited"
    without_subject: "notification.digest"
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
