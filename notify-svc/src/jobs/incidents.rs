//! Incidents from the bus, and seeing to those there are.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use slipway_bus::{
    Event,
    consumer::{Consumer, Failure, Group, Handler, Host, Order, Refusal, Verdict},
};
use slipway_proto::events::{Payload as _, SYSTEM, SystemErrorEvent};
use tokio_util::sync::CancellationToken;

use crate::{incident::Report, incidents::Incidents};

/// The consumer group.
pub(super) fn group() -> Group {
    Group {
        name: "incidents",
        topics: vec![SYSTEM.name.to_owned()],
        order: Order::PerKey,
    }
}

/// How often incidents are seen to: what is silent, and what is owed.
const SEE_TO_EVERY: Duration = Duration::from_secs(5);

/// Takes up what the bus delivers, and sees to the incidents, until told to stop.
pub(crate) fn spawn(incidents: &Arc<Incidents>, host: &Host) {
    incidents.know_configured();
    Consumer {
        group: group(),
        handler: Arc::new(FromBus(Arc::clone(incidents))),
    }
    .spawn(host);
    let incidents = Arc::clone(incidents);
    host.background.spawn("incidents", move |stop| {
        let incidents = Arc::clone(&incidents);
        async move { see_to(&incidents, &stop).await }
    });
}

async fn see_to(incidents: &Incidents, stop: &CancellationToken) {
    loop {
        if let Err(error) = incidents.see_to().await {
            tracing::warn!(%error, "incidents cannot be seen to");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(SEE_TO_EVERY) => {}
        }
    }
}

struct FromBus(Arc<Incidents>);

#[async_trait]
impl Handler for FromBus {
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
