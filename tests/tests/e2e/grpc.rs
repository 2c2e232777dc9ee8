//! The gRPC API as other programs use it, including grpcurl, which knows only what reflection
//! reports.

use serde_json::Value;
use slipway_proto::release::v1::{
    CreateReleaseRequest, ListReleasesRequest, NewTask, new_task::Assignee,
    release_service_client::ReleaseServiceClient,
};
use slipway_rpc::error::Fault;
use slipway_tests::{Process, Team};
use tokio::process::Command;
use tonic::{Request, metadata::MetadataValue, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tower::ServiceExt as _;

const SERVICES: [&str; 5] = [
    "slipway.identity.v1.IdentityService",
    "slipway.release.v1.ReleaseService",
    "slipway.release.v1.TaskService",
    "slipway.forum.v1.ForumService",
    "slipway.notify.v1.ActivityService",
];

fn health(service: &str) -> Request<HealthCheckRequest> {
    Request::new(HealthCheckRequest {
        service: service.to_owned(),
    })
}

#[tokio::test]
async fn health_answers_for_each_service_and_watchers_see_the_drain() {
    let server = Process::start().await.unwrap();
    let channel = Endpoint::from_shared(server.grpc.clone()).unwrap();
    let mut client = HealthClient::new(channel.connect().await.unwrap());
    let mut watched = Vec::new();
    for service in SERVICES.iter().chain(&[""]) {
        let mut watch = client.watch(health(service)).await.unwrap().into_inner();
        // The dependencies are checked for the first time just after the start.
        while watch.message().await.unwrap().unwrap().status() != ServingStatus::Serving {}
        let answer = client.check(health(service)).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
        watched.push(watch);
    }
    let unknown = client.check(health("slipway.Unknown")).await;
    assert_eq!(unknown.unwrap_err().code(), tonic::Code::NotFound);

    server.signal("TERM").await.unwrap();
    for mut watch in watched {
        let last = watch.message().await.unwrap().unwrap();
        assert_eq!(last.status(), ServingStatus::NotServing);
        assert!(watch.message().await.unwrap().is_none(), "the stream ends");
    }
    let (status, log) = server.ended().await.unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[tokio::test]
async fn repeated_metadata_is_refused() {
    let server = Process::start().await.unwrap();
    let team = Team::new(&server, 1).await.unwrap();
    let channel = Endpoint::from_shared(server.grpc.clone()).unwrap();
    let mut client = ReleaseServiceClient::new(channel.connect().await.unwrap());
    let admin = format!("Bearer {}", team.admin.token());
    let developer = format!("Bearer {}", team.developers[0].token());
    for (name, doubled) in [
        ("authorization", [&*admin, &*developer]),
        ("idempotency-key", ["one", "two"]),
    ] {
        let mut request = Request::new(CreateReleaseRequest {
            name: "said twice".to_owned(),
            ..CreateReleaseRequest::default()
        });
        let metadata = request.metadata_mut();
        metadata.insert("authorization", admin.parse().unwrap());
        metadata.remove(name);
        for value in doubled {
            metadata.append(name, value.parse().unwrap());
        }
        let status = client.create_release(request).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        assert_eq!(status.message(), format!("{name} must be given once."));
    }
}

#[tokio::test]
async fn a_refused_long_plan_has_field_errors() {
    let server = Process::start().await.unwrap();
    let admin = server.admin().await.unwrap();
    let channel = Endpoint::from_shared(server.grpc.clone()).unwrap();
    let mut client = ReleaseServiceClient::new(channel.connect().await.unwrap());
    let mut request = Request::new(CreateReleaseRequest {
        name: "wrong".to_owned(),
        tasks: vec![NewTask::default(); 500],
        ..CreateReleaseRequest::default()
    });
    let bearer = format!("Bearer {}", admin.token());
    let metadata = request.metadata_mut();
    metadata.insert("authorization", bearer.parse().unwrap());
    let status = client.create_release(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert_eq!(status.message(), "1000 fields are invalid.");
    assert!(
        status.details().len() <= 6 * 1024,
        "{}",
        status.details().len()
    );
}

#[tokio::test]
async fn an_error_names_the_fields_of_the_message() {
    let server = Process::start().await.unwrap();
    let admin = server.admin().await.unwrap();
    let channel = Endpoint::from_shared(server.grpc.clone()).unwrap();
    let mut client = ReleaseServiceClient::new(channel.connect().await.unwrap());
    let bearer: MetadataValue<_> = format!("Bearer {}", admin.token()).parse().unwrap();
    let list = |page_size, page_token: &str| {
        let mut request = Request::new(ListReleasesRequest {
            page_size,
            page_token: page_token.to_owned(),
            ..ListReleasesRequest::default()
        });
        request
            .metadata_mut()
            .insert("authorization", bearer.clone());
        request
    };
    for (request, message) in [
        (
            list(201, ""),
            "page_size must be from 1 to 200, or 0 for 50.",
        ),
        (list(0, "x"), "page_token was not issued by this list."),
    ] {
        let status = client.list_releases(request).await.unwrap_err();
        assert_eq!(status.message(), message);
    }
    let named = Some(Assignee::AssigneeUsername("nobody".to_owned()));
    let tasks = [(named, -1), (None, -2)].map(|(assignee, order_index)| NewTask {
        title: "t".to_owned(),
        assignee,
        order_index: Some(order_index),
        ..NewTask::default()
    });
    let mut request = Request::new(CreateReleaseRequest {
        name: "wrong".to_owned(),
        tasks: tasks.to_vec(),
        ..CreateReleaseRequest::default()
    });
    request
        .metadata_mut()
        .insert("authorization", bearer.clone());
    let status = client.create_release(request).await.unwrap_err();
    let fields: Vec<_> = Fault::from(status)
        .fields
        .into_iter()
        .map(|error| error.field)
        .collect();
    let expected = [
        "tasks[0].assignee_username",
        "tasks[0].order_index",
        "tasks[1].assignee_username",
        "tasks[1].order_index",
    ];
    assert_eq!(fields, expected);
}

#[tokio::test]
async fn a_request_without_the_grpc_content_type_gets_an_http_error() {
    let server = Process::start().await.unwrap();
    let channel = Endpoint::from_shared(server.grpc.clone()).unwrap();
    let channel = channel.connect().await.unwrap();
    for (content_type, status) in [
        ("application/json", 415),
        ("application/grpc+json", 415),
        ("application/grpc+proto", 200),
    ] {
        for path in [
            "/slipway.identity.v1.IdentityService/GetMe",
            "/no.Such/Method",
        ] {
            let request = http::Request::post(path)
                .header("content-type", content_type)
                .header("te", "trailers");
            let request = request.body(tonic::body::Body::empty()).unwrap();
            let answer = channel.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), status, "{content_type} {path}");
        }
    }
}

/// Runs grpcurl; `None` if it is not installed, which fails in CI.
async fn grpcurl(args: &[&str]) -> Option<(bool, String)> {
    let output = Command::new("grpcurl")
        .arg("-plaintext")
        .args(args)
        .output()
        .await;
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            let required = std::env::var_os("SLIPWAY_TEST_REQUIRED").is_some();
            assert!(!required, "grpcurl cannot be run: {error}");
            eprintln!("SKIPPED: grpcurl cannot be run: {error}");
            return None;
        }
    };
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8(text).unwrap()))
}

