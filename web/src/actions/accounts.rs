//! Accounts of others, for administrators.

use axum::response::Response;
use slipway_proto::{
    common::v1::Role,
    identity::v1::{
        CreateAccountRequest, LinkPurpose, SendAccountLinkRequest, UpdateAccountRequest,
    },
};
use slipway_rpc::error::Fault;

use super::{Id, Sent};
use crate::{
    pages::{self, accounts::ROLES},
    parts::news,
};

pub(super) async fn create(sent: Sent) -> Response {
    let request = sent.request(CreateAccountRequest {
        username: sent.line("username"),
        email: sent.line("email"),
        password: sent.fields.get("password").to_owned(),
        role: role(&sent).into(),
        invite: sent.fields.get("invite") == "true",
    });
    let answer = sent.services().identity.clone();
    let answer = { answer }.create_account(request).await;
    let outcome = answer.map(|_| sent.back()).map_err(Fault::from);
    sent.end(outcome).await
}

/// Changes what the form names.
pub(super) async fn update(Id(id): Id, sent: Sent) -> Response {
    let disabled = sent.fields.filled("disabled");
    let request = sent.request(UpdateAccountRequest {
        id,
        role: role(&sent).into(),
        disabled: disabled.map(|disabled| disabled == "true"),
    });
    let answer = sent.services().identity.clone();
    let answer = { answer }.update_account(request).await;
    let outcome = answer.map(|_| sent.back()).map_err(Fault::from);
    sent.end(outcome).await
}

/// Mails a link to an account: its invitation again, or one to set another password.
pub(super) async fn mail(Id(id): Id, sent: Sent) -> Response {
    let (purpose, done) = match sent.fields.get("purpose") {
        "invitation" => (LinkPurpose::Invitation, "The invitation is mailed again."),
        _ => (
            LinkPurpose::ResetPassword,
            "A link to set another password is mailed.",
        ),
    };
    let request = sent.request(SendAccountLinkRequest {
        account_id: id,
        purpose: purpose.into(),
    });
    let identity = sent.services().identity.clone();
    match { identity }.send_account_link(request).await {
        Ok(_) => pages::with_news(&sent.back(), sent.web, sent.visitor, &news(done)).await,
        Err(status) => sent.end(Err(status.into())).await,
    }
}

fn role(sent: &Sent) -> Role {
    let chosen = sent.line("role");
    let role = ROLES.iter().find(|(value, ..)| *value == chosen);
    role.map_or(Role::Unspecified, |(.., role)| *role)
}
