//! The forms of the pages. Each calls a service and leads to a page, or shows the page that sent it
//! again, with the reason.

mod accounts;
mod assistant;
mod comments;
mod dead_letters;
mod password;
mod plan_file;
mod plans;
mod preferences;
mod profile;
mod reading;
mod releases;
mod session;
mod tasks;
mod templates;

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Request},
    response::Response,
    routing::{get, post},
};
use http::{HeaderMap, header::CONTENT_TYPE, request::Parts};
use slipway_rpc::{
    error::{Fault, Kind},
    grpc::Outbound,
};
use uuid::Uuid;

use crate::{
    Services, Visitor, Web,
    answer::{no_such, nothing_here, redirect, refusal},
    fields::Fields,
    pages,
    place::local,
    visit::Again,
};

/// The longest key that a page gives a form.
const LONGEST_KEY: usize = 64;

pub(crate) fn routes() -> Router<Arc<Web>> {
    Router::new()
        .route("/ui/sign-in", post(session::sign_in))
        .route("/ui/sign-up", post(session::sign_up))
        .route("/ui/sign-out", post(session::sign_out))
        .route("/ui/password", post(session::change_password))
        .route("/ui/password/forgot", post(password::forgot))
        .route("/ui/password/reset", post(password::reset))
        .route("/ui/email/confirm", post(password::confirm_email))
        .route("/ui/profile", post(profile::save))
        .route("/ui/profile/email", post(profile::change_email))
        .route("/ui/sessions/end", post(session::end))
        .route("/ui/sessions/end-all", post(session::end_all))
        .route("/ui/users", post(accounts::create))
        .route("/ui/users/{id}", post(accounts::update))
        .route("/ui/users/{id}/mail", post(accounts::mail))
        .route("/ui/tokens", post(session::create_token))
        .route("/ui/tokens/revoke", post(session::revoke_token))
        .route("/ui/preferences", post(preferences::save))
        .route("/ui/read", post(reading::mark))
        .route("/ui/assistant", post(assistant::ask))
        .route("/ui/assistant/delete", post(assistant::delete))
        .route("/ui/releases", post(releases::plan))
        .route("/ui/releases/{id}/plan", get(plans::export))
        .route("/ui/releases/{id}", post(releases::update))
        .route("/ui/releases/{id}/delete", post(releases::delete))
        .route("/ui/releases/{id}/tasks", post(releases::add_task))
        .route("/ui/releases/{id}/complete", post(releases::complete))
        .route("/ui/tasks/{id}", post(tasks::update))
        .route("/ui/tasks/{id}/reminder", post(tasks::remind))
        .route("/ui/tasks/{id}/start", post(tasks::start))
        .route("/ui/tasks/{id}/complete", post(tasks::complete))
        .route("/ui/tasks/{id}/pause", post(tasks::pause))
        .route("/ui/tasks/{id}/delete", post(tasks::delete))
        .route("/ui/tasks/{id}/comments", post(comments::post))
        .route("/ui/comments/{id}/reply", post(comments::reply))
        .route("/ui/comments/{id}/edit", post(comments::edit))
        .route("/ui/comments/{id}/delete", post(comments::delete))
        .route("/ui/dead-letters/replay", post(dead_letters::replay_many))
        .route("/ui/dead-letters/{id}/replay", post(dead_letters::replay))
        .route("/ui/dead-letters/{id}/edit", post(dead_letters::edit))
        .route("/ui/templates", post(templates::create))
        .route("/ui/templates/{type}", post(templates::update))
        .route("/ui/templates/{type}/delete", post(templates::delete))
        .route(
            "/ui/templates/{type}/preview",
            get(templates::preview_current).post(templates::preview_draft),
        )
}

/// What the address of a form names.
pub(crate) struct Id(String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(id)) => match thing(parts.uri.path()) {
                Some(thing) if Uuid::parse_str(&id).is_err() => Err(refusal(&no_such(thing))),
                _ => Ok(Self(id)),
            },
            // It is no text.
            Err(_) => Err(nothing_here().await),
        }
    }
}

/// What a form is about, if the address names it by a UUID.
fn thing(path: &str) -> Option<&'static str> {
    match path.strip_prefix("/ui/")?.split('/').next()? {
        "releases" => Some("release"),
        "tasks" => Some("task"),
        "comments" => Some("comment"),
        "dead-letters" => Some("dead letter"),
        "users" => Some("account"),
        _ => None,
    }
}

