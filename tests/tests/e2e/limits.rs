//! Limits on what one client may use of a process.

use http::uri::PathAndQuery;
use slipway_tests::{Client, Options, Process, until};
use tokio::net::TcpStream;
use tonic::{Code, transport::Channel};

/// The address in a URL.
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

/// Waits until the server has accepted every earlier connection: it accepts them in order, so it
/// has when it answers on a later one. Until then, it may close one of these, because it closes the
/// connections that have been idle longest.
async fn all_are_taken_up(server: &Process) {
    let answered = until(async || {
        let _ = Client::new(&server.ops).get("/healthz").await?;
        let _ = server.client().get("/.well-known/jwks.json").await?;
        let channel = Channel::from_shared(server.grpc.clone())?.connect().await?;
        anyhow::ensure!(call(&channel, "/made.up.Service/One").await? == Code::Unimplemented);
        Ok(())
    });
    answered.await.unwrap();
}

#[tokio::test]
async fn silent_connections_do_not_block_health_or_other_clients() {
    let options = Options {
        open_files: Some(512),
        ..Options::default()
    };
    let server = Process::start_with(&options).await.unwrap();
    let admin = server.admin().await.unwrap();
    // More than the open-file limit, on each port.
    let _silent = [
        silent(&server.http, 600).await,
        silent(&server.grpc, 600).await,
        silent(&server.ops, 600).await,
    ];
    all_are_taken_up(&server).await;
    // Each uses a connection of its own: an idle connection may be closed to make room, and a
    // client that sends a request at that moment must repeat it.
    let ops = || Client::new(&server.ops);
    let signed_in = || server.client().with_token(admin.token());
    for _ in 0..3 {
        let _ = ops().get("/healthz").await.unwrap().expect(200);
        let _ = ops().get("/readyz").await.unwrap().expect(200);
        let keys = server.client().get("/.well-known/jwks.json").await;
        let _ = keys.unwrap().expect(200);
        let _ = signed_in().get("/releases").await.unwrap().expect(200);
        let release = serde_json::json!({"name": "under siege"});
        let created = signed_in().post("/releases", &release).await;
        let _ = created.unwrap().expect(201);
    }
    server.signal("TERM").await.unwrap();
    let (status, log) = server.ended().await.unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("allows fewer client connections"), "{log}");
    assert!(!log.contains("failed to accept a connection"), "{log}");
}

#[tokio::test]
async fn unknown_methods_share_one_label_in_the_metrics() {
    let server = Process::start().await.unwrap();
    let channel = Channel::from_shared(server.grpc.clone()).unwrap();
    let channel = channel.connect().await.unwrap();
    for path in ["/made.up.Service/One", "/made.up.Service/Two", "/made", "/"] {
        assert_eq!(call(&channel, path).await.unwrap(), Code::Unimplemented);
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

/// The status with which a call of an unknown gRPC method is refused.
async fn call(channel: &Channel, path: &'static str) -> anyhow::Result<Code> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await?;
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let path = PathAndQuery::from_static(path);
    let answer = client.unary(tonic::Request::new(()), path, codec).await;
    Ok(answer.map_or_else(|status| status.code(), |_| Code::Ok))
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
