//! Extractor that authenticates webhook callers: by the shared secret, or by a token for programs.

use axum::extract::FromRequestParts;
use http::request::Parts;
use slipway_rpc::{
    access::{Role, Scope, bearer, policy::scope_required, programs::is_of_program},
    error::{Fault, Kind},
};
use subtle::ConstantTimeEq as _;

use super::caller::of_program;
use crate::{
    app::{App, AppState},
    body::Sender,
    operation,
    problem::Problem,
};

/// A program that has sent the webhook secret, or a token of an admin that may do more than read.
pub(crate) struct Hook;

impl FromRequestParts<AppState> for Hook {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        check(parts, app).await?;
        parts.extensions.insert(Sender::Hook);
        operation::check(parts, app.deadline).await?;
        Ok(Self)
    }
}

async fn check(parts: &Parts, app: &App) -> Result<(), Problem> {
    let given = bearer(&parts.headers).unwrap_or_default();
    // Compared in constant time.
    let is_secret = |secret: &String| bool::from(given.as_bytes().ct_eq(secret.as_bytes()));
    if app.webhook_secret.as_ref().is_some_and(is_secret) {
        return Ok(());
    }
    if is_of_program(given) {
        let (_, program) = of_program(parts, app, given).await?;
        // The gateway reports alerts in its own name, so no service compares the scope.
        return match (program.role, program.scope) {
            (Role::Admin, Some(Scope::Work | Scope::Admin)) => Ok(()),
            (Role::Admin, _) => Err(scope_required(Scope::Work).into()),
            _ => {
                let text = "Webhooks need a token of an admin.";
                Err(Fault::new(Kind::Forbidden, "ADMIN_REQUIRED", text).into())
            }
        };
    }
    if app.webhook_secret.is_none() {
        return Err(Problem::unknown_route());
    }
    let text = "Show the webhook secret as 'Authorization: Bearer'.";
    Err(Fault::new(Kind::Unauthenticated, "UNAUTHENTICATED", text).into())
}
