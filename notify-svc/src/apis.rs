//! The services of notifications, and what each is made of.

use slipway_proto::notify::v1::{
    event_service_server::EventServiceServer,
    notification_service_server::NotificationServiceServer,
    preference_service_server::PreferenceServiceServer,
    template_service_server::TemplateServiceServer,
};
use slipway_store::outbox::Wake;
use tonic::service::Routes;

use crate::{
    Notifier, Stores,
    confirmations::Confirmations,
    grpc::{EventApi, NotificationApi, PreferenceApi, TemplateApi},
};

/// What is asked of notifications, from outside.
pub(crate) struct Apis {
    notifications: NotificationApi,
    preferences: PreferenceApi,
    templates: TemplateApi,
    events: EventApi,
}

impl Apis {
    /// On these stores.
    pub(crate) fn new(stores: &Stores, notifier: &Notifier, outbox: Wake) -> Self {
        let (templates, clock) = (notifier.templates.clone(), notifier.clock.clone());
        Self {
            notifications: NotificationApi {
                notifications: stores.notifications.clone(),
                recipients: stores.recipients.clone(),
                confirmations: Confirmations {
                    store: stores.notifications.clone(),
                    clock: clock.clone(),
                    outbox: outbox.clone(),
                },
            },
            preferences: PreferenceApi {
                preferences: stores.preferences.clone(),
                templates: templates.clone(),
                clock: clock.clone(),
            },
            templates: TemplateApi {
                store: stores.templates.clone(),
                templates: templates.clone(),
                clock: clock.clone(),
            },
            events: EventApi {
                intake: stores.intake.clone(),
                receipts: stores.receipts.clone(),
                notifications: stores.notifications.clone(),
                recipients: stores.recipients.clone(),
                templates,
                clock,
                outbox,
            },
        }
    }

    /// Adds them to `routes`.
    pub(crate) fn serve(self, routes: Routes) -> Routes {
        routes
            .add_service(NotificationServiceServer::new(self.notifications))
            .add_service(PreferenceServiceServer::new(self.preferences))
            .add_service(TemplateServiceServer::new(self.templates))
            .add_service(EventServiceServer::new(self.events))
    }
}
