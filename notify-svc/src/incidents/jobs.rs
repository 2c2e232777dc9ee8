//! The consumer of reports, and the sweep over the incidents there are.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use slipway_bus::{
    Event,
    consumer::{Consumer, Failure, Group, Handler, Host, Order, Refusal, Verdict},
};
use slipway_proto::events::{Payload as _, SYSTEM, SystemErrorEvent};
use tokio_util::sync::CancellationToken;

use super::{Report, alerting::Alerting};

/// The consumer group.
pub(crate) fn group() -> Group {
    Group {
        name: "incidents",
        topics: vec![SYSTEM.name.to_owned()],
        order: Order::PerKey,
    }
}

/// How often silent incidents are closed and owed mails are made.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Records what the bus delivers and sweeps over the incidents, until told to stop.
pub(crate) fn spawn(alerting: &Arc<Alerting>, host: &Host) {
    alerting.load_configured();
    Consumer {
        group: group(),
        handler: Arc::new(ReportConsumer(Arc::clone(alerting))),
    }
    .spawn(host);
    let alerting = Arc::clone(alerting);
    host.background.spawn("incidents", move |stop| {
        let alerting = Arc::clone(&alerting);
        async move { sweep(&alerting, &stop).await }
    });
}

async fn sweep(alerting: &Alerting, stop: &CancellationToken) {
    loop {
        if let Err(error) = alerting.sweep().await {
            tracing::warn!(%error, "incidents cannot be updated");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(SWEEP_EVERY) => {}
        }
    }
}

struct ReportConsumer(Arc<Alerting>);

#[async_trait]
impl Handler for ReportConsumer {
    async fn handle(&self, events: &[Event]) -> Result<(), Failure> {
        let (mut reports, mut refusals) = (Vec::new(), Vec::new());
        for event in events {
            match read(event) {
                Ok(report) => reports.extend(report),
                Err(reason) => refusals.push(Refusal {
                    event_id: event.id,
                    verdict: Verdict::Poison,
                    reason,
                }),
            }
        }
        if !refusals.is_empty() {
            return Err(Failure::Events(refusals));
        }
        // Each counts once, so what a failure leaves half done is done again.
        for report in reports {
            let taken = self.0.report(report).await;
            taken.map_err(|error| Failure::Transient(error.to_string()))?;
        }
        Ok(())
    }
}

/// The report in an event; `None` if it is of a type that is not known.
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
