//! What it costs to be observed: commands and reads while nobody looks, while the metrics are
//! scraped, and while every trace is exported too. Metrics are recorded always.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use slipway_tests::{Client, Options, Process, Team};
use tokio::{net::TcpListener, task::JoinSet};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

use super::{Plan, address, load, report::Line, work};

/// Ten times as often as in `monitoring/`.
const SCRAPE_EVERY: Duration = Duration::from_secs(1);

/// Takes all spans and keeps none.
struct Collector;

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        _: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

pub(super) async fn observing(plan: &Plan) -> anyhow::Result<Vec<Line>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let collector = format!("http://{}", listener.local_addr()?);
    let server = Server::builder()
        .add_service(TraceServiceServer::new(Collector))
        .serve_with_incoming(TcpIncoming::from(listener));
    // Aborted when dropped, at the end of the row.
    let mut background = JoinSet::new();
    background.spawn(async move { drop(server.await) });

    let traced = Options::default().env("SLIPWAY_OTLP_URL", collector);
    let mut lines = Vec::new();
    for reads in [false, true] {
        let mut unobserved = None;
        for (how, options, scraped) in [
            ("unobserved", Options::default(), false),
            ("scraped every second", Options::default(), true),
            ("scraped and traced", traced.clone(), true),
        ] {
            let process = Process::start_with(&work::of_one_client(options)).await?;
            let team = Team::new(&process, plan.clients).await?;
            let scripts = if reads {
                work::readers(&team, 0..plan.clients).await?
            } else {
                work::workers(&team, 0..plan.clients, plan.time).await?
            };
            let mut scraping = JoinSet::new();
            if scraped {
                let ops = Client::new(&process.ops);
                scraping.spawn(async move {
                    while ops.get("/metrics").await.is_ok() {
                        tokio::time::sleep(SCRAPE_EVERY).await;
                    }
                });
            }
            let outcome = load::run(address(&process)?, scripts, plan.time).await?;
            let rate = outcome.rate();
            let percent = 100.0 * (1.0 - rate / *unobserved.get_or_insert(rate));
            let what = if reads { "reads" } else { "commands" };
            let measured = format!("{rate:.0}, {percent:.1} % fewer than unobserved");
            let line = Line::new(format!("{what} a second, {how}"), measured);
            lines.push(line.figures(&[("perSecond", rate), ("percentFewer", percent)]));
        }
    }
    Ok(lines)
}
