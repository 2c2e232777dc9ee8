//! `slipway.notify.v1.EventService`: accepts and returns events of other programs.

use std::sync::Arc;

use prost::Message as _;
use serde_json::Map;
use slipway_proto::{
    notify::v1::{
        AnnounceEventRequest, AnnounceEventResponse, EventRecipient, GetEventRequest,
        GetEventResponse, event_service_server::EventService,
    },
    time::to_proto as timestamp,
};
use slipway_rpc::{access::principal, error::Fault};
use slipway_store::receipts::{self, ReceiptStore, Repeatable};
use tonic::{Request, Response, Status};

use super::{
    AcceptedEvent,
    announce::{Announced, Announcement, Intake},
};
use crate::{
    notification::{Notification, To, templates::LONGEST_DATA},
    translate::{object, user},
};

/// The service.
pub(crate) struct EventApi {
    pub(crate) intake: Intake,
    pub(crate) receipts: Arc<dyn ReceiptStore>,
}

#[tonic::async_trait]
impl EventService for EventApi {
    async fn announce_event(
        &self,
        request: Request<AnnounceEventRequest>,
    ) -> Result<Response<AnnounceEventResponse>, Status> {
        let caller = principal(&request)?;
        let repeatable =
            Repeatable::of(&request, "AnnounceEvent", Some(&caller), request.get_ref())?;
        let repeatable = repeatable.as_ref();
        let receipt = |announced: &Announced| {
            let response = answer(announced).encode_to_vec();
            repeatable.map(|repeatable| repeatable.receipt(response, announced.at))
        };
        let announce = async {
            let announcement = announcement(request.into_inner())?;
            let announced = self.intake.announce(announcement, &caller, receipt);
            Ok(answer(&announced.await?))
        };
        let clock = &*self.intake.clock;
        let response = receipts::once(repeatable, &*self.receipts, clock, announce);
        Ok(Response::new(response.await?))
    }

    async fn get_event(
        &self,
        request: Request<GetEventRequest>,
    ) -> Result<Response<GetEventResponse>, Status> {
        let caller = principal(&request)?;
        let id = slipway_runtime::id::parse(&request.get_ref().id);
        let id = id.map_err(|error| Fault::invalid_field("id", error.to_string()))?;
        let (accepted, made) = self.intake.get(id, &caller).await?;
        Ok(Response::new(shown(accepted, &made)))
    }
}

fn announcement(request: AnnounceEventRequest) -> Result<Announcement, Fault> {
    if request.data_json.len() > LONGEST_DATA {
        let message = format!("must be at most {LONGEST_DATA} bytes of JSON");
        return Err(Fault::invalid_field("data_json", message));
    }
    Ok(Announcement {
        kind: request.r#type,
        recipients: request.recipients,
        data: match request.data_json.as_str() {
            "" => Map::new(),
            text => object("data_json", text)?,
        },
    })
}

fn answer(announced: &Announced) -> AnnounceEventResponse {
    AnnounceEventResponse {
        id: announced.id.to_string(),
        accepted_at: Some(timestamp(announced.at)),
        left: u32::try_from(announced.left).unwrap_or(0),
    }
}

fn shown(accepted: AcceptedEvent, made: &[Notification]) -> GetEventResponse {
    let recipients = accepted.recipients.into_iter().map(|recipient| {
        let notification = made.iter().find(|n| n.to == To::User(recipient.id));
        EventRecipient {
            notification_id: notification.map_or_else(String::new, |n| n.id.to_string()),
            state: notification.map_or_else(String::new, |n| n.state.as_str().to_owned()),
            recipient: Some(user(&recipient)),
        }
    });
    GetEventResponse {
        id: accepted.id.to_string(),
        r#type: accepted.kind,
        accepted_at: Some(timestamp(accepted.at)),
        recipients: recipients.collect(),
        sender: Some(user(&accepted.sender)),
    }
}
