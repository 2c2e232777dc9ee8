//! `POST /events/{eventType}`: events of other programs.

use serde_json::{Value, json};
use slipway_tests::{Client, team::id};

use super::{
    super::{invalid, post_with_key, start},
    has, known, listed, mail, order, put,
};

const ORDERS: &str = "/events/order-placed";

async fn with_orders(admin: &Client) -> anyhow::Result<()> {
    put(admin, "/admin/templates/order-placed", &order(), &[])
        .await?
        .expect(200);
    Ok(())
}

fn event(recipients: &[&str]) -> Value {
    json!({"recipients": recipients, "data": {"orderId": "A-7"}})
}

/// An event whose only recipient is its sender.
fn own_event() -> Value {
    json!({"data": {"orderId": "A-7"}})
}

#[tokio::test]
async fn an_accepted_event_is_mailed_and_shows_its_outcome() -> anyhow::Result<()> {
    let (server, team) = start(2).await?;
    with_orders(&team.admin).await?;
    known(&team.admin, &["dev-0", "dev-1"]).await?;
    let answer = team
        .admin
        .post(ORDERS, &event(&["DEV-0", "dev-1", "dev-0"]))
        .await?;
    let url = answer.header("location").to_owned();
    assert_eq!(answer.header("ratelimit"), "\"default\";r=9;t=60");
    let accepted = answer.expect(202);
    assert_eq!(accepted["statusUrl"], url);
    for developer in &team.developers {
        let sent = listed(developer, "/notifications", 1, has("SENT")).await?;
        assert_eq!(sent[0]["eventId"], accepted["id"]);
        assert_eq!(sent[0]["subject"], "Order A-7 is on its way");
        assert!(mail(&server, &sent[0]).await?.contains("your order A-7."));
    }
    let status = team.admin.get(&url).await?.expect(200);
    assert_eq!(status["sender"]["username"], "admin");
    let notifications = status["notifications"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    assert_eq!(notifications.len(), 2);
    assert!(notifications.iter().all(has("SENT")), "{status:#}");
    team.developers[0]
        .get(&url)
        .await?
        .refused(404, "EVENT_NOT_FOUND");
    let feed = team.developers[0].feed().await?;
    assert!(
        !format!("{feed:?}").contains("A-7"),
        "it is not in the activity feed"
    );
    Ok(())
}

#[tokio::test]
async fn a_developer_notifies_nobody_else() -> anyhow::Result<()> {
    let (_server, team) = start(2).await?;
    with_orders(&team.admin).await?;
    let ada = &team.developers[0];
    for others in [&["dev-1"][..], &["dev-0", "dev-1"], &["nobody"]] {
        ada.post(ORDERS, &event(others))
            .await?
            .refused(403, "ADMIN_REQUIRED");
    }
    ada.post(ORDERS, &own_event()).await?.expect(202);
    let me = ada.get("/auth/me").await?.expect(200);
    ada.post(ORDERS, &event(&["dev-0", id(&me)]))
        .await?
        .expect(202);
    listed(ada, "/notifications", 2, has("SENT")).await?;
    Ok(())
}

#[tokio::test]
async fn an_invalid_event_is_refused() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let admin = &team.admin;
    let none = admin.post(ORDERS, &own_event()).await?;
    assert_eq!(none.refused(404, "UNKNOWN_EVENT_TYPE")["types"], json!([]));
    with_orders(admin).await?;
    known(admin, &["dev-0"]).await?;
    let unknown = admin.post("/events/order-lost", &own_event()).await?;
    let known = unknown.refused(404, "UNKNOWN_EVENT_TYPE");
    assert_eq!(known["types"], json!(["order-placed"]));
    let forged = admin.post("/events/task.assigned", &own_event()).await?;
    forged.refused(404, "UNKNOWN_EVENT_TYPE");
    for (body, field) in [
        (json!({"data": {}}), "data.orderId"),
        (json!({"data": {"orderId": null}}), "data.orderId"),
        (
            json!({"data": {"orderId": "A", "orderID": "B"}}),
            "data.orderID",
        ),
        (json!({"data": {"orderId": "A"}, "to": "ada"}), "to"),
        (json!({"data": {"orderId": "x".repeat(20_000)}}), "data"),
        (event(&["dev-0", "nobody"]), "recipients[1]"),
        (event(&["dev-0"; 51]), "recipients"),
        (event(&[]), "recipients"),
    ] {
        invalid(admin.post(ORDERS, &body).await?, field);
    }
    Ok(())
}

#[tokio::test]
async fn the_eleventh_event_of_a_minute_waits() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    with_orders(&team.admin).await?;
    let ada = &team.developers[0];
    let announce = (0..15).map(|_| async { ada.post(ORDERS, &own_event()).await });
    let answers = futures::future::try_join_all(announce).await?;
    let (accepted, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 202);
    assert_eq!((accepted.len(), refused.len()), (10, 5));
    for answer in refused {
        let wait: u64 = answer.header("retry-after").parse()?;
        assert!((1..=60).contains(&wait));
        assert_eq!(answer.header("ratelimit-policy"), "\"default\";q=10;w=60");
        answer.refused(429, "TOO_MANY_EVENTS");
    }
    team.admin.post(ORDERS, &own_event()).await?.expect(202);
    // All notifications are created; those after the third are gathered.
    listed(ada, "/notifications?status=SENT", 3, has("SENT")).await?;
    listed(ada, "/notifications?status=QUEUED", 7, has("QUEUED")).await?;
    Ok(())
}

#[tokio::test]
async fn the_same_request_again_is_one_event() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    with_orders(&team.admin).await?;
    let ada = &team.developers[0];
    let first = post_with_key(ada, ORDERS, &own_event(), "key").await?;
    for _ in 0..12 {
        let again = post_with_key(ada, ORDERS, &own_event(), "key").await?;
        assert_eq!((again.status, &again.text), (202, &first.text));
    }
    let other = post_with_key(ada, ORDERS, &event(&["dev-0"]), "key").await?;
    other.refused(409, "IDEMPOTENCY_KEY_REUSED");
    listed(ada, "/notifications", 1, has("SENT")).await?;
    Ok(())
}
