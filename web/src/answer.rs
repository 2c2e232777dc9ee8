//! Answers: pages, redirects, and what is shown instead of a page.

use axum::response::{IntoResponse, Response};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{
        CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, VARY, X_FRAME_OPTIONS,
    },
};
use maud::{Markup, html};
use slipway_rpc::error::{Fault, Kind};

use crate::{
    fields::{Fields, label},
    layout,
    parts::{title, told},
};

/// Content security policy of pages: only what comes from this server, and nothing inline. Without
/// a base element, in no frame, and with forms to this server only.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     worker-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// Content security policy of the preview of a mail, which pages show in a frame: nothing runs and
/// nothing is loaded. Mails have their styles inline.
const PREVIEW: HeaderValue = HeaderValue::from_static(
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; \
     frame-ancestors 'self'",
);

/// Without a referrer, browsers would not say which site sent a form; other sites get none.
const REFERRER: HeaderValue = HeaderValue::from_static("same-origin");

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// What an answer depends on, beside its address.
const ACCEPT: HeaderValue = HeaderValue::from_static("accept");

/// A page with this status.
pub(crate) fn page(status: StatusCode, page: Markup) -> Response {
    let headers = [(CONTENT_TYPE, HTML), (VARY, ACCEPT)];
    (status, headers, page.into_string()).into_response()
}

/// A document for a frame of a page.
pub(crate) fn preview(status: StatusCode, page: Markup) -> Response {
    let headers = [
        (CONTENT_TYPE, HTML),
        (CONTENT_SECURITY_POLICY, PREVIEW),
        (X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")),
    ];
    (status, headers, page.into_string()).into_response()
}

/// Why a page says that something was refused, in its extensions: the gateway tells clients by
/// headers when to try again.
#[derive(Clone)]
pub struct Refused(pub Fault);

/// A page with the reason of a refusal in its extensions.
pub(crate) fn refused(fault: &Fault, mut page: Response) -> Response {
    page.extensions_mut().insert(Refused(fault.clone()));
    page
}

/// Leads to another page with a GET.
pub(crate) fn redirect(address: &str) -> Response {
    match HeaderValue::try_from(address) {
        Ok(address) => {
            (StatusCode::SEE_OTHER, [(LOCATION, address), (VARY, ACCEPT)]).into_response()
        }
        Err(_) => refusal(&Fault::internal("an address that fits into no header")),
    }
}

/// A page that says what is wrong.
#[must_use]
pub fn refusal(fault: &Fault) -> Response {
    refusal_of(fault, &Fields::default())
}

/// The same, with what was typed into a form whose page is gone.
pub(crate) fn refusal_of(fault: &Fault, typed: &Fields) -> Response {
    let title = title(fault);
    let content = html! {
        h1 { (title) }
        p dir="auto" { (told(fault).detail) }
        (to_copy(typed))
        p { a.button href="/" { "Go to my work" } }
    };
    let mut response = refused(fault, page(status(fault), layout::bare(title, &content)));
    // A response that replaces one of the API has to set them itself.
    set_policy(response.headers_mut());
    response
}

/// What was typed into a form that is shown nowhere any more, to be copied.
pub(crate) fn to_copy(typed: &Fields) -> Markup {
    let typed: Vec<_> = typed
        .iter()
        .filter(|(_, value)| !value.trim().is_empty())
        .filter_map(|(name, value)| Some((label(name)?, value)))
        .collect();
    html! {
        @if !typed.is_empty() {
            section.card.stack {
                p { "Nothing of what you typed was stored. You can copy it from here:" }
                @for (label, value) in typed {
                    label.field {
                        span { (label) }
                        textarea rows="4" readonly dir="auto" { "\n" (value) }
                    }
                }
            }
        }
    }
}

/// The HTTP status of a fault.
pub(crate) fn status(fault: &Fault) -> StatusCode {
    StatusCode::from_u16(fault.kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The answer at an address with a form but without a page: somebody reloads a page that was shown
/// after a form.
pub(crate) async fn no_form(method: Method) -> Response {
    match method {
        Method::GET | Method::HEAD => redirect("/"),
        _ => (StatusCode::METHOD_NOT_ALLOWED, refusal(&unknown())).into_response(),
    }
}

/// The answer at an address that nothing is at.
pub(crate) async fn nothing_here() -> Response {
    refusal(&unknown())
}

/// The refusal of an id that can be no thing's.
pub(crate) fn no_such(thing: &str) -> Fault {
    let text = format!("There is no such {thing}.");
    Fault::new(Kind::NotFound, "NOT_FOUND", text)
}

fn unknown() -> Fault {
    Fault::new(
        Kind::NotFound,
        "NOT_FOUND",
        "There is nothing at this address.",
    )
}

/// Adds the headers that limit what a browser does with a page.
pub(crate) async fn with_policy(mut response: Response) -> Response {
    set_policy(response.headers_mut());
    response
}

fn set_policy(headers: &mut HeaderMap) {
    // A page may tell less of its address.
    headers.entry(REFERRER_POLICY).or_insert(REFERRER);
    let headers_of_pages: [(HeaderName, HeaderValue); 2] = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    ];
    for (name, value) in headers_of_pages {
        // Previews have their own.
        headers.entry(name).or_insert(value);
    }
}
