//! `slipway.notify.v1.ReadingService`: translates requests, calls the stores, translates results.

use jiff::SignedDuration;
use slipway_proto::notify::v1::{
    self, GetReadPositionRequest, GetReadPositionResponse, UpdateReadPositionRequest,
    UpdateReadPositionResponse, reading_service_server::ReadingService,
};
use slipway_rpc::{access::principal, error::Fault};
use slipway_runtime::{clock::SharedClock, id};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{Position, Unread, store::ReadingStore};
use crate::{
    activity::store::ActivityStore,
    notification::{NotificationId, To, store::NotificationStore},
};

/// The service.
pub(crate) struct ReadingApi {
    pub(crate) positions: ReadingStore,
    pub(crate) activity: ActivityStore,
    pub(crate) notifications: NotificationStore,
    pub(crate) clock: SharedClock,
}

#[tonic::async_trait]
impl ReadingService for ReadingApi {
    async fn get_read_position(
        &self,
        request: Request<GetReadPositionRequest>,
    ) -> Result<Response<GetReadPositionResponse>, Status> {
        let user = principal(&request)?.user_id;
        let position = self.positions.of(user).await.map_err(Fault::from)?;
        Ok(Response::new(GetReadPositionResponse {
            position: Some(self.shown(user, position).await?),
        }))
    }

    async fn update_read_position(
        &self,
        request: Request<UpdateReadPositionRequest>,
    ) -> Result<Response<UpdateReadPositionResponse>, Status> {
        let user = principal(&request)?.user_id;
        let request = request.into_inner();
        let notification = match request.notification_id.as_str() {
            "" => None,
            text => Some(self.notification(text)?),
        };
        if request.sequence.is_none() && notification.is_none() {
            let message = "or notificationId must be given";
            return Err(Fault::invalid_field("sequence", message).into());
        }
        let newest = self.activity.newest().await.map_err(Fault::from)?;
        let to = Position {
            sequence: request.sequence.unwrap_or(0).min(newest),
            notification,
        };
        let position = self
            .positions
            .advance(user, to)
            .await
            .map_err(Fault::from)?;
        Ok(Response::new(UpdateReadPositionResponse {
            position: Some(self.shown(user, position).await?),
        }))
    }
}

impl ReadingApi {
    /// The id of a notification, or of all until now if it is of later.
    fn notification(&self, text: &str) -> Result<NotificationId, Fault> {
        let id = id::parse(text);
        let id = id.map_err(|error| Fault::invalid_field("notification_id", error.to_string()))?;
        let next = self.clock.now() + SignedDuration::from_millis(1);
        Ok(NotificationId(id).min(NotificationId::first_at(next)))
    }

    async fn shown(&self, user: Uuid, position: Position) -> Result<v1::ReadPosition, Fault> {
        let entries = self.activity.count_after(position.sequence).await?;
        let to = To::User(user);
        let most = Unread::MOST + 1;
        let after = position.notification;
        let notifications = self.notifications.count_after(&to, after, most).await?;
        Ok(v1::ReadPosition {
            sequence: position.sequence,
            entries: Some(unread(entries)),
            notification_id: after.map(|id| id.to_string()).unwrap_or_default(),
            notifications: Some(unread(notifications)),
        })
    }
}

fn unread(count: u64) -> v1::Unread {
    let Unread { count, more } = Unread::of(count);
    v1::Unread { count, more }
}
