//! Replicas that are killed or paused.

use std::time::Duration;

use slipway_tests::Role;

use crate::scene::Scene;

/// How long a replica is paused: longer than the timeouts of the brokers, the gateways and the
/// clients.
const PAUSE: Duration = Duration::from_secs(12);

#[tokio::test(flavor = "multi_thread")]
async fn each_role_is_killed_in_turn_and_nothing_is_lost() {
    let Some(mut scene) = Scene::set().await else {
        return;
    };
    for role in Role::ALL {
        scene.mesh.kill(role, 0).await.unwrap();
        // The other replica continues.
        scene.load.more(40).await;
        scene.mesh.restart(role, 0).await.unwrap();
        scene.load.more(20).await;
    }
    let outcome = scene.check().await;
    outcome.row("`kill -9` of each role in turn, and restart", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_is_paused_and_resumed_and_nothing_happens_twice() {
    let Some(mut scene) = Scene::set().await else {
        return;
    };
    for role in Role::ALL {
        scene
            .mesh
            .process(role, 0)
            .unwrap()
            .signal("STOP")
            .await
            .unwrap();
        tokio::time::sleep(PAUSE).await;
        scene
            .mesh
            .process(role, 0)
            .unwrap()
            .signal("CONT")
            .await
            .unwrap();
        scene.load.more(20).await;
    }
    let outcome = scene.check().await;
    outcome.row(
        "`SIGSTOP` of each role in turn, 12 s each, and `SIGCONT`",
        "",
    );
}
