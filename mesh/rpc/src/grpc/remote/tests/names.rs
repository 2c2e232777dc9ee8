//! Names of a service that resolve to changing addresses.

use std::io;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::*;
use slipway_runtime::testing::until;

/// A resolver with one name and its current addresses; `None`: resolution fails.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<Option<Vec<SocketAddr>>>>);

impl Names {
    fn resolve_to(&self, replicas: &[&Replica]) {
        *self.0.lock() = Some(replicas.iter().map(|replica| replica.at).collect());
    }

    fn remote(&self) -> Remote {
        let origins = "http://release:50051".parse().unwrap();
        Remote::found_by(self.clone(), "test", origins, None)
    }
}

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, _origin: &Origin) -> io::Result<Vec<SocketAddr>> {
        let known = self.0.lock().clone();
        known.ok_or_else(|| io::Error::other("the resolver is away"))
    }
}

/// Calls until each of these replicas has received a call since the start.
async fn reach(remote: &Remote, replicas: &[&Replica]) {
    let before: Vec<_> = replicas.iter().map(|replica| replica.calls()).collect();
    let reached = until(async || {
        assert_eq!(call(remote, COMMAND).await, Code::Ok);
        let mut counts = replicas.iter().zip(&before);
        counts
            .all(|(now, before)| now.calls() > *before)
            .then_some(())
            .ok_or("not all")
    });
    reached.await.unwrap();
}

#[tokio::test]
async fn calls_follow_a_name_to_its_new_addresses_without_a_failure() {
    let replicas = [
        Replica::start(Manner::Answers).await,
        Replica::start(Manner::Answers).await,
        Replica::start(Manner::Answers).await,
    ];
    let [leaving, staying, coming] = replicas.each_ref();
    let names = Names::default();
    names.resolve_to(&[leaving, staying]);
    let remote = names.remote();
    reach(&remote, &[leaving, staying]).await;

    // No connection is lost: the periodic resolution finds the change.
    names.resolve_to(&[staying, coming]);
    reach(&remote, &[staying, coming]).await;
    let left = leaving.calls();
    for _ in 0..50 {
        assert_eq!(call(&remote, COMMAND).await, Code::Ok);
    }
    assert_eq!(leaving.calls(), left);
}

#[tokio::test]
async fn a_lost_address_is_resolved_again_and_known_ones_stay_if_resolution_fails() {
    let (first, second) = (
        Replica::start(Manner::Answers).await,
        Replica::start(Manner::Answers).await,
    );
    let names = Names::default();
    names.resolve_to(&[&first]);
    let remote = names.remote();
    reach(&remote, &[&first]).await;
    names.resolve_to(&[&second]);
    first.crash();
    let followed = until(async || {
        let answered = call(&remote, COMMAND).await;
        (answered == Code::Ok).then_some(()).ok_or(answered)
    });
    followed.await.unwrap();

    *names.0.lock() = None;
    let noted = until(async || {
        let unresolved = remote.pool.unresolved();
        let noted = unresolved.iter().any(|problem| problem.contains("away"));
        noted.then_some(()).ok_or(unresolved)
    });
    noted.await.unwrap();
    reach(&remote, &[&second]).await;
}

#[tokio::test]
async fn a_name_resolves_to_its_addresses() {
    let replica = Replica::start(Manner::Answers).await;
    let named = format!("http://localhost:{}", replica.at.port());
    let remote = Remote::new("test", named.parse().unwrap(), None);
    assert_eq!(call(&remote, READ).await, Code::Ok);
    let nowhere = "http://no-such-host.invalid:1".parse().unwrap();
    let remote = Remote::new("test", nowhere, None);
    assert_eq!(call(&remote, READ).await, Code::Unavailable);
    let problem = remote.problem().unwrap();
    assert!(
        problem.contains("no-such-host.invalid cannot be resolved"),
        "{problem}"
    );
}

#[tokio::test]
async fn an_address_that_is_no_longer_resolved_is_not_picked() {
    let replicas = [
        Replica::start(Manner::Answers).await,
        Replica::start(Manner::Answers).await,
    ];
    let pool = Pool::new("test", None);
    for replica in &replicas {
        let origin: Origin = format!("http://{}", replica.at).parse().unwrap();
        pool.update([(replica.at, &origin)].into_iter());
        let deadline = Deadline::of(&http::HeaderMap::new());
        let picked = pool.pick(&[], deadline).await.unwrap();
        assert_eq!(picked.peer, replica.at);
    }
}
