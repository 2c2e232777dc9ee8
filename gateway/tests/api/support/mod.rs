//! A gateway with fake services, and its clients.

mod answer;
mod chat;
mod core;
mod forum;
mod log;
mod reader;

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use gateway::{Config, Dependencies, StreamConfig};
use http::{HeaderValue, Method, Request, header::HOST};
use serde_json::Value;
use slipway_proto::{
    chat::v1::chat_service_server::ChatServiceServer,
    forum::v1::forum_service_server::ForumServiceServer,
    identity::v1::identity_service_server::IdentityServiceServer,
    notify::v1::activity_service_server::ActivityServiceServer,
    release::v1::{
        release_service_server::ReleaseServiceServer, task_service_server::TaskServiceServer,
    },
};
use slipway_rpc::{
    access::{
        EndedSession, EndedSessions, Issuer, Keyring, ProgramTokens, Role, Scope, ServiceSecret,
        ServiceTokens, SessionClaim, StreamLimits, Verifier,
    },
    grpc::{Link, LocalService},
};
use slipway_runtime::{clock::ManualClock, life::Background};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tower::{ServiceExt, util::BoxCloneSyncService};
use uuid::Uuid;

pub(crate) use self::{
    answer::Answer,
    chat::SESSION,
    core::{ADA, Core, PROGRAM, RELEASE, SECRET, TASK},
    forum::{COMMENT, REPLY},
    log::Log,
    reader::Reader,
};

/// How long tokens last.
pub(crate) const TTL: Duration = Duration::from_secs(3600);

/// The bearer token for `POST /hooks/*`.
pub(crate) const HOOK_SECRET: &str = "a secret of webhooks";

/// Streams of one account at the same time.
pub(crate) const STREAMS_PER_USER: usize = 3;

pub(crate) struct Gateway {
    pub(crate) router: Router,
    pub(crate) core: Arc<Core>,
    pub(crate) log: Arc<Log>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) drain: CancellationToken,
    pub(crate) services: Arc<ServiceTokens>,
    issuer: Issuer,
    token: String,
    ended: EndedSessions,
    /// Ends the background work with the test.
    _background: Background,
}

/// Every documented operation: method, path, and its part of the document.
pub(crate) async fn operations(gateway: &Gateway) -> Vec<(Method, String, Value)> {
    let document = gateway.get("/openapi.json").await.json();
    let mut found = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            found.push((method, path.clone(), operation.clone()));
        }
    }
    found
}

impl Gateway {
    /// From now on the token for programs is of an account with this role, and has this scope.
    pub(crate) fn program_is(&self, role: Role, scope: Scope) {
        let session = SessionClaim {
            id: Uuid::try_parse(RELEASE).unwrap(),
            expires_at: jiff::Timestamp::MAX,
            scope: Some(scope),
        };
        let ada = Uuid::try_parse(ADA).unwrap();
        let token = self.issuer.issue(ada, "ada", role, Some(session)).unwrap();
        *self.core.token.lock().unwrap() = token.text;
    }

    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with_stream(stream: StreamConfig) -> Self {
        Self::with(Config {
            stream,
            ..Config::default()
        })
    }

