//! Extractor that authenticates webhook callers by a shared secret.

use axum::extract::FromRequestParts;
use http::request::Parts;
use slipway_rpc::{
    access::bearer,
    error::{Fault, Kind},
};
use subtle::ConstantTimeEq as _;

use crate::{app::AppState, body::Sender, operation, problem::Problem};

/// A program that has sent the webhook secret.
pub(crate) struct Hook;

impl FromRequestParts<AppState> for Hook {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let Some(secret) = &app.webhook_secret else {
            return Err(Problem::unknown_route());
        };
        let given = bearer(&parts.headers).unwrap_or_default();
        // Compared in constant time.
        if bool::from(given.as_bytes().ct_eq(secret.as_bytes())) {
            parts.extensions.insert(Sender::Hook);
            operation::check(parts, app.deadline).await?;
            return Ok(Self);
        }
        let text = "Show the webhook secret as 'Authorization: Bearer'.";
        Err(Fault::new(Kind::Unauthenticated, "UNAUTHENTICATED", text).into())
    }
}
