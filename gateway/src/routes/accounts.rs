//! `/admin/users`: the accounts of others, for admins.

use axum::{Json, extract::State, response::IntoResponse};
use http::{StatusCode, header::LOCATION};
use slipway_proto::identity::v1::{GetAccountRequest, LinkPurpose, SendAccountLinkRequest};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::document::{ForAdmins, Repeatable};
use crate::{
    app::AppState,
    extract::{Caller, ListParams, PathId, Payload},
    model::{AccountChange, AccountsQuery, Id, ManagedAccount, NewAccount, Page, Paging, required},
    problem::Problem,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update))
        .routes(routes!(invite))
        .routes(routes!(reset))
}

/// All accounts by username, also disabled ones.
///
/// With any condition a page may have fewer than `limit`, or none, though `nextCursor` leads on.
#[utoipa::path(
    get,
    path = "/admin/users",
    operation_id = "listAccounts",
    tag = "administration",
    params(AccountsQuery, Paging),
    responses(
        (status = 200, description = "A page of accounts", body = Page<ManagedAccount>),
        ForAdmins,
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn list(
    State(app): State<AppState>,
    caller: Caller,
    ListParams(query, paging): ListParams<AccountsQuery>,
) -> Result<Json<Page<ManagedAccount>>, Problem> {
    let request = caller.outbound.request(query.page(paging));
    let answer = app.identity().list_accounts(request).await?.into_inner();
    Ok(Json(Page::new(answer.accounts, answer.next_page_token)?))
}

/// Creates an account for somebody else, also while registration is closed.
///
/// With `invite` it has no password: its owner gets a mail with a link, which works once, for 7 days,
/// and sets one by `POST /auth/password/reset`.
#[utoipa::path(
    post,
    path = "/admin/users",
    operation_id = "createAccount",
    tag = "administration",
    params(Repeatable),
    request_body(
        content = NewAccount,
        example = json!({
            "username": "grace",
            "email": "grace@example.com",
            "password": "compiler no. 1",
            "role": "DEVELOPER"
        }),
    ),
    responses(
        (
            status = 201,
            description = "Created",
            body = ManagedAccount,
            headers(("Location" = String, description = "Its address")),
        ),
        ForAdmins,
        (status = 409, description = "`USERNAME_TAKEN`, `EMAIL_TAKEN`, `IDEMPOTENCY_KEY_REUSED`"),
        (status = 429, description = "`TOO_BUSY`: too many passwords are set at once"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn create(
    State(app): State<AppState>,
    caller: Caller,
    Payload(account): Payload<NewAccount>,
) -> Result<impl IntoResponse, Problem> {
    let request = caller.outbound.request(account.into());
    let answer = app.identity().create_account(request).await?.into_inner();
    let account = ManagedAccount::try_from(required("account", answer.account)?)?;
    let location = format!("/admin/users/{}", account.user.id);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(account)))
}

/// One account, with the number of its open tasks.
#[utoipa::path(
    get,
    path = "/admin/users/{id}",
    operation_id = "getAccount",
    tag = "administration",
    params(("id" = Id, Path, description = "Id of the account")),
    responses(
        (status = 200, description = "The account", body = ManagedAccount),
        ForAdmins,
        (status = 404, description = "`USER_NOT_FOUND`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn get(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<ManagedAccount>, Problem> {
    let request = caller
        .outbound
        .request(GetAccountRequest { id: id.to_string() });
    let answer = app.identity().get_account(request).await?.into_inner();
    Ok(Json(required("account", answer.account)?.try_into()?))
}

/// Changes the role of an account; disables or enables it.
///
/// With another role, and when the account is disabled, all its sessions end: within two seconds none
/// of its tokens is accepted, and its streams end. A disabled account keeps its tasks: their number is
/// in the answer.
#[utoipa::path(
    patch,
    path = "/admin/users/{id}",
    operation_id = "updateAccount",
    tag = "administration",
    params(("id" = Id, Path, description = "Id of the account")),
    request_body(content = AccountChange, example = json!({"disabled": true})),
    responses(
        (status = 200, description = "The account after the change", body = ManagedAccount),
        ForAdmins,
        (status = 404, description = "`USER_NOT_FOUND`"),
        (
            status = 409,
            description = "`LAST_ADMIN`: no admin who can sign in would be left",
        ),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn update(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    Payload(change): Payload<AccountChange>,
) -> Result<Json<ManagedAccount>, Problem> {
    let request = caller.outbound.request(change.of(id));
    let answer = app.identity().update_account(request).await?.into_inner();
    Ok(Json(required("account", answer.account)?.try_into()?))
}

/// Mails the invitation of an account again. The link of the earlier mail does not work any more.
#[utoipa::path(
    post,
    path = "/admin/users/{id}/invite",
    operation_id = "inviteAgain",
    tag = "administration",
    params(("id" = Id, Path, description = "Id of the account")),
    responses(
        (status = 202, description = "It will be mailed", body = ManagedAccount),
        (status = 403, description = "`ADMIN_REQUIRED`, `ACCOUNT_DISABLED`"),
        (status = 404, description = "`USER_NOT_FOUND`"),
        (status = 409, description = "`NOT_INVITED`: it has a password"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn invite(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<(StatusCode, Json<ManagedAccount>), Problem> {
    mail(&app, &caller, id, LinkPurpose::Invitation).await
}

/// Mails a link that sets another password of an account. It works once, for 30 minutes. The password
/// until now stays valid until then.
#[utoipa::path(
    post,
    path = "/admin/users/{id}/reset",
    operation_id = "mailPasswordReset",
    tag = "administration",
    params(("id" = Id, Path, description = "Id of the account")),
    responses(
        (status = 202, description = "It will be mailed", body = ManagedAccount),
        (status = 403, description = "`ADMIN_REQUIRED`, `ACCOUNT_DISABLED`"),
        (status = 404, description = "`USER_NOT_FOUND`"),
        (status = 409, description = "`NO_PASSWORD`: it signs in without one"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn reset(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<(StatusCode, Json<ManagedAccount>), Problem> {
    mail(&app, &caller, id, LinkPurpose::ResetPassword).await
}

/// Has a link mailed to an account.
async fn mail(
    app: &AppState,
    caller: &Caller,
    id: Id,
    purpose: LinkPurpose,
) -> Result<(StatusCode, Json<ManagedAccount>), Problem> {
    let request = caller.outbound.request(SendAccountLinkRequest {
        account_id: id.to_string(),
        purpose: purpose.into(),
    });
    let answer = app.identity().send_account_link(request).await?;
    let account = required("account", answer.into_inner().account)?;
    Ok((StatusCode::ACCEPTED, Json(account.try_into()?)))
}
