//! Delivers the alarms that this process has raised, as `system.error` events over the bus;
//! what is wrong with the bus itself, and everything while it is away, by RPC to the service
//! that keeps the incidents. While neither can be reached they wait.

use std::{sync::Arc, time::Duration};

use slipway_bus::{Actor, Event, SharedBus, event::Origin};
use slipway_proto::{
    events::SystemErrorEvent,
    notify::v1::{ReportRequest, incident_service_client::IncidentServiceClient},
};
use slipway_rpc::{
    access::ServiceTokens,
    grpc::{Link, Outbound},
};
use slipway_runtime::{
    alarm::{self, Report},
    clock::to_millis,
    life::Background,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long one way may take.
const WITHIN: Duration = Duration::from_secs(2);

/// How often it looks by itself: for counts, and for what could not be delivered.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A bus that did not take a report is not asked again for so long.
const BUS_RESTS: Duration = Duration::from_secs(10);

/// What delivers the alarms of this process. Without any of the two ways they stay where
/// they are.
pub(super) struct Delivery {
    /// The process's name, as `release`: replicas have the same one.
    pub(super) service: &'static str,
    /// The bus, if the process has one.
    pub(super) bus: Option<SharedBus>,
    /// The service that keeps incidents, if it can be reached.
    pub(super) incidents: Option<Link>,
    /// The process's own token.
    pub(super) tokens: Arc<ServiceTokens>,
}

impl Delivery {
    /// Delivers in the background until told to stop; then once more.
    pub(super) fn spawn(self, background: &Background) {
        let delivery = Arc::new(self);
        background.spawn("alarms", move |stop| {
            let delivery = Arc::clone(&delivery);
            async move { alarm::delivering(delivery.run(&stop)).await }
        });
    }

    async fn run(&self, stop: &CancellationToken) {
        let mut bus_rests_until = Instant::now();
        loop {
            self.deliver_due(&mut bus_rests_until).await;
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = alarm::news() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        self.deliver_due(&mut bus_rests_until).await;
    }

    async fn deliver_due(&self, bus_rests_until: &mut Instant) {
        for report in alarm::due() {
            if self.deliver(&report, bus_rests_until).await {
                alarm::delivered(&report);
            }
        }
    }

    async fn deliver(&self, report: &Report, bus_rests_until: &mut Instant) -> bool {
        let by_bus =
            !report.condition.kind.is_about_the_bus() && Instant::now() >= *bus_rests_until;
        if by_bus && let Some(bus) = &self.bus {
            let published = bus.publish(vec![self.event(report).to_record()]);
            match tokio::time::timeout(WITHIN, published).await {
                Ok(Ok(())) => return true,
                refused => {
                    tracing::debug!(?refused, "alert not published on the bus; using gRPC");
                    *bus_rests_until = Instant::now() + BUS_RESTS;
                }
            }
        }
        let Some(incidents) = &self.incidents else {
            return false;
        };
        let outbound = Outbound {
            deadline: Some(WITHIN),
            ..Outbound::with_token(self.tokens.current())
        };
        let request = outbound.request(self.request(report));
        let mut client = IncidentServiceClient::new(incidents.clone());
        match tokio::time::timeout(WITHIN, client.report(request)).await {
            Ok(Ok(_)) => true,
            refused => {
                tracing::debug!(
                    ?refused,
                    "alert is waiting: neither the bus nor gRPC accepts it"
                );
                false
            }
        }
    }

    fn fingerprint(&self, report: &Report) -> String {
        let (kind, about) = (report.condition.kind.as_str(), &report.condition.about);
        format!("{}/{kind}/{about}", self.service)
    }

    /// The report as an event: its id is the event's.
    fn event(&self, report: &Report) -> Event {
        let fingerprint = self.fingerprint(report);
        let payload = SystemErrorEvent {
            service: self.service.to_owned(),
            kind: report.condition.kind.as_str().to_owned(),
            fingerprint: fingerprint.clone(),
            summary: report.summary.clone(),
            since: to_millis(report.since),
            count: report.count,
            resolved: report.resolved,
            lasts: false,
            trace_id: report.trace_id.clone(),
        };
        let origin = Origin {
            service: self.service,
            key: Uuid::nil(),
            subject: Uuid::nil(),
            actor: &Actor::System,
            time: to_millis(jiff::Timestamp::now()),
        };
        Event {
            id: report.id,
            subject: fingerprint,
            // What one service says stays in order.
            key: self.service.to_owned(),
            ..Event::new(&payload, &origin)
        }
    }

    fn request(&self, report: &Report) -> ReportRequest {
        ReportRequest {
            id: report.id.to_string(),
            service: self.service.to_owned(),
            kind: report.condition.kind.as_str().to_owned(),
            fingerprint: self.fingerprint(report),
            summary: report.summary.clone(),
            since: Some(slipway_proto::time::to_proto(report.since)),
            count: report.count,
            resolved: report.resolved,
            lasts: false,
            trace_id: report.trace_id.clone().unwrap_or_default(),
        }
    }
}
