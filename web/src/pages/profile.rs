//! The visitor's account: name, time zone, address, password, tokens for programs, and sessions.

use maud::{Markup, html};
use slipway_proto::identity::v1::{
    GetMeRequest, GetMeResponse, ListSessionsRequest, ListTokensRequest, ProgramToken, SessionKind,
    SessionSummary, TokenScope, User,
};
use slipway_proto::notify::v1::GetPreferencesRequest;
use slipway_rpc::error::Fault;

use super::{Page, sign_in::options};
use crate::{
    parts::{Input, button, input, more, person},
    times::{read, when},
    visit::Visit,
};

const PROFILE: &str = "/ui/profile";
const EMAIL: &str = "/ui/profile/email";
const PASSWORD: &str = "/ui/password";
const TOKENS: &str = "/ui/tokens";

/// What a token for programs allows: the value of the field, and its name.
pub(crate) const SCOPES: [(&str, &str, TokenScope); 3] = [
    ("READ", "read", TokenScope::Read),
    ("WORK", "do what a developer does", TokenScope::Work),
    ("ADMIN", "do everything that I may", TokenScope::Admin),
];

/// How many days a token can be valid.
const DAYS: [&str; 4] = ["7", "30", "90", "365"];

pub(super) async fn page(visit: &Visit) -> Result<Page, Fault> {
    let me = async {
        let request = visit.request(GetMeRequest {});
        let answer = visit.services().identity.clone().get_me(request).await?;
        Ok::<_, Fault>(answer.into_inner())
    };
    // The rest of the page does not need the preferences.
    let zone = async {
        let request = visit.request(GetPreferencesRequest {});
        let preferences = visit.services().preferences.clone();
        let answer = { preferences }.get_preferences(request).await.ok()?;
        Some(answer.into_inner().preferences?.preferences?.time_zone)
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
    let tokens = async {
        let request = visit.request(ListTokensRequest {
            page_size: 200,
            page_token: String::new(),
        });
        let identity = visit.services().identity.clone();
        let answer = { identity }.list_tokens(request).await?;
        Ok(answer.into_inner().tokens)
    };
    let zone = async { Ok(zone.await) };
    let provider = async {
        let options = options(visit.web(), visit.outbound()).await;
        Ok(options.provider.map(|provider| provider.name))
    };
    let (own, zone, sessions, tokens, provider) =
        tokio::try_join!(me, zone, sessions, tokens, provider)?;
    let me = own.user.clone().unwrap_or_default();
    Page::new(
        "Profile",
        html! {
            h1 { (person(&me.username)) }
            p.facts {
                span { bdi { (me.email) } } " "
                span { @if visit.is_admin() { "Admin" } @else { "Developer" } }
                " " span { "since " (when(me.created_at.as_ref(), visit.now)) }
            }
            (personal(visit, &me, own.revision, zone.as_deref()))
            (email(visit, &own, &me, provider.as_deref()))
            @if own.has_password || visit.is_again(PASSWORD) { (password(visit, &me)) }
            section {
                h2 #tokens { "Tokens for programs" }
                @if tokens.is_empty() { p.empty { "None. A program that works for you gets one here, and needs no password." } }
                ul.list { @for token in &tokens { li.card { (token_row(visit, token)) } } }
                (create_token(visit))
            }
            section {
                h2 { "Sessions" }
                ul.list { @for session in &sessions.sessions { li.card { (row(visit, session)) } } }
                (more(visit, &sessions.next_page_token, "Older sessions"))
                (visit.form("/ui/sessions/end-all", "act", &button("Sign out everywhere", "danger")))
            }
        },
    )
}

fn personal(visit: &Visit, me: &User, revision: u64, zone: Option<&str>) -> Markup {
    let value = |name, now| visit.typed(PROFILE, name, now);
    html! {
        (visit.form(PROFILE, "card", &html! {
            input type="hidden" name="revision" value=(revision);
            div.pair {
                (input(&Input {
                    label: "Name, as people call you",
                    name: "display_name",
                    value: value("display_name", &me.display_name),
                    autocomplete: "name",
                    required: false,
                    ..Input::default()
                }))
                @if let Some(zone) = zone {
                    (input(&Input {
                        label: "Time zone, such as Europe/Berlin",
                        name: "zone",
                        value: value("zone", zone),
                        ..Input::default()
                    }))
                }
            }
            (button("Save", "main"))
        }))
    }
}

/// The address: where it comes from, or how to change it. Whoever has no password cannot.
fn email(visit: &Visit, own: &GetMeResponse, me: &User, provider: Option<&str>) -> Markup {
    let pending = &own.pending_email;
    html! {
        @if own.email_from_provider {
            p.card {
                "Your email address comes from " bdi { (provider.unwrap_or("the identity provider")) }
                ". Change it there: once it is verified, your account has it from your next sign-in on."
            }
        } @else if own.has_password || visit.is_again(EMAIL) {
            details.card open[visit.is_again(EMAIL) || !pending.is_empty()] {
                summary { "Change the email address" }
                @if !pending.is_empty() {
                    p role="status" { "A mail to " bdi { (pending) } " has a link to confirm it. Until then your address stays " bdi { (me.email) } "." }
                }
                (visit.form(EMAIL, "stack", &html! {
                    (input(&Input {
                        label: "New email address",
                        name: "email",
                        kind: "email",
                        value: visit.typed(EMAIL, "email", ""),
                        autocomplete: "email",
                        ..Input::default()
                    }))
                    (current_password())
                    p.hint { "You get a mail there with a link. The address counts once you have used it." }
                    (button("Send me the link", "main"))
                }))
            }
        }
    }
}

fn password(visit: &Visit, me: &User) -> Markup {
    html! {
        details.card open[visit.is_again(PASSWORD)] {
            summary { "Change the password" }
            (visit.form(PASSWORD, "stack", &html! {
                // For password managers.
                input type="text" autocomplete="username" value=(me.username) hidden;
                (current_password())
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
    }
}

fn current_password() -> Markup {
    input(&Input {
        label: "Current password",
        name: "current",
        kind: "password",
        autocomplete: "current-password",
        ..Input::default()
    })
}

fn token_row(visit: &Visit, token: &ProgramToken) -> Markup {
    let scope = SCOPES.iter().find(|(.., scope)| *scope == token.scope());
    let is_expired = read(token.expires_at.as_ref()).is_some_and(|end| end <= visit.now);
    html! {
        div.row {
            div {
                h3.title { bdi { (token.name) } }
                p.facts {
                    @if is_expired { span.state.todo { "Expired" } " " }
                    code { (token.prefix) "…" }
                    " " span { (scope.map_or("", |(_, name, _)| name)) }
                    " " span { "created " (when(token.created_at.as_ref(), visit.now)) }
                    " " span {
                        @if token.last_used_at.is_some() { "last used " (when(token.last_used_at.as_ref(), visit.now)) }
                        @else { "never used" }
                    }
                    " " span { "until " (when(token.expires_at.as_ref(), visit.now)) }
                }
            }
            div.does {
                (visit.form("/ui/tokens/revoke", "act", &html! {
                    input type="hidden" name="id" value=(token.id);
                    (button("Revoke", "danger"))
                }))
            }
        }
    }
}

fn create_token(visit: &Visit) -> Markup {
    let value = |name, otherwise| visit.typed(TOKENS, name, otherwise);
    html! {
        details.card open[visit.is_again(TOKENS)] {
            summary { "Create a token" }
            (visit.form(TOKENS, "stack", &html! {
                (input(&Input {
                    label: "Name: which program is it for?",
                    name: "name",
                    value: value("name", ""),
                    ..Input::default()
                }))
                div.pair {
                    label.field {
                        span { "It may" }
                        select name="scope" {
                            @for (scope, name, _) in SCOPES {
                                option value=(scope) selected[scope == value("scope", "READ")] { (name) }
                            }
                        }
                    }
                    label.field {
                        span { "Valid for" }
                        select name="days" {
                            @for days in DAYS {
                                option value=(days) selected[days == value("days", "90")] { (days) " days" }
                            }
                        }
                    }
                }
                (button("Create the token", "main"))
            }))
        }
    }
}

/// A new token, which is shown only now.
pub(crate) fn new_token(name: &str, secret: &str) -> Markup {
    html! {
        section.card.now role="status" {
            h2.title { "The token for " bdi { (name) } }
            p { code.secret { (secret) } }
            p.hint { "Copy it now: it is shown only this once. The program sends it as " code { "Authorization: Bearer …" } "." }
        }
    }
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
