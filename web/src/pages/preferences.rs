//! What is mailed to the visitor, and when.

use maud::{Markup, html};
use slipway_proto::notify::v1::{
    GetPreferencesRequest, Preferences, QuietHours, QuietMode, StoredPreferences,
};
use slipway_rpc::error::Fault;

use super::Page;
use crate::{
    parts::{Input, button, input},
    times::when,
    visit::Visit,
};

const SAVE: &str = "/ui/preferences";

pub(super) async fn page(visit: &Visit) -> Result<Page, Fault> {
    let request = visit.request(GetPreferencesRequest {});
    let answer = visit
        .services()
        .preferences
        .clone()
        .get_preferences(request)
        .await?;
    let stored = answer.into_inner().preferences.unwrap_or_default();
    let now = stored.preferences.clone().unwrap_or_default();
    let quiet = now.quiet_hours.clone().unwrap_or_default();
    Page::new(
        "Preferences",
        html! {
            nav.crumbs aria-label="Breadcrumb" { a href="/notifications" { "Notifications" } }
            h1 { "Preferences" }
            @if stored.updated_at.is_some() {
                p.facts { span { "saved " (when(stored.updated_at.as_ref(), visit.now)) } }
            }
            (visit.form(SAVE, "card", &html! {
                input type="hidden" name="revision" value=(stored.revision);
                (tick(visit, "email", "true", now.email, "Send me mails"))
                (line(visit, "Time zone, such as Europe/Berlin", "zone", &now.time_zone))
                (quiet_hours(visit, &quiet))
                (types(visit, &stored, &now))
                (button("Save", "main"))
            }))
        },
    )
}

fn quiet_hours(visit: &Visit, quiet: &QuietHours) -> Markup {
    let mode = match quiet.mode() {
        QuietMode::Skip => "skip",
        QuietMode::Defer | QuietMode::Unspecified => "defer",
    };
    let mode = visit.typed(SAVE, "mode", mode);
    html! {
        fieldset {
            legend { "Quiet hours" }
            (tick(visit, "quiet", "true", quiet.enabled, "No mails in these hours, apart from hotfixes and system errors"))
            div.pair {
                (line(visit, "From, such as 22:00", "start", &quiet.start))
                (line(visit, "Until, such as 07:00", "end", &quiet.end))
                (line(visit, "Their time zone, if it is another one", "quiet_zone", &quiet.time_zone))
                label.field {
                    span { "What happens in them" }
                    select name="mode" {
                        option value="defer" selected[mode != "skip"] { "Is mailed afterwards" }
                        option value="skip" selected[mode == "skip"] { "Is not mailed" }
                    }
                }
            }
        }
    }
}

fn types(visit: &Visit, stored: &StoredPreferences, now: &Preferences) -> Markup {
    html! {
        fieldset {
            legend { "What is mailed" }
            div.pair {
                @for kind in &stored.types {
                    div {
                        input type="hidden" name="type" value=(kind);
                        (tick(visit, "wanted", kind, !now.muted.contains(kind), kind))
                    }
                }
            }
        }
    }
}

fn tick(visit: &Visit, name: &str, value: &str, now: bool, text: &str) -> Markup {
    html! {
        label.check {
            input type="checkbox" name=(name) value=(value) checked[visit.ticked(SAVE, name, value, now)];
            " " (text)
        }
    }
}

fn line(visit: &Visit, label: &str, name: &str, now: &str) -> Markup {
    input(&Input {
        label,
        name,
        value: visit.typed(SAVE, name, now),
        required: false,
        ..Input::default()
    })
}
