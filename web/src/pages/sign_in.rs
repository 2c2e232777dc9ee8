//! The pages for those who are not signed in.

use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};
use slipway_rpc::error::Fault;

use crate::{
    answer::{self, page},
    fields::{Fields, label},
    layout::bare,
    parts::{Input, area, button, input, person, refused},
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
    let is_secret = ["/ui/password", "/ui/sign-", "/ui/users"];
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

/// The page to sign in, which leads to the address `next`.
pub(crate) fn sign_in(
    status: StatusCode,
    next: &str,
    name: &str,
    fault: Option<&Fault>,
    draft: Option<&Draft>,
) -> Response {
    let content = html! {
        (refused(fault))
        h1 { "Sign in" }
        form.card method="post" action="/ui/sign-in" {
            input type="hidden" name="next" value=(next);
            @if let Some(draft) = draft { (draft.hidden()) }
            (input(&Input {
                label: "Username or email address",
                name: "name",
                value: name,
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
        p { "No account yet? " a href="/sign-up" { "Create one" } "." }
        p.hint {
            "Whoever started this server has the account “admin”. Its password was printed at the first start."
        }
    };
    shown(status, fault, "Sign in", &content)
}

/// The page to create an account.
pub(crate) fn sign_up(status: StatusCode, typed: &Fields, fault: Option<&Fault>) -> Response {
    let content = html! {
        (refused(fault))
        h1 { "Create an account" }
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
        p { "You have one? " a href="/sign-in" { "Sign in" } "." }
    };
    shown(status, fault, "Create an account", &content)
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