#[tokio::test]
async fn grpcurl_works_by_reflection_and_needs_a_token() {
    let server = Process::start().await.unwrap();
    let team = Team::new(&server, 1).await.unwrap();
    let at = server.grpc.trim_start_matches("http://");
    let Some((_, listed)) = grpcurl(&[at, "list"]).await else {
        return;
    };
    let others = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
    ];
    for service in SERVICES.iter().chain(&others) {
        assert!(listed.contains(service), "{service} is not in: {listed}");
        let (described, text) = grpcurl(&[at, "describe", service]).await.unwrap();
        assert!(described, "{text}");
    }
    let method = "slipway.release.v1.TaskService.StartTask";
    let (_, text) = grpcurl(&[at, "describe", method]).await.unwrap();
    assert!(text.contains("ACCESS_LEVEL_AUTHENTICATED"), "{text}");

    let list = "slipway.release.v1.ReleaseService/ListReleases";
    let (called, text) = grpcurl(&[at, list]).await.unwrap();
    assert!(!called && text.contains("Unauthenticated"), "{text}");
    let create = "slipway.release.v1.ReleaseService/CreateRelease";
    let bearer = |token: &str| format!("authorization: Bearer {token}");
    let developer = bearer(team.developers[0].token());
    let plan = r#"{"name": "by grpcurl", "tasks": [{"title": "t", "assigneeUsername": "dev-0"}]}"#;
    let (called, text) = grpcurl(&["-H", &developer, "-d", plan, at, create])
        .await
        .unwrap();
    assert!(!called && text.contains("ADMIN_REQUIRED"), "{text}");
    let admin = bearer(team.admin.token());
    let (called, text) = grpcurl(&["-H", &admin, "-d", plan, at, create])
        .await
        .unwrap();
    assert!(called, "{text}");
    let (called, text) = grpcurl(&["-H", &developer, at, list]).await.unwrap();
    assert!(called, "{text}");
    let releases: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(releases["releases"][0]["name"], "by grpcurl");
}
