//! Calls to replicas that are down, silent, slow or refusing, or that crash and return.

mod names;
mod replica;

use std::time::Duration;

use futures::{FutureExt as _, future::join_all};
use http_body_util::BodyExt as _;
use tokio::{
    net::TcpListener,
    time::{Instant, timeout},
};

use self::replica::{Manner, Replica};
use super::*;

const READ: &str = "/slipway.release.v1.TaskService/GetTask";
const COMMAND: &str = "/slipway.release.v1.TaskService/StartTask";
const WATCH: &str = "/slipway.notify.v1.ActivityService/Watch";

/// Timeout of a test: long enough for everything that is expected to happen.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Much shorter than any deadline, much longer than an immediate answer takes.
const AT_ONCE: Duration = Duration::from_millis(500);

fn remote(replicas: &[SocketAddr]) -> Arc<Remote> {
    let urls: Vec<_> = replicas.iter().map(|at| format!("http://{at}")).collect();
    let origins = urls.join(",").parse().unwrap();
    Arc::new(Remote::new("test", origins, None))
}

fn request(path: &str, timeout: &str) -> Request<Body> {
    Request::post(path)
        .header("grpc-timeout", timeout)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::empty())
        .unwrap()
}

async fn call(remote: &Remote, path: &str) -> Code {
    code(&remote.call(request(path, "20S")).await)
}

/// Waits until this many addresses accept calls.
async fn up(remote: &Remote, count: usize) {
    let reached = async {
        loop {
            let mut changed = std::pin::pin!(remote.pool.circuit.changed.notified());
            changed.as_mut().enable();
            if remote.pool.up() == count {
                return;
            }
            changed.await;
        }
    };
    timeout(TIMEOUT, reached).await.unwrap();
}

/// Asserts that all calls are refused without waiting.
async fn sheds(remote: &Remote) {
    for path in [READ, COMMAND, WATCH] {
        let answer = call(remote, path).now_or_never();
        assert_eq!(answer, Some(Code::Unavailable));
    }
}

#[tokio::test]
async fn calls_are_spread_over_all_replicas() {
    let replicas = [
        Replica::start(Manner::Answers).await,
        Replica::start(Manner::Answers).await,
    ];
    let remote = remote(&[replicas[0].at, replicas[1].at]);
    up(&remote, 2).await;
    for path in [READ, COMMAND].into_iter().cycle().take(400) {
        assert_eq!(call(&remote, path).await, Code::Ok);
    }
    // 400 coin tosses give fewer than 130 heads once in 10^12.
    for replica in &replicas {
        assert!(replica.calls() > 130, "{}", replica.calls());
    }
}

#[tokio::test]
async fn a_slow_replica_gets_fewer_calls() {
    let (slow, quick) = (
        Replica::start(Manner::Hangs).await,
        Replica::start(Manner::Answers).await,
    );
    let remote = remote(&[slow.at, quick.at]);
    up(&remote, 2).await;
    // With one call in flight it is the second choice whenever the two are compared.
    let held = remote.call(request(COMMAND, "20S"));
    let mut held = std::pin::pin!(held);
    while slow.calls() == 0 {
        if timeout(AT_ONCE, held.as_mut()).await.is_ok() {
            held.set(remote.call(request(COMMAND, "20S")));
        }
    }
    for _ in 0..50 {
        assert_eq!(call(&remote, COMMAND).await, Code::Ok);
    }
    assert_eq!(slow.calls(), 1);
}

