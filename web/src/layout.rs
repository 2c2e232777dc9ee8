//! What all pages have: head, navigation, and the place for the content.

use maud::{DOCTYPE, Markup, html};

use crate::{
    assets,
    parts::{button, person, refused},
    place::Place,
    visit::Visit,
};

/// A page for a user.
pub(crate) fn page(visit: &Visit, title: &str, content: &Markup) -> Markup {
    let place = Place::of(&visit.path);
    let link = |to: &str, text: &str| {
        let current = match place {
            Some(place) if Some(place) == Place::of(to) => Some("page"),
            Some(place) if place.is_within(to) => Some("true"),
            _ => None,
        };
        // The script fills in what is unread.
        let unread = match to {
            "/activity" => Some("activity"),
            "/notifications" => Some("notifications"),
            _ => None,
        };
        html! {
            a href=(to) aria-current=[current] {
                (text)
                @if let Some(unread) = unread { span.unread data-unread=(unread) {} }
            }
        }
    };
    let body = html! {
        header.top {
            a.brand href="/" { "Slipway" }
            nav aria-label="Main" {
                (link("/", "My work"))
                (link("/releases", "Releases"))
                (link("/activity", "Activity"))
                (link("/overview", "Overview"))
                (link("/assistant", "Assistant"))
                (link("/notifications", "Notifications"))
                @if visit.is_admin() {
                    @let is_here = visit.path.starts_with("/admin");
                    a href="/admin" aria-current=[is_here.then_some("true")] { "Administration" }
                }
            }
            div.account {
                @let is_here = place == Some(Place::Profile);
                a href="/profile" aria-current=[is_here.then_some("page")] { (person(&visit.user.username)) }
                form method="post" action="/ui/sign-out" { (button("Sign out", "quiet")) }
            }
        }
        main #main tabindex="-1" {
            @if visit.path.starts_with("/admin") {
                nav.tabs aria-label="Administration" {
                    (link("/admin", "System"))
                    (link("/admin/incidents", "Incidents"))
                    (link("/admin/dead-letters", "Dead letters"))
                    (link("/admin/templates", "Templates"))
                    (link("/admin/notifications", "Mails"))
                    (link("/admin/users", "Accounts"))
                }
            }
            (refused(visit.fault()))
            (content)
        }
        p #news.sr aria-live="polite" {}
    };
    document(title, &body, true)
}

/// A page for somebody who is not signed in, or that says what is wrong.
pub(crate) fn bare(title: &str, content: &Markup) -> Markup {
    let body = html! {
        header.top { a.brand href="/" { "Slipway" } }
        main #main.narrow tabindex="-1" { (content) }
    };
    document(title, &body, false)
}

fn document(title: &str, body: &Markup, live: bool) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Slipway" }
                link rel="icon" type="image/svg+xml" href=(assets::address("icon.svg"));
                link rel="stylesheet" href=(assets::address("slipway.css"));
                @if live {
                    script type="module" src=(assets::address("slipway.js"))
                        data-stream=(assets::address("stream.js")) {}
                }
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                (body)
            }
        }
    }
}
