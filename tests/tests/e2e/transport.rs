//! Calls from the gateway to services, when some or all replicas are unavailable.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::ensure;
use futures::future::join_all;
use slipway_tests::{Client, Options, Process, until};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// Far shorter than a deadline, far longer than a refusal that waits for nothing.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A copy of the data of a stopped process: processes on either have the same accounts and give the
/// same answers.
fn copied(dir: &Path) -> Arc<TempDir> {
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir(copy.path().join("data")).unwrap();
    for file in fs::read_dir(dir.join("data")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), copy.path().join("data").join(file.file_name())).unwrap();
    }
    Arc::new(copy)
}

/// A release service that accepts the tokens of all others created here.
fn release(dir: &Path) -> Options {
    let options = Options::default().of_the_mesh().arg("release");
    options.signing(dir).unwrap()
}

/// A gateway to all services at `urls`.
async fn gateway(urls: &str) -> Process {
    let options = Options::default().of_the_mesh().gateway(urls);
    Process::start_with(&options).await.unwrap()
}

/// Asks repeatedly until the answer has this status.
async fn is_answered(client: &Client, status: u16) {
    let answered = until(async || {
        let answer = client.get("/releases").await?;
        ensure!(
            answer.status == status,
            "{}: {}",
            answer.status,
            answer.text
        );
        Ok(())
    });
    answered.await.unwrap();
}

/// Requests must be refused as documented, without waiting. Returns the longest time of one.
async fn refuses(client: &Client) -> Duration {
    let mut longest = Duration::ZERO;
    for n in 0..20 {
        let started = Instant::now();
        let answer = match n % 2 {
            0 => client.get("/releases").await.unwrap(),
            _ => client
                .patch("/tasks/0198c1c0-0000-7000-8000-000000000000/start")
                .await
                .unwrap(),
        };
        longest = longest.max(started.elapsed());
        assert_eq!(answer.header("retry-after"), "1");
        let detail = answer.refused(503, "UNAVAILABLE")["detail"].clone();
        assert_eq!(detail, "A service cannot be reached at the moment.");
    }
    assert!(longest < AT_ONCE, "{longest:?}");
    longest
}

async fn metric(process: &Process, line: &str) -> bool {
    let metrics = Client::new(&process.ops).get("/metrics").await.unwrap();
    metrics.text.lines().any(|found| found == line)
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_survive_the_loss_of_one_replica_and_fail_fast_without_any() {
    let dir = tempfile::tempdir().unwrap();
    let options = release(dir.path());
    let one = Process::start_with(&options).await.unwrap();
    one.signal("TERM").await.unwrap();
    let data = Arc::clone(&one.data);
    one.ended().await.unwrap();
    let two = Process::start_on(copied(data.path()), &options).await;
    let (one, two) = (Process::start_on(data, &options).await, two.unwrap());
    let one = one.unwrap();
    let gateway = gateway(&format!("{},{}", one.grpc, two.grpc)).await;
    let admin = gateway.admin().await.unwrap();

    let (reads, enough) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
    let readers = (0..8).map(|_| {
        let (admin, reads, enough) = (admin.clone(), Arc::clone(&reads), Arc::clone(&enough));
        tokio::spawn(async move {
            while !enough.load(Ordering::SeqCst) {
                admin.get("/releases").await.unwrap().expect(200);
                reads.fetch_add(1, Ordering::SeqCst);
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    let read = async |count: usize| {
        let goal = reads.load(Ordering::SeqCst) + count;
        while reads.load(Ordering::SeqCst) < goal && !readers.iter().any(JoinHandle::is_finished) {
            tokio::task::yield_now().await;
        }
    };
    read(200).await;
    one.kill().await.unwrap();
    read(400).await;
    enough.store(true, Ordering::SeqCst);
    for reader in join_all(readers).await {
        reader.unwrap();
    }
    assert!(metric(&gateway, "slipway_link_addresses{service=\"release\"} 1").await);

    // Now there is none.
    let at = two.grpc.trim_start_matches("http://").to_owned();
    let data = two.kill().await.unwrap();
    is_answered(&admin, 503).await;
    let longest = refuses(&admin).await;
    println!("down: refused within {longest:?}");
    assert!(metric(&gateway, "slipway_link_circuit_open{service=\"release\"} 1").await);
    let unready = Client::new(&gateway.ops).get("/readyz").await.unwrap();
    let problem = unready.expect(503)["checks"].to_string();
    assert!(problem.contains(&at), "{problem}");

    // One is started again.
    let options = options.env("SLIPWAY_GRPC_ADDR", at);
    let _two = Process::start_on(data, &options).await.unwrap();
    let back = Instant::now();
    is_answered(&admin, 200).await;
    println!("back: served again after {:?}", back.elapsed());

    gateway.signal("TERM").await.unwrap();
    let (_, log) = gateway.ended().await.unwrap();
    let named = log.lines().any(|line| {
        line.contains("service unreachable") && line.contains("\"service\":\"release\"")
    });
    assert!(named, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_to_a_paused_service_fail_fast_until_it_continues() {
    let dir = tempfile::tempdir().unwrap();
    let service = Process::start_with(&release(dir.path())).await.unwrap();
    let gateway = gateway(&service.grpc).await;
    let admin = gateway.admin().await.unwrap();
    admin.get("/releases").await.unwrap().expect(200);

    // Its connection stays open, and the system accepts more for it.
    service.signal("STOP").await.unwrap();
    let paused = Instant::now();
    is_answered(&admin, 503).await;
    println!("paused: noticed after {:?}", paused.elapsed());
    let longest = refuses(&admin).await;
    println!("paused: refused within {longest:?}");
    service.signal("CONT").await.unwrap();
    let back = Instant::now();
    is_answered(&admin, 200).await;
    println!("goes on: served again after {:?}", back.elapsed());
}