    pub(crate) fn with(config: Config) -> Self {
        let clock = Arc::new(ManualClock::at("2026-03-01T10:00:00Z".parse().unwrap()));
        let keys = Arc::new(Keyring::ephemeral());
        let secret = ServiceSecret::random();
        let tokens = ServiceTokens::new(secret.clone(), "gateway", clock.clone());
        let services = Arc::new(tokens);
        let core = Arc::new(Core::default());
        let log = Arc::new(Log::default());
        let background = Background::default();
        let drain = CancellationToken::new();
        let release = Routes::new(IdentityServiceServer::from_arc(Arc::clone(&core)))
            .add_service(ReleaseServiceServer::from_arc(Arc::clone(&core)))
            .add_service(TaskServiceServer::from_arc(Arc::clone(&core)));
        let forum = Routes::new(ForumServiceServer::from_arc(Arc::clone(&core)));
        let chat = Routes::new(ChatServiceServer::from_arc(Arc::clone(&core)));
        let notify = Routes::new(ActivityServiceServer::from_arc(Arc::clone(&log)));
        let verifier = Verifier::with_keys(keys.jwks(), secret.clone(), clock.clone());
        let release = link(release);
        let tokens = ServiceTokens::new(secret, "gateway", clock.clone());
        let programs = ProgramTokens::new(release.clone(), tokens, clock.clone());
        let verifier = Arc::new(verifier);
        let ended = verifier.ended().clone();
        let router = config.build(Dependencies {
            release,
            forum: link(forum),
            chat: link(chat),
            notify: link(notify),
            processes: Vec::new(),
            verifier,
            webhook_secret: Some(HOOK_SECRET.into()),
            services: services.clone(),
            programs: Arc::new(programs),
            background: background.clone(),
            drain: drain.clone(),
            clock: clock.clone(),
            streams: StreamLimits::new(STREAMS_PER_USER, 100),
        });
        let issuer = Issuer::new(keys, TTL, clock.clone());
        let ada = Uuid::try_parse(ADA).unwrap();
        let session = SessionClaim {
            id: Uuid::try_parse(RELEASE).unwrap(),
            expires_at: jiff::Timestamp::MAX,
            scope: None,
        };
        let token = issuer.issue(ada, "ada", Role::Developer, Some(session));
        let token = token.unwrap().text;
        core.token.lock().unwrap().clone_from(&token);
        Self {
            router,
            core,
            log,
            issuer,
            token,
            ended,
            clock,
            drain,
            services,
            _background: background,
        }
    }

    /// Ends the session of Ada's tokens.
    pub(crate) fn end_session(&self) {
        let ended = EndedSession {
            id: Uuid::try_parse(RELEASE).unwrap(),
            until: jiff::Timestamp::MAX,
        };
        self.ended.add(ended, jiff::Timestamp::UNIX_EPOCH);
    }

    /// A token of Ada, a developer.
    pub(crate) fn token(&self) -> String {
        self.token.clone()
    }

    /// A request with Ada's token and a `Host` header.
    pub(crate) fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let bearer = format!("Bearer {}", self.token());
        Request::builder()
            .method(method)
            .uri(path)
            .extension(ConnectInfo(SocketAddr::from(([192, 0, 2, 7], 4711))))
            .header("host", "slipway.example")
            .header("authorization", bearer)
    }

    pub(crate) async fn send(&self, mut request: Request<Body>) -> Answer {
        let host = HeaderValue::from_static("slipway.example");
        request.headers_mut().entry(HOST).or_insert(host);
        self.send_as_it_is(request).await
    }

    pub(crate) async fn send_as_it_is(&self, request: Request<Body>) -> Answer {
        Answer::of(self.router.clone().oneshot(request).await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).body(Body::empty()).unwrap())
            .await
    }

    pub(crate) async fn patch(&self, path: &str) -> Answer {
        self.send(
            self.request(Method::PATCH, path)
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        let request = self
            .request(Method::POST, path)
            .header("content-type", "application/json");
        self.send(request.body(body.into()).unwrap()).await
    }

    /// Opens the stream, with retries until the gateway follows the log.
    pub(crate) async fn stream(&self, query: &str, last_event_id: Option<u64>) -> Reader {
        let path = format!("/activity/stream{query}");
        loop {
            let mut request = self.request(Method::GET, &path);
            if let Some(id) = last_event_id {
                request = request.header("last-event-id", id);
            }
            let request = request.body(Body::empty()).unwrap();
            let response = self.router.clone().oneshot(request).await.unwrap();
            if response.status() == 200 {
                return Reader::of(response);
            }
            assert_eq!(response.status(), 503);
            tokio::task::yield_now().await;
        }
    }
}

fn link(routes: Routes) -> Link {
    let service = ServiceExt::<Request<tonic::body::Body>>::map_err(
        routes.prepare(),
        |error| -> Infallible { unreachable!("a router answers every request: {error}") },
    );
    let service: LocalService = BoxCloneSyncService::new(service);
    Link::local(service)
}
