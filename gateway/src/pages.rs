//! Connects the pages of the crate `web` with the gateway: which requests get a page, and who sent
//! them.
//!
//! A page lives at the address of the thing that it shows, which is also a route of the API. A
//! client that prefers HTML gets the page, every other client what the API answers. `/v1`, `/docs`
//! and what programs use have no pages.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
};
use http::{
    HeaderMap, HeaderValue, Method, Uri,
    header::{CONTENT_LENGTH, VARY},
};
use slipway_rpc::error::Fault;
use tower::ServiceExt as _;
use web::{Cookies, Refused, Services, Web};

use crate::{
    accept::prefers_html,
    app::{App, AppState},
    body,
    browser::BrowserSessions,
    extract,
    middleware::BodyState,
    problem::{Problem, UNKNOWN_ROUTE},
    processes::Processes,
};

/// Where every error is for programs.
const PROGRAMS: [&str; 5] = ["/v1/", "/docs", "/openapi.json", "/hooks/", "/.well-known/"];

impl Cookies for BrowserSessions {
    fn set(&self, secret: &str, age: Duration) -> Result<HeaderValue, Fault> {
        self.set(secret, age)
    }

    fn set_sign_in(&self, secret: &str, age: Duration) -> Result<HeaderValue, Fault> {
        self.set_sign_in(secret, age)
    }

    fn sign_in_secret(&self, headers: &HeaderMap) -> Option<String> {
        self.sign_in_secret(headers)
    }
}

/// The routes of the pages.
pub(crate) fn router(app: AppState) -> Router {
    let services = Services {
        identity: app.identity(),
        releases: app.releases(),
        tasks: app.tasks(),
        forum: app.forum(),
        chat: app.chat(),
        activity: app.activity(),
        notifications: app.notifications(),
        preferences: app.preferences(),
        incidents: app.incidents(),
        log: app.log(),
        reading: app.reading(),
        statistics: app.statistics(),
        processes: Arc::<Processes>::clone(&app.processes),
        dead_letters: app.dead_letters(),
        templates: app.templates(),
    };
    let web = Web {
        services,
        cookies: Arc::<BrowserSessions>::clone(&app.browser),
        https: app.browser.is_secure(),
        clock: Arc::clone(&app.clock),
    };
    web::router(web).layer(from_fn_with_state(app, with_visitor))
}

/// Answers with a page instead of the API, if the request is for one.
pub(crate) async fn beside(State(pages): State<Router>, request: Request, next: Next) -> Response {
    let prefers_html = prefers_html(request.headers());
    let (method, uri) = (request.method(), request.uri());
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let has_page = web::has_page(method, uri.path());
    let instead = prefers_html && reads && !is_for_programs(uri);
    if web::answers(method, uri.path(), prefers_html) {
        let Ok(mut response) = pages.oneshot(request).await;
        if let Some(Refused(fault)) = response.extensions_mut().remove() {
            Problem::from(fault).add_retry(response.headers_mut());
        }
        return shown(response, |_| true);
    }
    let mut response = next.run(request).await;
    if has_page {
        let accept = HeaderValue::from_static("accept");
        response.headers_mut().append(VARY, accept);
    }
    shown(response, |fault| instead && fault.code == UNKNOWN_ROUTE)
}

fn is_for_programs(uri: &Uri) -> bool {
    let path = uri.path();
    PROGRAMS.iter().any(|start| path.starts_with(start))
}

/// A response as a page, if it is an error of the gateway and is to be shown.
fn shown(response: Response, is_page: impl FnOnce(&Fault) -> bool) -> Response {
    let Some(fault) = response.extensions().get::<Arc<Fault>>().cloned() else {
        return response;
    };
    if !is_page(&fault) {
        return response;
    }
    let (head, mut page) = (response.into_parts().0, web::refusal(&fault));
    *page.status_mut() = head.status;
    let kept = head
        .headers
        .iter()
        .filter(|(name, _)| *name != CONTENT_LENGTH);
    for (name, value) in kept {
        page.headers_mut().entry(name).or_insert(value.clone());
    }
    page
}

/// Finds out who sent the request, and reads its form. A form that a page of another site sent is
/// refused.
async fn with_visitor(State(app): State<AppState>, request: Request, next: Next) -> Response {
    match prepared(&app, request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn prepared(app: &App, request: Request) -> Result<Request, Problem> {
    let (mut parts, unread) = request.into_parts();
    if web::is_asset(parts.uri.path()) {
        return Ok(Request::from_parts(parts, Body::empty()));
    }
    let is_form = !matches!(parts.method, Method::GET | Method::HEAD);
    if is_form {
        app.browser.check_not_foreign(&parts)?;
    }
    let visitor = extract::visitor(&parts, app).await?;
    let form = match parts.extensions.get::<BodyState>() {
        Some(arrival) if is_form => body::read(unread, arrival, app.deadline).await?,
        _ => Vec::new(),
    };
    parts.extensions.insert(visitor);
    Ok(Request::from_parts(parts, form.into()))
}
