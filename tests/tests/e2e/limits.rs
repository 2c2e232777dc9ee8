//! What one client may take of a process.

use http::uri::PathAndQuery;
use slipway_tests::{Client, Options, Process};
use tokio::net::TcpStream;
use tonic::transport::Channel;

/// Where a URL leads.
fn address(url: &str) -> &str {
    url.trim_start_matches("http://")
}

async fn silent(url: &str, count: usize) -> Vec<TcpStream> {
    let mut connections = Vec::new();
    for _ in 0..count {
        connections.push(TcpStream::connect(address(url)).await.unwrap());
    }
    connections
}

#[tokio::test]
async fn silent_connections_take_neither_health_nor_answers_from_others() {
    let options = Options {
        open_files: Some(512),
        ..Options::default()
    };
    let server = Process::start_with(&options).await.unwrap();
    let admin = server.admin().await.unwrap();
    // More than there are files, on each port.
    let _silent = [
        silent(&server.http, 600).await,
        silent(&server.grpc, 600).await,
        silent(&server.ops, 600).await,
    ];
    for _ in 0..3 {
        let ops = Client::new(&server.ops);
        let _ = ops.get("/healthz").await.unwrap().expect(200);
        let _ = ops.get("/readyz").await.unwrap().expect(200);
        let client = server.client();
        let _ = client
            .get("/.well-known/jwks.json")
            .await
            .unwrap()
            .expect(200);
        let _ = admin.get("/releases").await.unwrap().expect(200);
        let release = serde_json::json!({"name": "under siege"});
        let _ = admin.post("/releases", &release).await.unwrap().expect(201);
    }
    server.signal("TERM").await.unwrap();
    let (status, log) = server.ended().await.unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("allows fewer client connections"), "{log}");
    assert!(!log.contains("could not be accepted"), "{log}");
}

#[tokio::test]
async fn made_up_methods_leave_one_label_in_the_metrics() {
    let server = Process::start().await.unwrap();
    let channel = Channel::from_shared(server.grpc.clone()).unwrap();
    let channel = channel.connect().await.unwrap();
    for path in ["/made.up.Service/One", "/made.up.Service/Two", "/made", "/"] {
        call(&channel, path).await;
    }
    let metrics = Client::new(&server.ops).get("/metrics").await.unwrap();
    let calls = |line: &&str| line.starts_with("slipway_rpc_calls_total");
    let unknown: Vec<_> = metrics
        .text
        .lines()
        .filter(calls)
        .filter(|line| line.contains("Unimplemented"))
        .collect();
    assert_eq!(
        unknown,
        ["slipway_rpc_calls_total{method=\"unknown\",code=\"Unimplemented\"} 4"]
    );
    assert!(!metrics.text.contains("made.up"), "{}", metrics.text);
}

/// A gRPC call of a method that there is not.
async fn call(channel: &Channel, path: &'static str) {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let path = PathAndQuery::from_static(path);
    let answer = client.unary(tonic::Request::new(()), path, codec).await;
    assert_eq!(answer.unwrap_err().code(), tonic::Code::Unimplemented);
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_open_to_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;

    let server = Process::start().await.unwrap();
    let _ = server.admin().await.unwrap();
    let mut directories = vec![server.data.path().join("data")];
    let mut files = 0;
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let (path, metadata) = entry.map(|e| (e.path(), e.metadata().unwrap())).unwrap();
            let mode = metadata.permissions().mode();
            assert_eq!(mode & 0o077, 0, "{} {mode:o}", path.display());
            if metadata.is_dir() {
                directories.push(path);
            } else {
                files += 1;
            }
        }
    }
    assert!(files > 5, "{files}");
}
