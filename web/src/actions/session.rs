//! Signing in, up and out; sessions, tokens for programs, and the password.

use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header::SET_COOKIE};
use jiff::{SignedDuration, Timestamp};
use slipway_proto::{
    identity::v1::{
        ChangePasswordRequest, CreateTokenRequest, EndAllSessionsRequest, EndSessionRequest,
        RegisterRequest, RevokeTokenRequest, StartBrowserSessionRequest, TokenScope,
    },
    time::to_proto,
};
use slipway_rpc::error::Fault;

use super::Sent;
use crate::{
    answer::{redirect, refusal, status},
    pages::{
        self,
        profile::{SCOPES, new_token},
        sign_in as page,
    },
    place::local,
    times::left,
};

pub(super) async fn sign_in(sent: Sent) -> Response {
    let name = sent.line("name");
    let next = local(sent.fields.get("next"));
    let draft = page::Draft::of_form(&sent.fields);
    match start(&sent, &name).await {
        Ok((cookie, username)) => {
            let response = match &draft {
                Some(draft) => page::send_again(next, &username, draft),
                None => redirect(next),
            };
            ([(SET_COOKIE, cookie)], response).into_response()
        }
        Err(fault) => {
            let again = page::SignIn {
                status: status(&fault),
                next,
                name: &name,
                fault: Some(&fault),
                draft: draft.as_ref(),
            };
            page::sign_in(&sent.web, &sent.visitor.outbound, again).await
        }
    }
}

pub(super) async fn sign_up(sent: Sent) -> Response {
    let name = sent.line("username");
    let registered = async {
        let request = sent.request(RegisterRequest {
            username: name.clone(),
            email: sent.line("email"),
            password: sent.fields.get("password").to_owned(),
            ..RegisterRequest::default()
        });
        sent.services().identity.clone().register(request).await?;
        Ok(start(&sent, &name).await?.0)
    };
    match registered.await {
        Ok(cookie) => ([(SET_COOKIE, cookie)], redirect("/")).into_response(),
        Err(fault) => {
            let outbound = &sent.visitor.outbound;
            let status = status(&fault);
            page::sign_up(&sent.web, outbound, status, &sent.fields, Some(&fault)).await
        }
    }
}

/// Starts a session; returns its cookie and the username.
async fn start(sent: &Sent, login: &str) -> Result<(HeaderValue, String), Fault> {
    let request = sent.request(StartBrowserSessionRequest {
        login: login.to_owned(),
        password: sent.fields.get("password").to_owned(),
    });
    let answer = sent
        .services()
        .identity
        .clone()
        .start_browser_session(request)
        .await?;
    let session = answer.into_inner();
    sent.visitor.end_earlier_session(&sent.web).await;
    let age = left(session.expires_at.as_ref(), sent.web.clock.now())?;
    let cookie = sent.web.cookies.set(&session.secret, age)?;
    Ok((cookie, session.user.unwrap_or_default().username))
}

pub(super) async fn sign_out(sent: Sent) -> Response {
    match sent.visitor.end_session(&sent.web).await {
        Ok(()) => leave(&sent),
        Err(fault) => refusal(&fault),
    }
}

/// Deletes the cookie.
fn leave(sent: &Sent) -> Response {
    match sent.web.cookies.set("", Duration::ZERO) {
        Ok(gone) => ([(SET_COOKIE, gone)], redirect("/sign-in")).into_response(),
        Err(fault) => refusal(&fault),
    }
}

pub(super) async fn change_password(sent: Sent) -> Response {
    let request = sent.request(ChangePasswordRequest {
        current_password: sent.fields.get("current").to_owned(),
        new_password: sent.fields.get("new").to_owned(),
    });
    let answer = sent
        .services()
        .identity
        .clone()
        .change_password(request)
        .await;
    let outcome = answer.map(|_| sent.back()).map_err(Fault::from);
    sent.end(outcome).await
}

/// Ends one session.
pub(super) async fn end(sent: Sent) -> Response {
    let session_id = sent.line("id");
    if session_id.is_empty() {
        let fault = Fault::invalid_field("session", "must be named");
        return sent.end(Err(fault)).await;
    }
    let request = sent.request(EndSessionRequest { session_id });
    let identity = sent.services().identity.clone();
    let answer = { identity }.end_session(request).await;
    let outcome = answer.map(|_| sent.back()).map_err(Fault::from);
    sent.end(outcome).await
}

/// Ends all sessions.
pub(super) async fn end_all(sent: Sent) -> Response {
    let request = sent.request(EndAllSessionsRequest {});
    let identity = sent.services().identity.clone();
    match { identity }.end_all_sessions(request).await {
        Ok(_) => leave(&sent),
        Err(status) => sent.end(Err(status.into())).await,
    }
}

/// Creates a token for a program. The answer is a page and no redirect: it has the secret, which no
/// address may have.
pub(super) async fn create_token(sent: Sent) -> Response {
    let name = sent.line("name");
    let scope = SCOPES
        .iter()
        .find(|(value, ..)| *value == sent.fields.get("scope"));
    let days = sent.fields.get("days").parse::<u16>().ok();
    let expires_at = days.map(|days| {
        let lasts = SignedDuration::from_hours(24 * i64::from(days));
        to_proto(
            sent.web
                .clock
                .now()
                .saturating_add(lasts)
                .unwrap_or(Timestamp::MAX),
        )
    });
    let request = sent.request(CreateTokenRequest {
        name: name.clone(),
        scope: scope
            .map_or(TokenScope::Unspecified, |(.., scope)| *scope)
            .into(),
        expires_at,
    });
    let identity = sent.services().identity.clone();
    match { identity }.create_token(request).await {
        Ok(answer) => {
            let news = new_token(&name, &answer.into_inner().secret);
            pages::with_news(&sent.back(), sent.web, sent.visitor, &news).await
        }
        Err(status) => sent.end(Err(status.into())).await,
    }
}

pub(super) async fn revoke_token(sent: Sent) -> Response {
    let request = sent.request(RevokeTokenRequest {
        token_id: sent.line("id"),
    });
    let identity = sent.services().identity.clone();
    let answer = { identity }.revoke_token(request).await;
    let outcome = answer.map(|_| sent.back()).map_err(Fault::from);
    sent.end(outcome).await
}
