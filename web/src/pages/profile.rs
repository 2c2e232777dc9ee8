//! The visitor's account: password and sessions.

use maud::{Markup, html};
use slipway_proto::identity::v1::{GetMeRequest, ListSessionsRequest, SessionKind, SessionSummary};
use slipway_rpc::error::Fault;

use super::Page;
use crate::{
    parts::{Input, button, input, more, person},
    times::when,
    visit::Visit,
};

const PASSWORD: &str = "/ui/password";

pub(super) async fn page(visit: &Visit) -> Result<Page, Fault> {
    let me = async {
        let request = visit.request(GetMeRequest {});
        let answer = visit.services().identity.clone().get_me(request).await?;
        Ok::<_, Fault>(answer.into_inner().user.unwrap_or_default())
    };
    let sessions = async {
        let request = visit.request(ListSessionsRequest {
            page_size: 50,
            page_token: visit.query.get("cursor").to_owned(),
        });
        let answer = visit
            .services()
            .identity
            .clone()
            .list_sessions(request)
            .await?;
        Ok(answer.into_inner())
    };
    let (me, sessions) = tokio::try_join!(me, sessions)?;
    Page::new(
        "Profile",
        html! {
            h1 { (person(&me.username)) }
            p.facts {
                span { bdi { (me.email) } } " "
                span { @if visit.is_admin() { "Admin" } @else { "Developer" } }
                " " span { "since " (when(me.created_at.as_ref(), visit.now)) }
            }
            details.card open[visit.is_again(PASSWORD)] {
                summary { "Change the password" }
                (visit.form(PASSWORD, "stack", &html! {
                // For password managers.
                input type="text" autocomplete="username" value=(me.username) hidden;
                    (input(&Input {
                        label: "Current password",
                        name: "current",
                        kind: "password",
                        autocomplete: "current-password",
                        ..Input::default()
                    }))
                    (input(&Input {
                        label: "New password",
                        name: "new",
                        kind: "password",
                        autocomplete: "new-password",
                        ..Input::default()
                    }))
                    p.hint { "All your other sessions end." }
                    (button("Change the password", "main"))
                }))
            }
            section {
                h2 { "Sessions" }
                ul.list { @for session in &sessions.sessions { li.card { (row(visit, session)) } } }
                (more(visit, &sessions.next_page_token, "Older sessions"))
                (visit.form("/ui/sessions/end", "act", &button("Sign out everywhere", "danger")))
            }
        },
    )
}

fn row(visit: &Visit, session: &SessionSummary) -> Markup {
    let kind = match session.kind() {
        SessionKind::Browser => "Browser",
        SessionKind::Api | SessionKind::Unspecified => "Program",
    };
    html! {
        p.facts {
            span.state.(if session.current { "doing" } else { "todo" }) {
                @if session.current { "This session" } @else { (kind) }
            }
            " " span { "begun " (when(session.created_at.as_ref(), visit.now)) }
            " " span { "last used " (when(session.last_seen_at.as_ref(), visit.now)) }
            @if !session.address.is_empty() { " " span { "from " code { (session.address) } } }
        }
        @if !session.user_agent.is_empty() { p.hint { bdi { (session.user_agent) } } }
        @if !session.current {
            (visit.form("/ui/sessions/end", "act", &html! {
                input type="hidden" name="id" value=(session.id);
                (button("End it", ""))
            }))
        }
    }
}
