//! The pages for those who are not signed in.

use axum::response::Response;
use form_urlencoded::byte_serialize;
use http::StatusCode;
use maud::{Markup, html};
use slipway_proto::identity::v1::{
    GetSignInOptionsRequest, GetSignInOptionsResponse, IdentityProvider,
};
use slipway_rpc::{error::Fault, grpc::Outbound};

use crate::{
    Web,
    answer::{self, page},
    fields::{Fields, label},
    layout::bare,
    parts::{Input, area, button, input, person, refused},
    provider::START,
    visit::Again,
};

/// A form that was sent after its session had ended: it goes through the sign-in as hidden fields.
pub(crate) struct Draft {
    action: String,
    fields: Vec<(String, String)>,
}

/// The hidden field with the action of a draft, and what begins the names of its fields.
const ACTION: &str = "draft";
const FIELD: &str = "draft.";

/// The most bytes of a draft: it is sent again with the sign-in, whose body can have 256 KiB.
const LARGEST_DRAFT: usize = 200 * 1024;

impl Draft {
    /// What was sent, without passwords.
    pub(crate) fn of(again: &Again) -> Option<Self> {
        if !keeps(again) {
            return None;
        }
        let fields = again.fields.iter();
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Some(Self {
            action: again.action.clone(),
            fields: fields.collect(),
        })
    }

    /// The draft in the fields of a sign-in.
    pub(crate) fn of_form(form: &Fields) -> Option<Self> {
        let action = form
            .filled(ACTION)
            .filter(|action| action.starts_with("/ui/"))?;
        let fields = form.iter();
        let fields = fields.filter_map(|(name, value)| {
            let name = name.strip_prefix(FIELD)?;
            Some((name.to_owned(), value.to_owned()))
        });
        Some(Self {
            action: action.to_owned(),
            fields: fields.collect(),
        })
    }

    fn hidden(&self) -> Markup {
        html! {
            input type="hidden" name=(ACTION) value=(self.action);
            @for (name, value) in &self.fields {
                input type="hidden" name={ (FIELD) (name) } value=(value);
            }
        }
    }
}

/// Whether a form is kept as a draft: not one with passwords, and not one that the sign-in could
/// not take.
pub(crate) fn keeps(again: &Again) -> bool {
    let is_secret = [
        "/ui/password",
        "/ui/profile/email",
        "/ui/sign-",
        "/ui/users",
    ];
    let mut is_secret = is_secret.iter();
    !is_secret.any(|start| again.action.starts_with(start))
        && again.fields.encoded_len() <= LARGEST_DRAFT
}

/// The page after a sign-in of this user with a draft: a click sends it.
pub(crate) fn send_again(next: &str, username: &str, draft: &Draft) -> Response {
    let content = html! {
        h1 { "You are signed in again" }
        p { "You are " (person(username)) "." }
        form.card method="post" action=(draft.action) {
            p { "What you were sending has not been sent yet." }
            @for (name, value) in &draft.fields {
                @match label(name).filter(|_| !value.is_empty()) {
                    Some(label) => (area(label, name, value, 3, false)),
                    None => { input type="hidden" name=(name) value=(value); },
                }
            }
            (button("Send it now", "main"))
        }
        p { a href=(next) { "Do not send it" } }
    };
    page(StatusCode::OK, bare("Signed in again", &content))
}

/// A visit to the page to sign in.
pub(crate) struct SignIn<'a> {
    /// The status of the page.
    pub(crate) status: StatusCode,
    /// Where it leads.
    pub(crate) next: &'a str,
    /// The name that was typed.
    pub(crate) name: &'a str,
    /// Why it is shown.
    pub(crate) fault: Option<&'a Fault>,
    /// A form that is to be sent afterwards.
    pub(crate) draft: Option<&'a Draft>,
}

impl<'a> SignIn<'a> {
    /// A visit that leads to `next`.
    pub(crate) fn to(status: StatusCode, next: &'a str) -> Self {
        Self {
            status,
            next,
            name: "",
            fault: None,
            draft: None,
        }
    }
}