/// A form that a page sent.
pub(crate) struct Sent {
    web: Arc<Web>,
    visitor: Visitor,
    action: String,
    fields: Fields,
}

impl FromRequest<Arc<Web>> for Sent {
    type Rejection = Response;

    async fn from_request(request: Request, web: &Arc<Web>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let Ok(visitor) = Visitor::from_request_parts(&mut parts, web).await;
        if plan_file::is_sent(&parts.headers) {
            let action = parts.uri.path().to_owned();
            let fields = plan_file::fields(Request::from_parts(parts, body)).await;
            return Ok(Self {
                web: Arc::clone(web),
                visitor,
                action,
                fields: fields.map_err(|fault| refusal(&fault))?,
            });
        }
        if !is_form(&parts.headers) {
            let text = "Send the form as 'application/x-www-form-urlencoded'.";
            return Err(refusal(&Fault::new(
                Kind::Invalid,
                "UNSUPPORTED_MEDIA_TYPE",
                text,
            )));
        }
        let action = parts.uri.path().to_owned();
        let body = Bytes::from_request(Request::from_parts(parts, body), web).await;
        let body = body.map_err(|error| refusal(&Fault::internal(error)))?;
        let fields = Fields::parse(&body);
        if fields.are_too_many() {
            let text = "The form has more fields than any form of a page.";
            return Err(refusal(&Fault::new(
                Kind::Invalid,
                "INVALID_ARGUMENT",
                text,
            )));
        }
        Ok(Self {
            web: Arc::clone(web),
            visitor,
            action,
            fields,
        })
    }
}

impl Sent {
    fn services(&self) -> &Services {
        &self.web.services
    }

    /// A field without blanks at its ends.
    fn line(&self, name: &str) -> String {
        self.fields.get(name).trim().to_owned()
    }

    /// The page that sent the form.
    fn back(&self) -> String {
        local(self.fields.get("back")).to_owned()
    }

    /// The same, at a part of it.
    fn back_to(&self, part: &str) -> String {
        let back = self.back();
        let page = back.split('#').next().unwrap_or_default();
        format!("{page}#{part}")
    }

    /// The revision of what the form shows. A form without one would overwrite whatever is there.
    fn revision(&self) -> Result<u64, Fault> {
        self.fields.get("revision").parse().map_err(|_| {
            let text = "The form does not say which state of it was changed, so nothing was done. \
                        Open the page again.";
            Fault::new(Kind::Invalid, "REVISION_REQUIRED", text)
        })
    }

    /// A request to a service on the visitor's behalf, which has its effect once.
    fn request<T>(&self, message: T) -> tonic::Request<T> {
        self.outbound().request(message)
    }

    /// Metadata of a request that has its effect once.
    fn outbound(&self) -> Outbound {
        let key = self.fields.filled("key");
        let key =
            key.filter(|key| key.len() <= LONGEST_KEY && key.bytes().all(|b| b.is_ascii_graphic()));
        Outbound {
            idempotency_key: key.map(str::to_owned),
            ..self.visitor.outbound.clone()
        }
    }

    /// Leads to the address that the form led to, or shows its page again.
    async fn end(self, outcome: Result<String, Fault>) -> Response {
        let back = self.back();
        self.end_at(&back, outcome).await
    }

    /// The same; if it is refused, it shows the page at `back`.
    async fn end_at(self, back: &str, outcome: Result<String, Fault>) -> Response {
        let fault = match outcome {
            Ok(address) if self.visitor.user.is_some() => return redirect(&address),
            Ok(_) => ended(),
            Err(fault) if self.visitor.user.is_none() && fault.kind == Kind::Unauthenticated => {
                ended()
            }
            Err(fault) => fault,
        };
        let mut again = Again {
            action: self.action,
            fields: self.fields,
            fault,
        };
        if self.visitor.user.is_none() && !pages::sign_in::keeps(&again) {
            again.fault.detail = "You are not signed in any more, so this was not sent.".to_owned();
        }
        pages::at(back, self.web, self.visitor, Some(again)).await
    }
}

fn ended() -> Fault {
    let text = "You are not signed in any more. What you typed is kept: sign in to send it.";
    Fault::new(Kind::Unauthenticated, "UNAUTHENTICATED", text)
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default();
    kind.trim()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
}
