//! Traces: a collector of OpenTelemetry in this process gets the spans of a real Slipway.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::ensure;
use http::Method;
use notify_svc::testing::SmtpServer;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value,
    resource::v1::Resource,
};
use parking_lot::Mutex;
use serde_json::json;
use slipway_tests::{Backbones, Mesh, Options, Process, Team, until};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

/// The trace of a request, and the caller's span in it.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: [u8; 8] = [0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7];

/// The steps of a command that somebody is notified of.
const STEPS: [&str; 7] = [
    "request", "rpc", "command", "commit", "publish", "consume", "send",
];

#[derive(Debug, Clone)]
struct Span {
    trace: String,
    id: Vec<u8>,
    parent: Vec<u8>,
    name: String,
    /// The service that exported it.
    service: String,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The name of the service that exports.
fn name_of(resource: Resource) -> String {
    let mut attributes = resource.attributes.into_iter();
    let name = attributes.find(|one| one.key == "service.name").unwrap();
    match name.value.unwrap().value {
        Some(Value::StringValue(name)) => name,
        other => panic!("{other:?}"),
    }
}

/// Collects spans.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            let service = name_of(resource.resource.unwrap());
            let spans = resource.scope_spans.into_iter().flat_map(|one| one.spans);
            self.0.lock().extend(spans.map(|span| Span {
                trace: hex(&span.trace_id),
                id: span.span_id,
                parent: span.parent_span_id,
                name: span.name,
                service: service.clone(),
            }));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Listens on a port that the system chooses; returns its URL too.
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(server);
        (collector, url)
    }

    /// The spans of [`TRACE`], once it is complete: each is below another one or below the
    /// caller's.
    async fn trace(&self) -> Vec<Span> {
        let complete = until(async || {
            let mut spans = self.0.lock().clone();
            spans.retain(|span| span.trace == TRACE);
            for step in STEPS {
                let has = spans.iter().any(|span| span.name == step);
                ensure!(has, "{step} is not in {spans:#?}");
            }
            let ids: BTreeSet<_> = spans.iter().map(|span| &span.id).collect();
            for span in &spans {
                let known = ids.contains(&span.parent) || span.parent == CALLER;
                ensure!(known, "the parent of {span:?} is not in {spans:#?}");
            }
            Ok(spans)
        });
        complete.await.unwrap()
    }
}

/// The options of a process that exports its traces to `collector` and sends mails to `mails`.
fn traced(options: Options, collector: &str, mails: &SmtpServer) -> Options {
    options
        .env("SLIPWAY_OTLP_URL", collector)
        .env("SLIPWAY_SMTP_URL", mails.url())
}

/// Plans a release as part of [`TRACE`]; returns the services that took part in it.
async fn plan_a_release(mesh: Mesh, collector: Collector, mails: &SmtpServer) -> BTreeSet<String> {
    let team = Team::at(&mesh.client(), 1).await.unwrap();
    let plan = json!({"name": "Spring", "tasks": [{"title": "Tag it", "assignee": "dev-0"}]});
    let request = team.admin.request(Method::POST, "/releases").json(&plan);
    let request = request.header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
    let answer = team.admin.send(request).await.unwrap();
    assert!(answer.header("traceparent").contains(TRACE));
    answer.expect(201);
    let spans = collector.trace().await;
    let mailed = until(async || {
        let mails = mails.taken();
        let mut traces = mails.iter().map(|mail| mail.header("X-Trace-Id"));
        ensure!(traces.any(|trace| trace == Some(TRACE)), "{}", mails.len());
        Ok(())
    });
    mailed.await.unwrap();
    spans.into_iter().map(|span| span.service).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_one_trace_up_to_the_mail() {
    let (mails, (collector, url)) = (SmtpServer::start().await, Collector::start().await);
    let options = traced(Options::default(), &url, &mails);
    let mesh = Mesh::one_process_with(options).await.unwrap();
    let services = plan_a_release(mesh, collector, &mails).await;
    assert_eq!(services, BTreeSet::from(["slipway-all".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_through_all_processes() {
    let Some(backbones) = Backbones::start().await.unwrap() else {
        return;
    };
    let (mails, (collector, url)) = (SmtpServer::start().await, Collector::start().await);
    let also = |options| traced(options, &url, &mails);
    let mesh = Mesh::on_with(backbones, also).await.unwrap();
    let services = plan_a_release(mesh, collector, &mails).await;
    for service in ["slipway-gateway", "slipway-release", "slipway-notify"] {
        assert!(services.contains(service), "{services:?}");
    }
}

#[tokio::test]
async fn an_unavailable_collector_delays_nothing() {
    let options = Options::default().env("SLIPWAY_OTLP_URL", "http://127.0.0.1:1");
    let server = Process::start_with(&options).await.unwrap();
    let team = Team::new(&server, 1).await.unwrap();
    team.release("Spring", &[0]).await.unwrap();
    server.signal("TERM").await.unwrap();
    let (status, log) = server.ended().await.unwrap();
    assert!(status.success(), "{log}");
}
