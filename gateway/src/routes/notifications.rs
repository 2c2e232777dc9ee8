//! `/notifications…` and `/admin/notifications`: notifications by email.

use axum::{Json, extract::State};
use slipway_proto::notify::v1::GetNotificationRequest;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::document::ForAdmins;
use crate::{
    app::AppState,
    extract::{Caller, ListParams, PathId},
    model::{AllNotificationsQuery, Id, Notification, NotificationsQuery, Page, Paging, required},
    problem::Problem,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(mine))
        .routes(routes!(get))
        .routes(routes!(all))
}

/// The caller's notifications, newest first.
#[utoipa::path(
    get,
    path = "/notifications",
    operation_id = "listNotifications",
    tag = "notifications",
    params(NotificationsQuery, Paging),
    responses((status = 200, description = "A page of notifications", body = Page<Notification>)),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn mine(
    State(app): State<AppState>,
    caller: Caller,
    ListParams(query, paging): ListParams<NotificationsQuery>,
) -> Result<Json<Page<Notification>>, Problem> {
    let request = caller.outbound.request(query.page(paging));
    let answer = app.notifications().list_notifications(request).await?;
    let answer = answer.into_inner();
    Ok(Json(Page::new(
        answer.notifications,
        answer.next_page_token,
    )?))
}

/// One notification, for its recipient and for administrators: it shows why it was or was not
/// sent.
#[utoipa::path(
    get,
    path = "/notifications/{id}",
    operation_id = "getNotification",
    tag = "notifications",
    params(("id" = Id, Path, description = "Id of the notification")),
    responses(
        (status = 200, description = "The notification", body = Notification),
        (status = 404, description = "`NOTIFICATION_NOT_FOUND`, also for those of others"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn get(
    State(app): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<Notification>, Problem> {
    let id = id.to_string();
    let request = caller.outbound.request(GetNotificationRequest { id });
    let answer = app.notifications().get_notification(request).await?;
    let notification = required("notification", answer.into_inner().notification)?;
    Ok(Json(notification.try_into()?))
}

/// Everybody's notifications, newest first.
#[utoipa::path(
    get,
    path = "/admin/notifications",
    operation_id = "listAllNotifications",
    tag = "administration",
    params(AllNotificationsQuery, Paging),
    responses(
        (status = 200, description = "A page of notifications", body = Page<Notification>),
        ForAdmins,
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn all(
    State(app): State<AppState>,
    caller: Caller,
    ListParams(query, paging): ListParams<AllNotificationsQuery>,
) -> Result<Json<Page<Notification>>, Problem> {
    let request = caller.outbound.request(query.page(paging));
    let answer = app.notifications().list_all_notifications(request).await?;
    let answer = answer.into_inner();
    Ok(Json(Page::new(
        answer.notifications,
        answer.next_page_token,
    )?))
}
