//! Passwords that are set by the link of a mail.

use axum::response::Response;
use slipway_proto::identity::v1::{RequestPasswordResetRequest, ResetPasswordRequest};
use slipway_rpc::error::Fault;

use super::Sent;
use crate::{
    answer::status,
    pages::password::{self as page, Occasion},
};

/// Asks for a link.
pub(super) async fn forgot(sent: Sent) -> Response {
    let name = sent.line("name");
    let request = sent.request(RequestPasswordResetRequest {
        login: name.clone(),
    });
    let identity = sent.services().identity.clone();
    match { identity }.request_password_reset(request).await {
        Ok(_) => page::asked(),
        Err(error) => {
            let fault = Fault::from(error);
            page::forgot(status(&fault), &name, Some(&fault))
        }
    }
}

/// Sets a password.
pub(super) async fn reset(sent: Sent) -> Response {
    let token = sent.line("token");
    let request = sent.request(ResetPasswordRequest {
        secret: token.clone(),
        new_password: sent.fields.get("password").to_owned(),
        revoke_tokens: sent.fields.get("revoke") == "true",
    });
    let identity = sent.services().identity.clone();
    match { identity }.reset_password(request).await {
        Ok(_) => page::done(),
        Err(error) => {
            let fault = Fault::from(error);
            let occasion = Occasion::named(sent.fields.get("occasion"));
            page::set(status(&fault), occasion, &token, Some(&fault))
        }
    }
}