/// How people can sign in. While nobody knows, with a password: that form says why it fails.
pub(super) async fn options(web: &Web, outbound: &Outbound) -> GetSignInOptionsResponse {
    let request = outbound.request(GetSignInOptionsRequest {});
    let identity = web.services.identity.clone();
    let answer = { identity }.get_sign_in_options(request).await;
    answer.map_or_else(
        |_| GetSignInOptionsResponse {
            passwords: true,
            provider: None,
            registration: true,
        },
        tonic::Response::into_inner,
    )
}

/// The page to sign in.
pub(crate) async fn sign_in(web: &Web, outbound: &Outbound, visit: SignIn<'_>) -> Response {
    let options = options(web, outbound).await;
    let form = form(&visit);
    let content = html! {
        (refused(visit.fault))
        h1 { "Sign in" }
        @if let Some(provider) = &options.provider { (way_to(provider, visit.next)) }
        @if options.passwords {
            (form)
            @if options.registration { p { "No account yet? " a href="/sign-up" { "Create one" } "." } }
            p.hint {
                "Whoever started this server has the account “admin”. Its password was printed at the first start."
            }
        } @else {
            details open[visit.fault.is_some()] {
                summary { "Sign in with a password, as the administrator who may" }
                (form)
            }
        }
    };
    shown(visit.status, visit.fault, "Sign in", &content)
}

/// The way to the identity provider.
fn way_to(provider: &IdentityProvider, next: &str) -> Markup {
    let next: String = byte_serialize(next.as_bytes()).collect();
    html! {
        section.card {
            @if provider.available {
                p { a.button href={ (START) "?next=" (next) } { "Sign in with " bdi { (provider.name) } } }
            } @else {
                p role="status" {
                    bdi { (provider.name) } " cannot be reached at the moment. "
                    a href={ (START) "?next=" (next) } { "Try it nevertheless" } "."
                }
            }
            @if !provider.sign_out_url.is_empty() {
                p.hint {
                    "Somebody else is signed in there? "
                    a href=(provider.sign_out_url) { "Sign out of " bdi { (provider.name) } } "."
                }
            }
        }
    }
}

fn form(visit: &SignIn<'_>) -> Markup {
    html! {
        form.card method="post" action="/ui/sign-in" {
            input type="hidden" name="next" value=(visit.next);
            @if let Some(draft) = visit.draft { (draft.hidden()) }
            (input(&Input {
                label: "Username or email address",
                name: "name",
                value: visit.name,
                autocomplete: "username",
                ..Input::default()
            }))
            (input(&Input {
                label: "Password",
                name: "password",
                kind: "password",
                autocomplete: "current-password",
                ..Input::default()
            }))
            (button("Sign in", "main"))
        }
        p { a href="/password/forgot" { "Forgotten your password?" } }
    }
}

/// The page to create an account.
pub(crate) async fn sign_up(
    web: &Web,
    outbound: &Outbound,
    status: StatusCode,
    typed: &Fields,
    fault: Option<&Fault>,
) -> Response {
    let options = options(web, outbound).await;
    let content = html! {
        (refused(fault))
        h1 { "Create an account" }
        @if options.registration { (registration(typed)) }
        @else if options.passwords { p { "Only administrators create accounts here: ask one." } }
        @else { p { "Accounts here are those of the identity provider. The first time that you sign in with it, you get yours." } }
        p { "You have one? " a href="/sign-in" { "Sign in" } "." }
    };
    shown(status, fault, "Create an account", &content)
}

fn registration(typed: &Fields) -> Markup {
    html! {
        form.card method="post" action="/ui/sign-up" {
            (input(&Input {
                label: "Username",
                name: "username",
                value: typed.get("username"),
                autocomplete: "username",
                ..Input::default()
            }))
            (input(&Input {
                label: "Email address",
                name: "email",
                value: typed.get("email"),
                kind: "email",
                autocomplete: "email",
                ..Input::default()
            }))
            (input(&Input {
                label: "Password, of at least 8 characters",
                name: "password",
                kind: "password",
                autocomplete: "new-password",
                ..Input::default()
            }))
            (button("Create the account", "main"))
        }
    }
}

/// A page for somebody who is not signed in, with the reason if a form was refused.
pub(super) fn shown(
    status: StatusCode,
    fault: Option<&Fault>,
    title: &str,
    content: &Markup,
) -> Response {
    let page = page(status, bare(title, content));
    match fault {
        Some(fault) => answer::refused(fault, page),
        None => page,
    }
}
