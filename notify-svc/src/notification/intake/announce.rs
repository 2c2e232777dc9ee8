//! Accepts an event that another program announces: checks it and puts it into the outbox.
//!
//! From there it takes the same way as every event: outbox, bus, consumer. An accepted event is not
//! lost, and no request waits for a mail.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Map, Value};
use slipway_bus::{Actor, Event, event::Origin};
use slipway_proto::events::{NotificationRequestedEvent, UserRef};
use slipway_rpc::{
    access::{Principal, Role},
    error::{Fault, Kind},
};
use slipway_runtime::clock::SharedClock;
use slipway_store::{outbox::Wake, receipts::Receipt};
use uuid::Uuid;

use super::{
    AcceptedEvent, MAX_RECIPIENTS, QUOTA, WINDOW, flaws, left, may_notify,
    store::{Acceptance, IntakeStore},
};
use crate::{
    SERVICE, metrics as m,
    notification::{
        Notification,
        recipients::store::RecipientStore,
        store::NotificationStore,
        templates::{Current, Library, RenderError, editor::busy, present},
    },
    translate,
};

/// An announcement by another program.
pub(super) struct Announcement {
    /// The event's type.
    pub(super) kind: String,
    /// Names and ids of the users to notify.
    pub(super) recipients: Vec<String>,
    /// The template's variables.
    pub(super) data: Map<String, Value>,
}

/// The result of an accepted announcement.
pub(super) struct Announced {
    /// Id of the event.
    pub(super) id: Uuid,
    /// When it was accepted.
    pub(super) at: Timestamp,
    /// How many more events the sender may announce now.
    pub(super) left: usize,
}

/// Accepts events from other programs.
pub(crate) struct Intake {
    pub(crate) store: IntakeStore,
    pub(crate) notifications: NotificationStore,
    pub(crate) recipients: RecipientStore,
    pub(crate) templates: Arc<Library>,
    pub(crate) clock: SharedClock,
    /// Woken when there are events to publish.
    pub(crate) outbox: Wake,
}

impl Intake {
    /// Accepts an announcement of `sender` after checking permission, templates and quota.
    /// `receipt` makes the idempotency receipt from the result.
    pub(super) async fn announce(
        &self,
        announcement: Announcement,
        sender: &Principal,
        receipt: impl FnOnce(&Announced) -> Option<Receipt>,
    ) -> Result<Announced, Fault> {
        let requested = self.check(announcement, sender).await?;
        let sender = requested.requested_by.clone();
        let latest = self.store.latest(sender.id).await?;
        let now = self.clock.now();
        let announced = Announced {
            id: Uuid::now_v7(),
            at: now,
            left: left(&latest, now).saturating_sub(1),
        };
        let event = event(&requested, &announced);
        let receipt = receipt(&announced);
        let accepted = AcceptedEvent {
            id: announced.id,
            kind: requested.notification_type,
            sender,
            recipients: requested.recipients,
            at: now,
        };
        match self.store.accept(&accepted, event, receipt).await? {
            Acceptance::Stored => {
                metrics::counter!(m::ACCEPTED).increment(1);
                self.outbox.wake(announced.id);
                Ok(announced)
            }
            Acceptance::TooMany(wait) => {
                metrics::counter!(m::OVER_QUOTA).increment(1);
                Err(too_many(Duration::try_from(wait).unwrap_or_default()))
            }
        }
    }

    /// An event that `caller` may see, and the notifications created for it.
    pub(super) async fn get(
        &self,
        id: Uuid,
        caller: &Principal,
    ) -> Result<(AcceptedEvent, Vec<Notification>), Fault> {
        let found = self.store.get(id).await?;
        let mine =
            found.filter(|found| caller.role == Role::Admin || found.sender.id == caller.user_id);
        let accepted = mine.ok_or_else(not_found)?;
        Ok((accepted, self.notifications.of_event(id).await?))
    }

    /// The event for an announcement that passes all checks.
    async fn check(
        &self,
        announcement: Announcement,
        sender: &Principal,
    ) -> Result<NotificationRequestedEvent, Fault> {
        let Announcement {
            kind,
            recipients,
            data,
        } = announcement;
        let current = self.templates.with(&kind).await?;
        let kinds: Vec<_> = current.own_kinds().collect();
        if !kinds.contains(&kind) {
            return Err(unknown_type(&kinds));
        }
        let data = self.rendered(current, &kind, data).await?;
        Ok(NotificationRequestedEvent {
            recipients: self.recipients(&recipients, sender).await?,
            requested_by: translate::caller(sender),
            notification_type: kind,
            data,
        })
    }

    /// The users that these names and ids refer to, each once, if `caller` may notify them.
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
            return Ok(vec![translate::caller(caller)]);
        }
        // Before any lookup: a caller without permission must not learn who exists.
        if !may_notify(caller, Uuid::nil()) {
            return Err(only_yourself());
        }
        let known = self.look_up(wanted).await?;
        let mut found: Vec<UserRef> = Vec::new();
        for (n, text) in wanted.iter().enumerate() {
            let Some(user) = known.get(&text.to_lowercase()) else {
                let message = match text.contains('@') {
                    true => "must be the name or the id of a user, not an email address",
                    false => "must be the name or the id of a user",
                };
                return Err(Fault::invalid_field(format!("recipients[{n}]"), message));
            };
            if !found.contains(user) {
                found.push(user.clone());
            }
        }
        Ok(found)
    }

    /// The users, keyed by name in lower case and by id.
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

    /// The data, if the type's templates can be rendered with it.
    async fn rendered(
        &self,
        current: Arc<Current>,
        kind: &str,
        data: Map<String, Value>,
    ) -> Result<Map<String, Value>, Fault> {
        let flaws = flaws(&data, &current.variables(kind));
        if !flaws.is_empty() {
            return Err(Fault::invalid(flaws));
        }
        let kind = kind.to_owned();
        let rendered = self.templates.for_request(move || {
            let (data, templates) = (present(&data), current.templates());
            templates.subject(&kind, &data)?;
            templates.body(&kind, &data, "ada")?;
            Ok::<_, RenderError>(data)
        });
        let data = rendered.await.map_err(busy)?.map_err(|error| {
            Fault::invalid_field("data_json", format!("does not fit the templates: {error}"))
        })?;
        match data {
            Value::Object(fields) => Ok(fields),
            _ => Ok(Map::new()),
        }
    }
}

/// The event that makes the consumer create the notifications.
fn event(requested: &NotificationRequestedEvent, announced: &Announced) -> Event {
    let sender = &requested.requested_by;
    let actor = Actor::User {
        id: sender.id,
        username: sender.username.clone(),
    };
    let origin = Origin {
        service: SERVICE,
        key: announced.id,
        subject: announced.id,
        actor: &actor,
        time: announced.at,
    };
    Event {
        id: announced.id,
        ..Event::new(requested, &origin)
    }
}

fn unknown_type(kinds: &[String]) -> Fault {
    let detail = match kinds {
        [] => "There is no such type of event: no administrator has created templates for one yet."
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
        "Only administrators may notify other users; you may notify yourself.",
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
        "You have announced no such event. Outcomes of events are kept for a day.",
    )
}
