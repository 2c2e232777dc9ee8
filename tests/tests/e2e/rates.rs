//! How many requests one account and one address may make in a minute.

use anyhow::Context as _;
use serde_json::json;
use slipway_proto::identity::v1::{
    GetMeRequest, LoginRequest, identity_service_client::IdentityServiceClient,
};
use slipway_rpc::{error::Fault, grpc::Outbound};
use slipway_tests::{Answer, Options, PlainBrowser, Process, Team, team::PASSWORD};
use tonic::transport::{Channel, Endpoint};

async fn channel(server: &Process) -> anyhow::Result<Channel> {
    let endpoint = Endpoint::from_shared(server.grpc.clone())?;
    Ok(endpoint.connect().await?)
}

/// The refusal, which says when to come back.
fn too_many(answer: &Answer, limit: u64) -> anyhow::Result<()> {
    assert_eq!(answer.status, 429, "{}", answer.body);
    assert_eq!(answer.body["code"], "TOO_MANY_REQUESTS");
    assert_eq!(answer.body["limit"], limit);
    assert_eq!(answer.body["windowSeconds"], 60);
    let wait: u64 = answer.header("retry-after").parse()?;
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(
        answer.header("ratelimit"),
        format!("\"default\";r=0;t={wait}")
    );
    let policy = format!("\"default\";q={limit};w=60");
    assert_eq!(answer.header("ratelimit-policy"), policy);
    Ok(())
}

#[tokio::test]
async fn one_account_does_not_use_up_the_rate_of_another() -> anyhow::Result<()> {
    let options = Options::default().env("SLIPWAY_USER_RATE", "20");
    let server = Process::start_with(&options).await?;
    let team = Team::new(&server, 2).await?;
    let [ada, bob] = &*team.developers else {
        panic!("two")
    };
    // A token of a program counts for its owner.
    let body = json!({"name": "a", "scope": "READ"});
    let token = ada.post("/auth/tokens", &body).await?.expect(201);
    let program = server
        .client()
        .with_token(token["token"].as_str().context("a token")?);
    let mut refused = None;
    for n in 0..40 {
        let by = if n % 2 == 0 { ada } else { &program };
        let answer = by.get("/auth/me").await?;
        if answer.status != 200 {
            refused = Some((n, answer));
            break;
        }
    }
    let (n, answer) = refused.context("it is limited")?;
    assert!(n >= 15, "{n}");
    too_many(&answer, 20)?;
    // The same account over gRPC.
    let mut identity = IdentityServiceClient::new(channel(&server).await?);
    let outbound = Outbound::with_token(ada.token().to_owned());
    let refused = identity.get_me(outbound.request(GetMeRequest {})).await;
    let refused = Fault::from(refused.unwrap_err());
    assert_eq!(refused.code, "TOO_MANY_REQUESTS");
    assert!(refused.retry_after.is_some());
    bob.get("/auth/me").await?.expect(200);
    Ok(())
}

#[tokio::test]
async fn requests_of_one_address_are_limited_whoever_makes_them() -> anyhow::Result<()> {
    let options = Options::default().env("SLIPWAY_ADDRESS_RATE", "20");
    let server = Process::start_with(&options).await?;
    let team = Team::new(&server, 1).await?;
    let mut refused = None;
    for n in 0..40 {
        let by = if n % 2 == 0 {
            &team.admin
        } else {
            &team.developers[0]
        };
        let answer = by.get("/auth/me").await?;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    too_many(&refused.context("it is limited")?, 20)?;
    // The health of the process does not depend on it.
    let ops = slipway_tests::Client::new(&server.ops);
    ops.get("/readyz").await?.expect(200);
    Ok(())
}

#[tokio::test]
async fn sign_ins_from_one_address_have_a_rate_of_their_own() -> anyhow::Result<()> {
    let options = Options::default().env("SLIPWAY_SIGN_IN_RATE", "10");
    let server = Process::start_with(&options).await?;
    let team = Team::new(&server, 1).await?;
    let body = json!({"username": "dev-0", "password": PASSWORD});
    let mut refused = None;
    for _ in 0..20 {
        let answer = server.client().post("/auth/login", &body).await?;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    too_many(&refused.context("it is limited")?, 10)?;
    let mut identity = IdentityServiceClient::new(channel(&server).await?);
    let login = LoginRequest {
        login: "dev-0".into(),
        password: PASSWORD.into(),
    };
    let refused = Fault::from(identity.login(login).await.unwrap_err());
    assert_eq!(refused.code, "TOO_MANY_REQUESTS");
    // The page says the same, with the same headers.
    let mut browser = PlainBrowser::new(&server.http);
    let form = [("name", "dev-0"), ("password", PASSWORD)];
    let page = browser.send("/ui/sign-in", &form).await?;
    assert_eq!(page.status, 429, "{}", page.text);
    for (name, value) in [
        ("ratelimit-policy", "\"default\";q=10;w=60"),
        ("content-type", "text/html; charset=utf-8"),
    ] {
        assert_eq!(page.header(name), value);
    }
    assert!(page.header("retry-after").parse::<u64>()? > 0);
    // Who is signed in is not affected.
    for client in [&team.admin, &team.developers[0]] {
        client.get("/auth/me").await?.expect(200);
    }
    Ok(())
}
