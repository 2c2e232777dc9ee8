//! `/users`.

use axum::{Json, extract::State};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    extract::{Caller, ListParams},
    model::{Colleague, Page, Paging, UsersQuery},
    problem::Problem,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(users))
}

/// Users by name, to pick an assignee.
#[utoipa::path(
    get,
    path = "/users",
    operation_id = "listUsers",
    tag = "accounts",
    params(UsersQuery, Paging),
    responses((status = 200, description = "A page of users, by name", body = Page<Colleague>)),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn users(
    State(app): State<AppState>,
    caller: Caller,
    ListParams(query, paging): ListParams<UsersQuery>,
) -> Result<Json<Page<Colleague>>, Problem> {
    let request = caller.outbound.request(query.page(paging));
    let answer = app.identity().list_users(request).await?.into_inner();
    Ok(Json(Page::new(answer.users, answer.next_page_token)?))
}
