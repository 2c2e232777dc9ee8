//! The time of a refusal while release-svc is unavailable. The gateway and its upstream are
//! separate processes. Each replica serves all services, because a gateway needs all of them.

use anyhow::ensure;
use slipway_tests::{Client, Options, Process, until};
use tempfile::TempDir;

use super::{
    Plan, address,
    load::{self, Script},
    report::Line,
};

const P99_MS: f64 = 50.0;

/// The gateway's metric when no address of release-svc accepts calls.
const OPEN: &str = "slipway_link_circuit_open{service=\"release\"} 1\n";

/// The row `shed`.
pub(super) async fn shed(plan: &Plan) -> anyhow::Result<Vec<Line>> {
    Ok(vec![gone(plan).await?, paused(plan).await?])
}

/// Both replicas are killed, so nobody listens.
async fn gone(plan: &Plan) -> anyhow::Result<Line> {
    let mut scene = Scene::with_replicas(2).await?;
    for replica in scene.replicas.drain(..) {
        replica.kill().await?;
    }
    scene.refused(plan, "all of release gone").await
}

/// The only replica is paused: it accepts connections and never answers.
async fn paused(plan: &Plan) -> anyhow::Result<Line> {
    let scene = Scene::with_replicas(1).await?;
    scene.replicas[0].signal("STOP").await?;
    scene.refused(plan, "all of release paused").await
}

struct Scene {
    gateway: Process,
    admin: Client,
    replicas: Vec<Process>,
    /// Has the key that the replicas share, so that each accepts the others' tokens.
    _keys: TempDir,
}

impl Scene {
    async fn with_replicas(count: usize) -> anyhow::Result<Self> {
        let keys = tempfile::tempdir()?;
        let options = Options::default().of_the_mesh().signing(keys.path())?;
        let mut replicas = Vec::new();
        for _ in 0..count {
            replicas.push(Process::start_with(&options).await?);
        }
        let urls: Vec<_> = replicas.iter().map(|replica| &*replica.grpc).collect();
        let gateway = Options::default().of_the_mesh().gateway(&urls.join(","));
        let gateway = Process::start_with(&gateway).await?;
        let admin = replicas[0].admin().await?;
        let admin = gateway.client().with_token(admin.token());
        admin.get("/releases").await?.expect(200);
        Ok(Self {
            gateway,
            admin,
            replicas,
            _keys: keys,
        })
    }

    /// Half of the clients read, the others send commands; all are refused.
    async fn refused(&self, plan: &Plan, while_what: &str) -> anyhow::Result<Line> {
        let ops = Client::new(&self.gateway.ops);
        until(async || {
            let metrics = ops.get("/metrics").await?.body;
            let open = metrics.as_str().is_some_and(|text| text.contains(OPEN));
            ensure!(open, "the gateway still calls release-svc");
            Ok(())
        })
        .await?;
        let answer = self.admin.get("/releases").await?;
        let advice = answer.header("retry-after");
        ensure!(
            answer.status == 503 && !advice.is_empty(),
            "{} instead of a refusal that says when to try again",
            answer.status
        );
        let token = self.admin.token();
        let scripts = (0..plan.clients).map(|client| match client % 2 {
            0 => Script::get("/releases", token),
            _ => Script::patch("/tasks/01a00000-0000-7000-8000-000000000000/start", token),
        });
        let gateway = address(&self.gateway)?;
        let outcome = load::run_refused(gateway, scripts.collect(), plan.time).await?;
        let (p50, p99) = (outcome.millis(0.5), outcome.millis(0.99));
        let what = format!("a refusal, {while_what}, {} clients", plan.clients);
        let measured = format!(
            "p50 {p50:.1} ms, p99 {p99:.1} ms; {:.0} a second",
            outcome.rate()
        );
        Ok(Line::new(what, measured)
            .target("p99 50 ms", p99 <= P99_MS)
            .figures(&[
                ("p50Ms", p50),
                ("p99Ms", p99),
                ("perSecond", outcome.rate()),
            ]))
    }
}
