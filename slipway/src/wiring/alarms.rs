//! Delivers the alarms of this process as `system.error` events over the bus. Alarms about the bus
//! itself, and all alarms while the bus is unavailable, are sent by RPC to notify-svc. Alarms wait
//! while neither can be reached.

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

/// Timeout of one delivery attempt, by bus or by RPC.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Interval for updated counts and undelivered alarms.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// How long the bus is not used after it failed to accept a report.
const BUS_PAUSE: Duration = Duration::from_secs(10);

/// Delivers the alarms of this process. Without a bus and a link to notify-svc they stay queued.
pub(super) struct Delivery {
    /// The process's name, as `release`: replicas have the same one.
    pub(super) service: &'static str,
    /// The bus, if the process has one.
    pub(super) bus: Option<SharedBus>,
    /// The incident service, if its address is known.
    pub(super) incidents: Option<Link>,
    /// The process's own token.
    pub(super) tokens: Arc<ServiceTokens>,
}

impl Delivery {
    /// Delivers in the background until the process stops, and once more then.
    pub(super) fn spawn(self, background: &Background) {
        let delivery = Arc::new(self);
        background.spawn("alarms", move |stop| {
            let delivery = Arc::clone(&delivery);
            async move { alarm::delivering(delivery.run(&stop)).await }
        });
    }

    async fn run(&self, stop: &CancellationToken) {
        let mut bus_paused_until = Instant::now();
        loop {
            self.deliver_due(&mut bus_paused_until).await;
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = alarm::news() => {}
                () = tokio::time::sleep(POLL_EVERY) => {}
            }
        }
        self.deliver_due(&mut bus_paused_until).await;
    }

    async fn deliver_due(&self, bus_paused_until: &mut Instant) {
        for report in alarm::due() {
            if self.deliver(&report, bus_paused_until).await {
                alarm::delivered(&report);
            }
        }
    }

    async fn deliver(&self, report: &Report, bus_paused_until: &mut Instant) -> bool {
        let by_bus =
            !report.condition.kind.is_about_the_bus() && Instant::now() >= *bus_paused_until;
        if by_bus && let Some(bus) = &self.bus {
            let published = bus.publish(vec![self.event(report).to_record()]);
            match tokio::time::timeout(TIMEOUT, published).await {
                Ok(Ok(())) => return true,
                refused => {
                    tracing::debug!(?refused, "alert not published on the bus; using gRPC");
                    *bus_paused_until = Instant::now() + BUS_PAUSE;
                }
            }
        }
        let Some(incidents) = &self.incidents else {
            return false;
        };
        let outbound = Outbound {
            deadline: Some(TIMEOUT),
            ..Outbound::with_token(self.tokens.current())
        };
        let request = outbound.request(self.request(report));
        let mut client = IncidentServiceClient::new(incidents.clone());
        match tokio::time::timeout(TIMEOUT, client.report(request)).await {
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

    /// The event for a report, with the report's id.
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
            // One key per service, so that its events stay in order.
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
