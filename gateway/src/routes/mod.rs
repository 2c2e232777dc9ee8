//! The routes, each declared together with its documentation.
//!
//! A handler has three steps: it translates the request, calls a service, and translates
//! the answer.

mod accounts;
mod activity;
mod audit;
mod auth;
mod chat;
mod comments;
mod dead_letters;
mod deliveries;
mod document;
mod events;
mod incidents;
mod notifications;
mod passwords;
mod patterns;
mod preferences;
mod releases;
mod sessions;
mod tasks;
mod templates;
mod tokens;
mod users;

use std::sync::Arc;

use axum::{Extension, Router, middleware::from_fn, routing::get};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use slipway_rpc::http::SharedBytes;
use utoipa::{OpenApi as _, openapi::OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::{
    app::AppState,
    operation::{Operations, set_body_aside},
    problem::Problem,
};

/// The router of the gateway: the routes of the API, the same under `/v1`, and their documentation.
pub(crate) fn router(app: AppState) -> Router {
    let (api, mut document) = OpenApiRouter::with_openapi(document::Document::openapi())
        .merge(auth::routes())
        .merge(sessions::routes())
        .merge(passwords::routes())
        .merge(tokens::routes())
        .merge(users::routes())
        .merge(accounts::routes())
        .merge(releases::routes())
        .merge(tasks::routes())
        .merge(comments::routes())
        .merge(chat::routes())
        .merge(activity::routes())
        .merge(notifications::routes())
        .merge(preferences::routes())
        .merge(events::routes())
        .merge(templates::routes())
        .merge(audit::routes())
        .merge(dead_letters::routes())
        .merge(incidents::routes())
        .merge(deliveries::routes())
        .split_for_parts();
    document::complete(&mut document);
    let operations = Arc::new(Operations::of(&document));
    let api = api
        .with_state(app)
        .layer(from_fn(set_body_aside))
        .layer(Extension(operations));
    Router::new()
        .merge(api.clone())
        .nest("/v1", api)
        .merge(docs(&document))
        .method_not_allowed_fallback(async || Problem::wrong_method())
        .fallback(async || Problem::unknown_route())
}

/// The OpenAPI document, and the page that shows it. A sign-in on the page survives a reload.
fn docs(document: &OpenApi) -> Router {
    let json = document.to_json().map(Bytes::from);
    let json = json.expect("a document is made of texts, numbers, lists and maps of texts");
    let kind = [(CONTENT_TYPE, "application/json")];
    let config = Config::new(["/openapi.json"]).persist_authorization(true);
    Router::from(SwaggerUi::new("/docs").config(config)).route(
        "/openapi.json",
        get(async move || (kind, Extension(SharedBytes), json.clone())),
    )
}
