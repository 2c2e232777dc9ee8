//! The gRPC server: middleware, health, reflection, and draining on shutdown.

use std::{convert::Infallible, time::Duration};

use slipway_proto::DESCRIPTOR_SET;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body, service::Routes};
use tonic_health::{ServingStatus, server::HealthReporter};
use tower::{Layer as _, ServiceExt, util::BoxCloneSyncService};

use super::{
    call::{CallLayer, InFlight},
    link::LocalService,
    tls::ServerTls,
};
use crate::{
    access::AccessLayer,
    http::{Connections, Protocol, Serving},
};

/// The middleware of every service: trace and deadline, then access.
#[derive(Clone)]
pub struct Middleware {
    call: CallLayer,
    access: AccessLayer,
    in_flight: InFlight,
}

impl Middleware {
    /// Creates middleware with `access` as its access check.
    #[must_use]
    pub fn new(access: AccessLayer) -> Self {
        let in_flight = InFlight::default();
        Self {
            call: CallLayer::new(in_flight.clone()),
            access,
            in_flight,
        }
    }

    /// Sets whether calls over the network are written to the access log.
    #[must_use]
    pub fn with_access_log(mut self, logs_access: bool) -> Self {
        self.call.log_access(logs_access);
        self
    }

    /// Wraps routes for calls within the process.
    #[must_use]
    pub fn wrap(&self, routes: Routes) -> LocalService {
        let routes =
            ServiceExt::<http::Request<Body>>::map_err(routes.prepare(), |error| -> Infallible {
                unreachable!("a router answers every request: {error}")
            });
        BoxCloneSyncService::new(self.call.layer(self.access.layer(routes)))
    }
}

/// The health of each service, for `grpc.health.v1`.
#[derive(Clone)]
pub struct GrpcHealth {
    reporter: HealthReporter,
    services: Vec<&'static str>,
}

impl GrpcHealth {
    async fn set(&self, service: &str, serving: bool) {
        let status = if serving {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        self.reporter.set_service_status(service, status).await;
    }

    /// Sets the status of every service, by its full protobuf name, and of the whole process, whose
    /// name is empty.
    pub async fn report(&self, serving: impl Fn(&str) -> bool) {
        for service in self.names() {
            self.set(service, serving(service)).await;
        }
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once("").chain(self.services.iter().copied())
    }

    /// Ends the streams of clients that watch the health.
    async fn close(mut self) {
        for service in std::iter::once("").chain(self.services) {
            self.reporter.clear_service_status(service).await;
        }
    }
}

/// A gRPC server for some services, with health and reflection.
pub struct GrpcServer {
    routes: Routes,
    middleware: Middleware,
    health: GrpcHealth,
    tls: Option<ServerTls>,
}

impl GrpcServer {
    /// Creates a server for `routes`; `services` are the full protobuf names in it. Health is
    /// NOT_SERVING until it is set.
    ///
    /// # Errors
    /// If the contracts cannot be read for reflection.
    pub async fn new(
        routes: Routes,
        services: Vec<&'static str>,
        middleware: Middleware,
    ) -> Result<Self, tonic_reflection::server::Error> {
        let (reporter, health_service) = tonic_health::server::health_reporter();
        let health = GrpcHealth { reporter, services };
        health.report(|_| false).await;
        let reflection = |version: &str| {
            let mut builder = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                // So that a client without proto files can decode our error details.
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
                .with_service_name(format!("grpc.reflection.{version}.ServerReflection"))
                .with_service_name("grpc.health.v1.Health");
            for service in &health.services {
                builder = builder.with_service_name(*service);
            }
            builder
        };
        let routes = routes
            .add_service(reflection("v1").build_v1()?)
            .add_service(reflection("v1alpha").build_v1alpha()?)
            .add_service(health_service);
        Ok(Self {
            routes,
            middleware,
            health,
            tls: None,
        })
    }

    /// Serves over TLS if `tls` is given.
    #[must_use]
    pub fn with_tls(mut self, tls: Option<ServerTls>) -> Self {
        self.tls = tls;
        self
    }

    /// The handle to report health.
    #[must_use]
    pub fn health(&self) -> GrpcHealth {
        self.health.clone()
    }

    /// Serves until `shutdown`. Then it reports NOT_SERVING, finishes the calls in flight, and
    /// returns after `drain` at the latest.
    pub async fn serve(
        self,
        listener: TcpListener,
        connections: Connections,
        shutdown: CancellationToken,
        drain: Duration,
    ) {
        let service = self
            .middleware
            .wrap(self.routes)
            .map_request(|request: http::Request<axum::body::Body>| request.map(Body::new));
        let serving = Serving {
            name: "grpc",
            protocol: Protocol::Grpc,
            connections,
            tls: self.tls,
            refusal: |fault| Status::from(fault).into_http(),
            drain,
        };
        let served = crate::http::serve(listener, service, serving, shutdown.clone());
        let (health, in_flight) = (self.health, self.middleware.in_flight);
        let reported = async {
            shutdown.cancelled().await;
            health.report(|_| false).await;
            in_flight.none().await;
            health.close().await;
        };
        tokio::join!(served, async {
            let _ = tokio::time::timeout(drain, reported).await;
        });
    }
}
