//! Background jobs of the incidents: the consumer of reports, and the sweep over stored incidents.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use slipway_bus::{
    Event,
    consumer::{Consumer, Failure, Group, Handler, Host, Order, all_or_poison},
};
use slipway_proto::events::{Payload as _, SYSTEM, SystemErrorEvent};

use super::{
    Report,
    alerting::{AT_ONCE, Alerting},
};

/// The consumer group.
pub(crate) fn group() -> Group {
    Group {
        name: "incidents",
        topics: vec![SYSTEM.name.to_owned()],
        order: Order::PerKey,
    }
}

/// How often silent incidents are closed and pending notifications created.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Starts the consumer and the sweep, until told to stop.
pub(crate) fn spawn(alerting: &Arc<Alerting>, host: &Host) {
    alerting.load_configured();
    Consumer {
        group: group(),
        handler: Arc::new(ReportConsumer(Arc::clone(alerting))),
    }
    .spawn(host);
    let alerting = Arc::clone(alerting);
    host.background
        .repeat("update-incidents", SWEEP_EVERY, move || {
            let alerting = Arc::clone(&alerting);
            async move { alerting.sweep().await }
        });
}

struct ReportConsumer(Arc<Alerting>);

#[async_trait]
impl Handler for ReportConsumer {
    async fn handle(&self, events: &[Event]) -> Result<(), Failure> {
        let reports = all_or_poison(events.iter().map(|event| (event, read(event))))?;
        let reports: Vec<_> = reports.into_iter().flatten().collect();
        // Each report counts once, so a batch that failed halfway can be repeated.
        for reports in reports.chunks(AT_ONCE as usize) {
            self.0.report(reports.to_vec()).await?;
        }
        Ok(())
    }
}

/// The report in an event; `None` if its type is unknown.
fn read(event: &Event) -> Result<Option<Report>, String> {
    if event.event_type != SystemErrorEvent::TYPE {
        return Ok(None);
    }
    let payload = event.payload();
    let payload = payload.map_err(|error| format!("its payload violates its schema: {error}"))?;
    let report = Report::new(event.id, payload);
    report
        .map(Some)
        .map_err(|malformed| format!("{} {malformed}", malformed.0))
}
