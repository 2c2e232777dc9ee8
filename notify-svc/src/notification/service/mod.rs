//! `slipway.notify.v1.NotificationService`: lists notifications, has the figures of the day, and
//! records delivery reports.

use std::sync::Arc;

use jiff::Timestamp;
use slipway_proto::notify::v1::{
    ConfirmDeliveriesRequest, ConfirmDeliveriesResponse, GetDeliveryFiguresRequest,
    GetDeliveryFiguresResponse, GetNotificationRequest, GetNotificationResponse,
    ListAllNotificationsRequest, ListAllNotificationsResponse, ListNotificationsRequest,
    ListNotificationsResponse, Notification as Shown,
    notification_service_server::NotificationService,
};
use slipway_rpc::{
    access::{Principal, Role, principal},
    error::{Fault, Kind},
    page,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    Notification, NotificationId, To,
    confirmation::record::Confirmations,
    figures,
    preferences::store::PreferenceStore,
    recipients::{Recipient, store::RecipientStore},
    store::{Direction, NotificationStore, Query},
    templates::Library,
};

mod deliveries;
mod translate;

/// The service.
pub(crate) struct NotificationApi {
    pub(crate) notifications: NotificationStore,
    pub(crate) recipients: RecipientStore,
    pub(crate) preferences: PreferenceStore,
    pub(crate) templates: Arc<Library>,
    pub(crate) confirmations: Confirmations,
}

#[tonic::async_trait]
impl NotificationService for NotificationApi {
    async fn get_notification(
        &self,
        request: Request<GetNotificationRequest>,
    ) -> Result<Response<GetNotificationResponse>, Status> {
        let caller = principal(&request)?;
        let id = slipway_runtime::id::parse(&request.get_ref().id);
        let id = id.map_err(|error| Fault::invalid_field("id", error.to_string()))?;
        let found = self.notifications.get(NotificationId(id)).await;
        let found = found.map_err(Fault::from)?;
        let mine = found
            .filter(|found| caller.role == Role::Admin || found.to == To::User(caller.user_id));
        let shown = self
            .show(vec![mine.ok_or_else(not_found)?], &caller)
            .await?;
        Ok(Response::new(GetNotificationResponse {
            notification: shown.into_iter().next(),
        }))
    }

    async fn list_notifications(
        &self,
        request: Request<ListNotificationsRequest>,
    ) -> Result<Response<ListNotificationsResponse>, Status> {
        let caller = principal(&request)?;
        let request = request.into_inner();
        let filter = translate::filter(request.filter, vec![To::User(caller.user_id)])?;
        let query = Query {
            direction: direction(request.ascending),
            ..Query::newest(filter, page::limit(request.page_size, page::MAX_LIMIT)?)
        };
        let (notifications, next_page_token) =
            self.page(query, &request.page_token, &caller).await?;
        Ok(Response::new(ListNotificationsResponse {
            notifications,
            next_page_token,
        }))
    }

    async fn list_all_notifications(
        &self,
        request: Request<ListAllNotificationsRequest>,
    ) -> Result<Response<ListAllNotificationsResponse>, Status> {
        let caller = principal(&request)?;
        let request = request.into_inner();
        let to = self.recipients(&request.recipient).await?;
        let query = Query {
            direction: direction(request.ascending),
            ..Query::newest(
                translate::filter(request.filter, to)?,
                page::limit(request.page_size, page::MAX_LIMIT)?,
            )
        };
        let (notifications, next_page_token) =
            self.page(query, &request.page_token, &caller).await?;
        Ok(Response::new(ListAllNotificationsResponse {
            notifications,
            next_page_token,
        }))
    }

    async fn get_delivery_figures(
        &self,
        request: Request<GetDeliveryFiguresRequest>,
    ) -> Result<Response<GetDeliveryFiguresResponse>, Status> {
        let caller = principal(&request)?;
        let chosen = self.preferences.of(caller.user_id).await;
        let zone = chosen.map_err(Fault::from)?.preferences.time_zone;
        let now = self.confirmations.clock.now();
        let from = figures::beginning_of_day(now, zone.rules());
        let found = self.notifications.figures(from, Timestamp::MAX).await;
        let found = found.map_err(Fault::from)?;
        Ok(Response::new(translate::figures(from, &zone, &found)))
    }

