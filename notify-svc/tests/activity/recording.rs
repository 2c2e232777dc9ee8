//! The consumer of the audit trail: every event, once, in one chain.

use std::collections::BTreeSet;

use notify_svc::audit::store::Verdict;
use slipway_bus::Event;
use slipway_runtime::testing::until;

use crate::harness::{Scene, events, ids};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_members_write_one_chain() {
    let scene = Scene::new().await;
    let _replicas = (scene.replica(), scene.replica());
    let releases: Vec<_> = (0..20).map(|_| events(10)).collect();
    for n in 0..10 {
        let round: Vec<Event> = releases.iter().map(|events| events[n].clone()).collect();
        scene.publish(&round).await;
    }
    let store = scene.stores().audit;
    until(async || match store.head().await.map(|head| head.number) {
        Ok(200) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await
    .unwrap();
    let head = store.head().await.unwrap();
    assert_eq!(store.verify(None).await.unwrap(), Verdict::Whole(head));
    let mut all = BTreeSet::new();
    for events in releases {
        let history = store.history(&events[0].key, None, 50).await.unwrap();
        let recorded: Vec<_> = history.items.into_iter().map(|e| e.event_id).collect();
        assert_eq!(recorded, ids(&events), "a release in order");
        all.extend(recorded);
    }
    assert_eq!(all.len(), 200);
}
