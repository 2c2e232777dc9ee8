//! The pages for people: HTML rendered on the server, from what the services answer.
//!
//! A page lives at the address of the thing that it shows, and is a `place`. Its forms are sent to
//! `/ui/…` and handled by `actions`: a change ends with a redirect to a page, and a refused one
//! shows the page again with the service's sentence and what was typed. Nothing is decided here
//! that a service decides; what a page hides or greys out is a courtesy.
//!
//! Whether a request wants a page, who the visitor is, and whether a page of this server sent a
//! form, is determined by the gateway.

mod actions;
mod answer;
mod assets;
mod chart;
mod compress;
mod diff;
mod fields;
mod layout;
mod markdown;
mod pages;
mod parts;
mod place;
mod provider;
mod times;
mod visit;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::{
    Router,
    middleware::{from_fn_with_state, map_response},
    routing::get,
};
use http::{HeaderMap, HeaderValue, Method};
use slipway_proto::{
    chat::v1::chat_service_client::ChatServiceClient,
    forum::v1::forum_service_client::ForumServiceClient,
    identity::v1::identity_service_client::IdentityServiceClient,
    notify::v1::{
        activity_service_client::ActivityServiceClient,
        dead_letter_service_client::DeadLetterServiceClient,
        incident_service_client::IncidentServiceClient, log_service_client::LogServiceClient,
        notification_service_client::NotificationServiceClient,
        preference_service_client::PreferenceServiceClient,
        reading_service_client::ReadingServiceClient,
        statistics_service_client::StatisticsServiceClient,
        template_service_client::TemplateServiceClient,
    },
    process::v1::GetHealthResponse,
    release::v1::{
        release_service_client::ReleaseServiceClient, task_service_client::TaskServiceClient,
    },
};
use slipway_rpc::{
    error::Fault,
    grpc::{Link, Outbound},
};
use slipway_runtime::clock::SharedClock;

pub use self::{
    answer::{Refused, refusal},
    visit::Visitor,
};

/// What the pages need.
pub struct Web {
    /// The services.
    pub services: Services,
    /// Sets and reads cookies.
    pub cookies: Arc<dyn Cookies>,
    /// Whether browsers reach the pages by https.
    pub https: bool,
    /// The clock.
    pub clock: SharedClock,
}

/// Clients of the services.
pub struct Services {
    /// Accounts and sessions.
    pub identity: IdentityServiceClient<Link>,
    /// Releases.
    pub releases: ReleaseServiceClient<Link>,
    /// Tasks.
    pub tasks: TaskServiceClient<Link>,
    /// Discussions.
    pub forum: ForumServiceClient<Link>,
    /// The assistant.
    pub chat: ChatServiceClient<Link>,
    /// The activity feed.
    pub activity: ActivityServiceClient<Link>,
    /// Notifications.
    pub notifications: NotificationServiceClient<Link>,
    /// Preferences of mails.
    pub preferences: PreferenceServiceClient<Link>,
    /// Incidents.
    pub incidents: IncidentServiceClient<Link>,
    /// Events that could not be handled.
    pub dead_letters: DeadLetterServiceClient<Link>,
    /// Templates of mails.
    pub templates: TemplateServiceClient<Link>,
    /// What happened and failed.
    pub log: LogServiceClient<Link>,
    /// How far the visitor has read.
    pub reading: ReadingServiceClient<Link>,
    /// Figures about the work.
    pub statistics: StatisticsServiceClient<Link>,
    /// The processes.
    pub processes: Arc<dyn Processes>,
}

/// The processes of this Slipway.
#[async_trait]
pub trait Processes: Send + Sync {
    /// Asks all of them for their health at the same time, on behalf of the caller. Of several
    /// replicas one answers.
    ///
    /// # Errors
    /// If the caller may not ask.
    async fn health(&self, outbound: &Outbound) -> Result<Vec<ProcessHealth>, Fault>;
}

/// The health of a process.
pub struct ProcessHealth {
    /// The name of the process.
    pub name: &'static str,
    /// What it told, or why it did not.
    pub health: Result<GetHealthResponse, Fault>,
}

/// The cookies of a browser.
pub trait Cookies: Send + Sync {
    /// The value of `Set-Cookie` that keeps this secret for `age`; zero deletes the cookie.
    ///
    /// # Errors
    /// If the secret fits into no header.
    fn set(&self, secret: &str, age: Duration) -> Result<HeaderValue, Fault>;

    /// The same for the secret of a sign-in with the identity provider.
    ///
    /// # Errors
    /// If the secret fits into no header.
    fn set_sign_in(&self, secret: &str, age: Duration) -> Result<HeaderValue, Fault>;

    /// The secret of a sign-in with the identity provider, if a request has one.
    fn sign_in_secret(&self, headers: &HeaderMap) -> Option<String>;
}

/// Whether the pages answer a request: every request to `/ui/…`, the way to the identity provider
/// and back, and a read of an address with a page if the client prefers HTML.
#[must_use]
pub fn answers(method: &Method, path: &str, prefers_html: bool) -> bool {
    path.starts_with("/ui/")
        || path.starts_with(provider::PATHS)
        || (prefers_html && has_page(method, path))
}

/// Whether the answer to this request depends on whether the client prefers HTML.
#[must_use]
pub fn has_page(method: &Method, path: &str) -> bool {
    matches!(*method, Method::GET | Method::HEAD) && place::Place::of(path).is_some()
}

/// Whether this is the address of an asset, which is the same for every visitor.
#[must_use]
pub fn is_asset(path: &str) -> bool {
    path.starts_with(assets::START)
}

/// The routes of the pages, their forms and their assets. Each request needs a [`Visitor`] in its
/// extensions, and a form its whole body.
pub fn router(web: Web) -> Router {
    let https = web.https;
    let pages = place::ROUTES
        .into_iter()
        .fold(Router::new(), |router, route| {
            router.route(route, get(pages::show))
        });
    pages
        .merge(actions::routes())
        .merge(provider::routes())
        .route(assets::ROUTE, get(assets::serve))
        .method_not_allowed_fallback(answer::no_form)
        .fallback(answer::nothing_here)
        .with_state(Arc::new(web))
        .layer(map_response(answer::with_policy))
        .layer(from_fn_with_state(https, compress::pages))
}