    async fn confirm_deliveries(
        &self,
        request: Request<ConfirmDeliveriesRequest>,
    ) -> Result<Response<ConfirmDeliveriesResponse>, Status> {
        let reports = deliveries::reports(request.get_ref(), self.confirmations.clock.now())?;
        let known: Vec<_> = reports.iter().flatten().cloned().collect();
        let taken = self.confirmations.take_up(&known).await;
        let taken = taken.map_err(Fault::from)?;
        Ok(Response::new(deliveries::answered(&reports, taken)))
    }
}

impl NotificationApi {
    async fn page(
        &self,
        query: Query,
        token: &str,
        caller: &Principal,
    ) -> Result<(Vec<Shown>, String), Fault> {
        let cursors = query.to_string();
        if let Some(kind) = &query.filter.kind {
            self.exists(kind).await?;
        }
        let query = Query {
            behind: page::decode_cursor(&cursors, token)?.map(NotificationId),
            ..query
        };
        let page = self.notifications.list(&query).await?;
        let next = page.next.map(|next| next.0);
        let shown = self.show(page.items, caller).await?;
        Ok((shown, page::encode_cursor(&cursors, next.as_ref())))
    }

    /// Translates notifications for `caller`, with the names of their recipients, read in one
    /// query.
    async fn show(
        &self,
        notifications: Vec<Notification>,
        caller: &Principal,
    ) -> Result<Vec<Shown>, Fault> {
        let mut users: Vec<_> = notifications.iter().filter_map(|n| n.to.user()).collect();
        users.sort_unstable();
        users.dedup();
        let known = match users.is_empty() {
            true => Vec::new(),
            false => self.recipients.by_ids(&users).await?,
        };
        let name = |id: Uuid| {
            let found = known.iter().find(|recipient| recipient.id == id);
            found.map(|recipient| recipient.username.clone())
        };
        let to_admin = caller.role == Role::Admin;
        Ok(notifications
            .into_iter()
            .map(|notification| translate::shown(notification, name, to_admin))
            .collect())
    }

    /// The recipients that a text refers to: an address, with the account that has it; an id; or a
    /// name.
    async fn recipients(&self, text: &str) -> Result<Vec<To>, Fault> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        if text.contains('@') {
            let accounts = self.recipients.by_email(text).await?;
            let accounts = accounts.into_iter().map(|account| To::User(account.id));
            return Ok(accounts.chain([To::address(text)]).collect());
        }
        if let Ok(id) = slipway_runtime::id::parse(text) {
            return Ok(vec![To::User(id)]);
        }
        let found = self.recipients.by_usernames(&[text.to_owned()]).await?;
        let [Recipient { id, .. }] = found.as_slice() else {
            let message = "must be the name or the id of a user, or an address";
            return Err(Fault::invalid_field("recipient", message));
        };
        Ok(vec![To::User(*id)])
    }

    /// Refuses a type that no notification can have. A type whose templates were deleted remains:
    /// it may still have notifications.
    async fn exists(&self, kind: &str) -> Result<(), Fault> {
        let current = self.templates.with(kind).await?;
        if current.has(kind) || current.version(kind).is_some() {
            return Ok(());
        }
        let message =
            format!("must be one type, such as task.assigned; there is none called {kind:?}");
        Err(Fault::invalid_field("filter.type", message))
    }
}

fn direction(ascending: bool) -> Direction {
    match ascending {
        true => Direction::OldestFirst,
        false => Direction::NewestFirst,
    }
}

fn not_found() -> Fault {
    Fault::new(
        Kind::NotFound,
        "NOTIFICATION_NOT_FOUND",
        "There is no such notification of yours.",
    )
}