#[tokio::test]
async fn no_read_fails_when_a_replica_dies_under_load() {
    let dying = Replica::start(Manner::Answers).await;
    let staying = Replica::start(Manner::Answers).await;
    let remote = remote(&[dying.at, staying.at]);
    up(&remote, 2).await;
    let readers = (0..16).map(|_| {
        let remote = Arc::clone(&remote);
        tokio::spawn(async move {
            for _ in 0..300 {
                assert_eq!(call(&remote, READ).await, Code::Ok);
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    let busy = async {
        while dying.calls() < 500 {
            tokio::task::yield_now().await;
        }
    };
    timeout(TIMEOUT, busy).await.unwrap();
    dying.crash();
    for reader in readers {
        reader.await.unwrap();
    }
    assert_eq!(remote.pool.up(), 1);
}

#[tokio::test]
async fn reads_are_retried_on_another_replica_and_commands_never() {
    let refusing = Replica::start(Manner::IsUnavailable).await;
    let serving = Replica::start(Manner::Answers).await;
    let remote = remote(&[refusing.at, serving.at]);
    up(&remote, 2).await;
    for _ in 0..50 {
        assert_eq!(call(&remote, READ).await, Code::Ok);
    }
    assert!(refusing.calls() > 0);
    assert_eq!(serving.calls(), 50);
    let before = refusing.calls();
    let mut refused = 0;
    for _ in 0..50 {
        refused += usize::from(call(&remote, COMMAND).await == Code::Unavailable);
    }
    assert_eq!(refusing.calls() - before, refused);
    assert_eq!(serving.calls(), 100 - refused);
}

#[tokio::test]
async fn retries_have_a_budget() {
    let replicas = [
        Replica::start(Manner::IsUnavailable).await,
        Replica::start(Manner::IsUnavailable).await,
    ];
    let remote = remote(&[replicas[0].at, replicas[1].at]);
    up(&remote, 2).await;
    for _ in 0..1000 {
        assert_eq!(call(&remote, READ).await, Code::Unavailable);
    }
    let calls: usize = replicas.iter().map(Replica::calls).sum();
    // A retry budget of 20 % of the calls, plus 10 for each of the last 10 seconds (and for the
    // test's own duration).
    assert!((1100..1600).contains(&calls), "{calls}");
}

#[tokio::test]
async fn calls_fail_fast_while_a_service_is_down_and_succeed_when_it_is_back() {
    let mut replica = Replica::start(Manner::Answers).await;
    let remote = remote(&[replica.at]);
    for _ in 0..3 {
        up(&remote, 1).await;
        assert_eq!(call(&remote, COMMAND).await, Code::Ok);
        let held = replica.crash();
        up(&remote, 0).await;
        sheds(&remote).await;
        assert!(remote.problem().unwrap().contains(&held.at.to_string()));
        replica = Replica::start_at(held, Manner::Answers).await;
    }
    up(&remote, 1).await;
    assert_eq!(remote.problem(), None);
}

#[tokio::test]
async fn a_host_that_accepts_connections_and_never_answers_counts_as_down() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = remote(&[silent.local_addr().unwrap()]);
    // The first attempts are waited for, but only briefly.
    assert_eq!(call(&remote, READ).await, Code::Unavailable);
    let tried = async {
        loop {
            let mut changed = std::pin::pin!(remote.pool.circuit.changed.notified());
            changed.as_mut().enable();
            if remote.problem().unwrap().contains("no answer") {
                return;
            }
            changed.await;
        }
    };
    timeout(TIMEOUT, tried).await.unwrap();
    sheds(&remote).await;
}

#[tokio::test]
async fn a_paused_replica_is_left_out_until_it_answers_again() {
    let (paused, other) = (
        Replica::start(Manner::Answers).await,
        Replica::start(Manner::Answers).await,
    );
    let remote = remote(&[paused.at, other.at]);
    up(&remote, 2).await;
    let resume = paused.pause();
    // Calls in flight there are sent to another replica long before their deadline.
    let started = Instant::now();
    let reads = join_all((0..50).map(|_| call(&remote, READ))).await;
    assert!(reads.iter().all(|code| *code == Code::Ok), "{reads:?}");
    assert!(started.elapsed() < Duration::from_secs(15));
    up(&remote, 1).await;
    for _ in 0..50 {
        let started = Instant::now();
        assert_eq!(call(&remote, COMMAND).await, Code::Ok);
        assert!(started.elapsed() < AT_ONCE);
    }
    drop(resume);
    up(&remote, 2).await;
}

#[tokio::test]
async fn a_stream_outlives_a_pause_of_its_replica() {
    let replica = Replica::start(Manner::Streams).await;
    let remote = remote(&[replica.at]);
    up(&remote, 1).await;
    let mut stream = remote.call(request(WATCH, "20S")).await.into_body();
    assert!(stream.frame().await.unwrap().unwrap().is_data());
    let resume = replica.pause();
    up(&remote, 0).await;
    sheds(&remote).await;
    drop(resume);
    up(&remote, 1).await;
    replica.nudge();
    let frame = timeout(TIMEOUT, stream.frame()).await.unwrap();
    assert!(frame.unwrap().unwrap().is_data());
}

#[tokio::test]
async fn a_live_replica_with_one_slow_call_is_not_taken_out() {
    let replica = Replica::start(Manner::Hangs).await;
    let remote = remote(&[replica.at]);
    up(&remote, 1).await;
    for path in [READ, COMMAND, WATCH] {
        let answer = remote.call(request(path, "100m")).await;
        // The server returns either, depending on which of its timers fires first.
        let code = code(&answer);
        assert!(
            matches!(code, Code::DeadlineExceeded | Code::Cancelled),
            "{code:?}"
        );
    }
    assert_eq!(replica.calls(), 3, "a deadline is no reason to try again");
    assert_eq!(remote.pool.up(), 1);
}
