//! Builds the gRPC services of notifications.

use slipway_proto::notify::v1::{
    event_service_server::EventServiceServer,
    notification_service_server::NotificationServiceServer,
    preference_service_server::PreferenceServiceServer,
    template_service_server::TemplateServiceServer,
};
use slipway_store::outbox::Wake;
use tonic::service::Routes;

use super::{
    confirmation::record::Confirmations,
    intake::{announce::Intake, service::EventApi},
    preferences::service::PreferenceApi,
    queue::Queue,
    service::NotificationApi,
    templates::{editor::Editor, service::TemplateApi},
};
use crate::Stores;

/// Adds them to `routes`.
pub(crate) fn add_to(routes: Routes, stores: &Stores, queue: &Queue, outbox: Wake) -> Routes {
    let (templates, clock) = (&queue.templates, &queue.clock);
    let notifications = NotificationApi {
        notifications: stores.notifications.clone(),
        recipients: stores.recipients.clone(),
        preferences: stores.preferences.clone(),
        templates: templates.clone(),
        confirmations: Confirmations {
            store: stores.notifications.clone(),
            clock: clock.clone(),
            outbox: outbox.clone(),
        },
    };
    let preferences = PreferenceApi {
        preferences: stores.preferences.clone(),
        templates: templates.clone(),
        clock: clock.clone(),
        notifications: stores.notifications.clone(),
        due: queue.due.clone(),
    };
    let intake = Intake {
        store: stores.intake.clone(),
        notifications: stores.notifications.clone(),
        recipients: stores.recipients.clone(),
        templates: templates.clone(),
        clock: clock.clone(),
        outbox: outbox.clone(),
    };
    let events = EventApi {
        intake,
        receipts: stores.receipts.clone(),
    };
    let templates = TemplateApi(Editor {
        store: stores.templates.clone(),
        library: templates.clone(),
        clock: clock.clone(),
        outbox,
    });
    routes
        .add_service(NotificationServiceServer::new(notifications))
        .add_service(PreferenceServiceServer::new(preferences))
        .add_service(TemplateServiceServer::new(templates))
        .add_service(EventServiceServer::new(events))
}
