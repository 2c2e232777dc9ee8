//! `/auth/tokens`: tokens for programs.

use axum::{Json, extract::State};
use http::StatusCode;
use slipway_proto::identity::v1::{CreateTokenRequest, RevokeTokenRequest};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    extract::{Caller, ListParams, PathId, Payload},
    model::{CreatedToken, Id, NewToken, Page, Paging, ProgramToken, TokensOfMine},
    problem::Problem,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(revoke))
}

/// The caller's tokens for programs, newest first.
///
/// Without those that were revoked. Expired ones are listed for a day.
#[utoipa::path(
    get,
    path = "/auth/tokens",
    operation_id = "listTokens",
    tag = "accounts",
    params(Paging),
    responses((status = 200, description = "A page of tokens", body = Page<ProgramToken>)),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn list(
    State(app): State<AppState>,
    caller: Caller,
    ListParams(query, paging): ListParams<TokensOfMine>,
) -> Result<Json<Page<ProgramToken>>, Problem> {
    let request = caller.outbound.request(query.page(paging));
    let answer = app.identity().list_tokens(request).await?.into_inner();
    Ok(Json(Page::new(answer.tokens, answer.next_page_token)?))
}

/// Creates a token for a program.
///
/// The program sends it as `Authorization: Bearer`, and acts for you within its scope. This answer
/// has the token, once. `READ` may call everything that has no effect; `WORK` may also do what a
/// developer may do, and nothing else, even if you are an admin; `ADMIN` may do everything that you
/// may do. No token may create or revoke tokens, change the password or end sessions.
///
/// An `Idempotency-Key` has no effect: a repetition is refused because the name is taken.
#[utoipa::path(
    post,
    path = "/auth/tokens",
    operation_id = "createToken",
    tag = "accounts",
    request_body(
        content = NewToken,
        example = json!({"name": "nightly build", "scope": "WORK"}),
    ),
    responses(
        (status = 201, description = "The token", body = CreatedToken),
        (
            status = 409,
            description = "`TOKEN_NAME_TAKEN`: another of your tokens has the name; \
                `TOO_MANY_TOKENS`: you have 50, expired ones of the last day included",
        ),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn create(
    State(app): State<AppState>,
    caller: Caller,
    Payload(token): Payload<NewToken>,
) -> Result<(StatusCode, Json<CreatedToken>), Problem> {
    let request = caller.outbound.request(CreateTokenRequest::from(token));
    let answer = app.identity().create_token(request).await?.into_inner();
    Ok((StatusCode::CREATED, Json(answer.try_into()?)))
}

/// Revokes a token for programs of the caller.
///
/// Within two seconds it is not accepted any more, and the streams end that were opened with it.
#[utoipa::path(
    delete,
    path = "/auth/tokens/{id}",
    operation_id = "revokeToken",
    tag = "accounts",
    params(("id" = Id, Path, description = "Id of the token")),
    responses(
        (status = 204, description = "Revoked"),
        (status = 404, description = "`TOKEN_NOT_FOUND`: unknown, not yours, or revoked before"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn revoke(
    State(app): State<AppState>,
    caller: Caller,
    PathId(token): PathId,
) -> Result<StatusCode, Problem> {
    let request = caller.outbound.request(RevokeTokenRequest {
        token_id: token.to_string(),
    });
    app.identity().revoke_token(request).await?;
    Ok(StatusCode::NO_CONTENT)
}
