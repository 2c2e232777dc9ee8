//! `slipway.notify.v1.EventService`: events of other programs.
//!
//! An accepted event takes the way of every event: outbox, bus, consumer. So once it is
//! answered it is not lost, and nothing is sent in a request.

use std::{collections::HashMap, sync::Arc, time::Duration};

use prost::Message as _;
use serde_json::{Map, Value};
use slipway_bus::{Actor, Event, event::Origin};
use slipway_proto::{
    common::v1,
    events::{NotificationRequestedEvent, UserRef},
    notify::v1::{
        AnnounceEventRequest, AnnounceEventResponse, EventRecipient, GetEventRequest,
        GetEventResponse, event_service_server::EventService,
    },
    time::to_proto as timestamp,
};
use slipway_rpc::{
    access::{Principal, Role, principal},
    error::{Fault, Kind},
};
use slipway_runtime::clock::SharedClock;
use slipway_store::{
    outbox::Wake,
    receipts::{self, ReceiptStore, Repeatable},
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    Accepted, MAX_RECIPIENTS, QUOTA, WINDOW,
    store::{Acceptance, IntakeStore},
};
use crate::{
    SERVICE, metrics as m,
    notification::{
        Notification, To, intake,
        recipients::store::RecipientStore,
        store::NotificationStore,
        templates::{
            Current, LONGEST_DATA, Library, RenderError, present,
            service::{busy, object},
        },
    },
};

/// The service.
pub(crate) struct EventApi {
    pub(crate) intake: IntakeStore,
    pub(crate) receipts: Arc<dyn ReceiptStore>,
    pub(crate) notifications: NotificationStore,
    pub(crate) recipients: RecipientStore,
    pub(crate) templates: Arc<Library>,
    pub(crate) clock: SharedClock,
    /// Told when there are events to publish.
    pub(crate) outbox: Wake,
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
        if let Some(earlier) = self.earlier(repeatable.as_ref()).await? {
            return Ok(Response::new(earlier));
        }
        let requested = self.read(request.into_inner(), &caller).await?;
        let response = self.accept(requested, repeatable.as_ref()).await?;
        Ok(Response::new(response))
    }

    async fn get_event(
        &self,
        request: Request<GetEventRequest>,
    ) -> Result<Response<GetEventResponse>, Status> {
        let caller = principal(&request)?;
        let id = slipway_runtime::id::parse(&request.get_ref().id);
        let id = id.map_err(|error| Fault::invalid_field("id", error.to_string()))?;
        let found = self.intake.get(id).await.map_err(Fault::from)?;
        let mine =
            found.filter(|found| caller.role == Role::Admin || found.sender.id == caller.user_id);
        let accepted = mine.ok_or_else(not_found)?;
        let made = self.notifications.of_event(id).await.map_err(Fault::from)?;
        Ok(Response::new(shown(accepted, &made)))
    }
}

impl EventApi {
    async fn earlier(
        &self,
        repeatable: Option<&Repeatable>,
    ) -> Result<Option<AnnounceEventResponse>, Fault> {
        let Some(repeatable) = repeatable else {
            return Ok(None);
        };
        let earlier = repeatable
            .earlier(&*self.receipts, self.clock.now())
            .await?;
        earlier.as_deref().map(receipts::decode).transpose()
    }

