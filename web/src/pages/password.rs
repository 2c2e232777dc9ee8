//! The pages for those who have forgotten their password, or have the link of a mail to set one.

use axum::response::Response;
use http::{HeaderValue, StatusCode, header::REFERRER_POLICY};
use maud::{Markup, html};
use slipway_rpc::error::Fault;

use super::sign_in::shown;
use crate::{
    fields::Fields,
    parts::{Input, button, input, refused},
    place::Place,
};

/// The address of a page that has the secret of a link is told to no other page. Forms still say
/// which site sent them.
const NO_ADDRESS: HeaderValue = HeaderValue::from_static("strict-origin");

/// What somebody has a link for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// The password was forgotten.
    Reset,
    /// The account is new.
    Invitation,
}

impl Occasion {
    /// What the form of [`set`] says it is.
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "invitation" => Self::Invitation,
            _ => Self::Reset,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Invitation => "invitation",
        }
    }
}

/// The page at an address that is for everybody.
pub(super) fn page(place: Place<'_>, query: &Fields) -> Response {
    let token = query.get("token");
    match place {
        Place::ResetPassword => set(StatusCode::OK, Occasion::Reset, token, None),
        Place::Invitation => set(StatusCode::OK, Occasion::Invitation, token, None),
        _ => forgot(StatusCode::OK, "", None),
    }
}

/// The page to ask for a link.
pub(crate) fn forgot(status: StatusCode, name: &str, fault: Option<&Fault>) -> Response {
    let content = html! {
        (refused(fault))
        h1 { "Set another password" }
        form.card method="post" action="/ui/password/forgot" {
            p { "You get a mail with a link. It works once, for 30 minutes." }
            (input(&Input {
                label: "Username or email address",
                name: "name",
                value: name,
                autocomplete: "username",
                ..Input::default()
            }))
            (button("Send me the link", "main"))
        }
        p { a href="/sign-in" { "Sign in" } }
    };
    shown(status, fault, "Set another password", &content)
}

/// The page after somebody has asked for a link. It is the same whether there is such an account.
pub(crate) fn asked() -> Response {
    let content = html! {
        h1 { "Look into your mails" }
        section.card role="status" {
            p { "If there is such an account, a mail with a link is on its way to its address. The link of an earlier mail does not work any more." }
            p.hint { "No mail after some minutes? Look at how you have written the name, or ask an admin." }
        }
        p { a href="/sign-in" { "Sign in" } }
    };
    shown(StatusCode::OK, None, "Look into your mails", &content)
}

/// The page to set a password with the secret of a link.
pub(crate) fn set(
    status: StatusCode,
    occasion: Occasion,
    token: &str,
    fault: Option<&Fault>,
) -> Response {
    let title = match occasion {
        Occasion::Reset => "Set another password",
        Occasion::Invitation => "Welcome to Slipway",
    };
    let content = html! {
        (refused(fault))
        h1 { (title) }
        @if token.is_empty() {
            p { "Open the link of the mail: this address is not complete." }
        } @else {
            form.card method="post" action="/ui/password/reset" {
                input type="hidden" name="token" value=(token);
                input type="hidden" name="occasion" value=(occasion.name());
                (input(&Input {
                    label: "New password, of at least 8 characters",
                    name: "password",
                    kind: "password",
                    autocomplete: "new-password",
                    ..Input::default()
                }))
                @if occasion == Occasion::Reset {
                    (revoke())
                    p.hint { "You are signed out everywhere." }
                }
                (button("Set the password", "main"))
            }
        }
        @if occasion == Occasion::Reset {
            p { a href="/password/forgot" { "Ask for another link" } }
        }
    };
    let mut page = shown(status, fault, title, &content);
    page.headers_mut().insert(REFERRER_POLICY, NO_ADDRESS);
    page
}

fn revoke() -> Markup {
    html! {
        label.check {
            input type="checkbox" name="revoke" value="true";
            " Somebody else may know my old password: revoke my tokens for programs too"
        }
    }
}

/// The page after a password was set.
pub(crate) fn done() -> Response {
    let content = html! {
        h1 { "Your password is set" }
        p role="status" { "The link does not work any more." }
        p { a.button.main href="/sign-in" { "Sign in" } }
    };
    shown(StatusCode::OK, None, "Your password is set", &content)
}
