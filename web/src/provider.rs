//! The way of a browser to the identity provider (OpenID Connect) and back.
//!
//! These are reads with an effect, because providers send browsers back with a GET, and because a
//! browser follows no redirect of a form to another server. A cookie makes sure that only the
//! browser that began a sign-in finishes it.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::{
    HeaderMap, HeaderValue, StatusCode, Uri,
    header::{CACHE_CONTROL, SET_COOKIE},
};
use slipway_proto::identity::v1::{FinishProviderSignInRequest, StartProviderSignInRequest};
use slipway_rpc::error::{Fault, Kind};

use crate::{
    Visitor, Web,
    answer::{nothing_here, redirect, refusal},
    fields::Fields,
    place::local,
    times::left,
};

/// What the paths begin with.
pub(crate) const PATHS: &str = "/auth/oidc/";

/// Where a sign-in begins.
pub(crate) const START: &str = "/auth/oidc/start";

/// Where the provider sends browsers back.
const CALLBACK: &str = "/auth/oidc/callback";

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

pub(crate) fn routes() -> Router<Arc<Web>> {
    // A HEAD must not use a sign-in up.
    Router::new()
        .route(START, get(start).head(nothing_here))
        .route(CALLBACK, get(finish).head(nothing_here))
}

/// Leads to the provider.
async fn start(State(web): State<Arc<Web>>, visitor: Visitor, uri: Uri) -> Response {
    let query = Fields::parse(uri.query().unwrap_or_default().as_bytes());
    let next = local(query.get("next"));
    if visitor.user.is_some() {
        return redirect(next);
    }
    let begun = async {
        let request = visitor.outbound.request(StartProviderSignInRequest {
            next: next.to_owned(),
        });
        let identity = web.services.identity.clone();
        let answer = { identity }.start_provider_sign_in(request).await?;
        let answer = answer.into_inner();
        let age = left(answer.expires_at.as_ref(), web.clock.now())?;
        let cookie = web.cookies.set_sign_in(&answer.secret, age)?;
        Ok::<_, Fault>((cookie, answer.authorization_url))
    };
    let response = match begun.await {
        Ok((cookie, address)) => ([(SET_COOKIE, cookie)], redirect(&address)).into_response(),
        Err(fault) => refusal(&fault),
    };
    unstored(response)
}

/// Signs in a browser that comes back.
async fn finish(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let query = Fields::parse(uri.query().unwrap_or_default().as_bytes());
    let finished = async {
        let secret = web.cookies.sign_in_secret(&headers);
        // A parameter that is there twice may have been added to an answer.
        let parameter = |name| match query.all(name).count() {
            0 | 1 => Ok(query.get(name).to_owned()),
            _ => Err(twice()),
        };
        let request = visitor.outbound.request(FinishProviderSignInRequest {
            secret: secret.unwrap_or_default(),
            state: parameter("state")?,
            code: parameter("code")?,
            issuer: parameter("iss")?,
            error: parameter("error")?,
        });
        let identity = web.services.identity.clone();
        let answer = { identity }.finish_provider_sign_in(request).await?;
        let answer = answer.into_inner();
        visitor.end_earlier_session(&web).await;
        let age = left(answer.expires_at.as_ref(), web.clock.now())?;
        let session = web.cookies.set(&answer.secret, age)?;
        Ok::<_, Fault>((session, answer.next))
    };
    let mut response = match finished.await {
        Ok((session, next)) => ([(SET_COOKIE, session)], redirect(local(&next))).into_response(),
        Err(fault) => refusal(&fault),
    };
    // It cannot be used again, unless the services could not be asked.
    if response.status() != StatusCode::SERVICE_UNAVAILABLE
        && let Ok(gone) = web.cookies.set_sign_in("", Duration::ZERO)
    {
        response.headers_mut().append(SET_COOKIE, gone);
    }
    unstored(response)
}

fn twice() -> Fault {
    Fault::new(
        Kind::Invalid,
        "INVALID_ARGUMENT",
        "The address has a parameter twice. Start the sign-in again.",
    )
}

/// The answer is of one browser at one time.
fn unstored(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}