    /// What is asked for, if it may be.
    async fn read(
        &self,
        request: AnnounceEventRequest,
        caller: &Principal,
    ) -> Result<NotificationRequestedEvent, Fault> {
        let current = self.templates.with(&request.r#type).await?;
        let kinds: Vec<_> = current.own_kinds().collect();
        if !kinds.contains(&request.r#type) {
            return Err(unknown_type(&kinds));
        }
        let data = self.data(current, &request).await?;
        Ok(NotificationRequestedEvent {
            recipients: self.recipients(&request.recipients, caller).await?,
            requested_by: user(caller),
            notification_type: request.r#type,
            data,
        })
    }

    /// The accounts that these names and ids mean, each once, if `caller` may notify them.
    async fn recipients(
        &self,
        wanted: &[String],
        caller: &Principal,
    ) -> Result<Vec<UserRef>, Fault> {
        if wanted.len() > MAX_RECIPIENTS {
            let message = format!("must be at most {MAX_RECIPIENTS}");
            return Err(Fault::invalid_field("recipients", message));
        }
        let is_caller = |text: &String| {
            text.eq_ignore_ascii_case(&caller.username) || *text == caller.user_id.to_string()
        };
        if wanted.iter().all(is_caller) {
            return Ok(vec![user(caller)]);
        }
        // Before anybody is looked up: who may not notify others learns nothing of them.
        if !intake::may_notify(caller, Uuid::nil()) {
            return Err(only_yourself());
        }
        let known = self.look_up(wanted).await?;
        let mut found: Vec<UserRef> = Vec::new();
        for (n, text) in wanted.iter().enumerate() {
            let Some(user) = known.get(&text.to_lowercase()) else {
                let message = "must be the name or the id of a user";
                return Err(Fault::invalid_field(format!("recipients[{n}]"), message));
            };
            if !found.contains(user) {
                found.push(user.clone());
            }
        }
        Ok(found)
    }

    /// The accounts, each by its name in lower case and by its id: two questions for all.
    async fn look_up(&self, wanted: &[String]) -> Result<HashMap<String, UserRef>, Fault> {
        let ids: Vec<_> = wanted
            .iter()
            .filter_map(|text| slipway_runtime::id::parse(text).ok())
            .collect();
        let mut found = self.recipients.by_usernames(wanted).await?;
        if !ids.is_empty() {
            found.extend(self.recipients.by_ids(&ids).await?);
        }
        let by_both = found.into_iter().flat_map(|recipient| {
            let user = UserRef {
                id: recipient.id,
                username: recipient.username.clone(),
            };
            [
                (recipient.username.to_lowercase(), user.clone()),
                (recipient.id.to_string(), user),
            ]
        });
        Ok(by_both.collect())
    }

    /// The data, if the templates of the type can be rendered with them.
    async fn data(
        &self,
        current: Arc<Current>,
        request: &AnnounceEventRequest,
    ) -> Result<Map<String, Value>, Fault> {
        if request.data_json.len() > LONGEST_DATA {
            let message = format!("must be at most {LONGEST_DATA} bytes of JSON");
            return Err(Fault::invalid_field("data", message));
        }
        let data = match request.data_json.as_str() {
            "" => Map::new(),
            text => object("data", text)?,
        };
        let kind = request.r#type.clone();
        let flaws = intake::flaws(&data, &current.variables(&kind));
        if !flaws.is_empty() {
            return Err(Fault::invalid(flaws));
        }
        let rendered = self.templates.for_request(move || {
            let (data, templates) = (present(&data), current.templates());
            templates.subject(&kind, &data)?;
            templates.body(&kind, &data, "ada")?;
            Ok::<_, RenderError>(data)
        });
        let data = rendered.await.map_err(busy)?.map_err(|error| {
            Fault::invalid_field("data", format!("does not fit the templates: {error}"))
        })?;
        match data {
            Value::Object(fields) => Ok(fields),
            _ => Ok(Map::new()),
        }
    }

    async fn accept(
        &self,
        requested: NotificationRequestedEvent,
        repeatable: Option<&Repeatable>,
    ) -> Result<AnnounceEventResponse, Fault> {
        let now = self.clock.now();
        let sender = requested.requested_by.clone();
        let id = Uuid::now_v7();
        let actor = Actor::User {
            id: sender.id,
            username: sender.username.clone(),
        };
        let origin = Origin {
            service: SERVICE,
            key: id,
            subject: id,
            actor: &actor,
            time: now,
        };
        let event = Event {
            id,
            ..Event::new(&requested, &origin)
        };
        let latest = self.intake.latest(sender.id).await?;
        let left = intake::left(&latest, now).saturating_sub(1);
        let response = AnnounceEventResponse {
            id: id.to_string(),
            accepted_at: Some(timestamp(now)),
            left: u32::try_from(left).unwrap_or(0),
        };
        let accepted = Accepted {
            id,
            kind: requested.notification_type,
            sender,
            recipients: requested.recipients,
            at: now,
        };
        let receipt = repeatable.map(|r| r.receipt(response.encode_to_vec(), now));
        match self.intake.accept(&accepted, event, receipt).await? {
            Acceptance::Stored => {
                metrics::counter!(m::ACCEPTED).increment(1);
                self.outbox.wake(id);
                Ok(response)
            }
            Acceptance::TooMany(wait) => {
                metrics::counter!(m::OVER_QUOTA).increment(1);
                Err(too_many(Duration::try_from(wait).unwrap_or_default()))
            }
            // The same request was carried out at the same time.
            Acceptance::Repeated => {
                let earlier = self.earlier(repeatable).await?;
                earlier.ok_or_else(|| Fault::internal("a receipt was there and is gone"))
            }
        }
    }
}

fn user(caller: &Principal) -> UserRef {
    UserRef {
        id: caller.user_id,
        username: caller.username.clone(),
    }
}

fn shown(accepted: Accepted, made: &[Notification]) -> GetEventResponse {
    let recipients = accepted.recipients.into_iter().map(|recipient| {
        let notification = made.iter().find(|n| n.to == To::User(recipient.id));
        EventRecipient {
            notification_id: notification.map_or_else(String::new, |n| n.id.to_string()),
            state: notification.map_or_else(String::new, |n| n.state.as_str().to_owned()),
            recipient: Some(contract(recipient)),
        }
    });
    GetEventResponse {
        id: accepted.id.to_string(),
        r#type: accepted.kind,
        accepted_at: Some(timestamp(accepted.at)),
        recipients: recipients.collect(),
        sender: Some(contract(accepted.sender)),
    }
}

fn contract(user: UserRef) -> v1::UserRef {
    v1::UserRef {
        id: user.id.to_string(),
        username: user.username,
    }
}

fn unknown_type(kinds: &[String]) -> Fault {
    let detail = match kinds {
        [] => "There is no such type of event: no administrator has made templates for any yet."
            .to_owned(),
        kinds => format!(
            "There is no such type of event; there are {}.",
            kinds.join(", ")
        ),
    };
    Fault::new(Kind::NotFound, "UNKNOWN_EVENT_TYPE", detail).fact("types", kinds)
}

fn only_yourself() -> Fault {
    Fault::new(
        Kind::Forbidden,
        "ADMIN_REQUIRED",
        "Only administrators may have others notified; you may notify yourself.",
    )
}

fn too_many(wait: Duration) -> Fault {
    Fault::new(
        Kind::RateLimited,
        "TOO_MANY_EVENTS",
        format!("At most {QUOTA} events a minute. Try again later."),
    )
    .fact("limit", QUOTA)
    .fact("windowSeconds", WINDOW.as_secs())
    .retry_after(wait)
}

fn not_found() -> Fault {
    Fault::new(
        Kind::NotFound,
        "EVENT_NOT_FOUND",
        "There is no such event of yours. What became of an event is kept for a day.",
    )
}
