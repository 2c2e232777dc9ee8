//! `POST /hooks/deliveries`.

use notify_svc::testing::{Reaction, SmtpServer};
use reqwest::Method;
use serde_json::{Value, json};
use slipway_tests::{Answer, Options, Process, TIMEOUT, Team, team::id};

use super::{super::invalid, has, listed};

const SECRET: &str = "a-secret-of-webhooks";

async fn say(server: &Process, secret: &str, body: &Value) -> anyhow::Result<Answer> {
    let client = server.client();
    let request = client.request(Method::POST, "/hooks/deliveries");
    client.send(request.bearer_auth(secret).json(body)).await
}

async fn on(mails: &SmtpServer) -> anyhow::Result<(Process, Team)> {
    let options = Options::default()
        .env("SLIPWAY_WEBHOOK_SECRET", SECRET)
        .env("SLIPWAY_SMTP_URL", mails.url());
    let server = Process::start_with(&options).await?;
    let team = Team::new(&server, 2).await?;
    Ok((server, team))
}

/// The `Message-ID` of a notification's mail.
fn message_id(notification: &Value) -> String {
    format!("<{}@localhost>", id(notification))
}

#[tokio::test]
async fn delivered_and_bounced_mails_are_recorded() -> anyhow::Result<()> {
    let mails = SmtpServer::start().await;
    let (server, team) = on(&mails).await?;
    team.release("Spring", &[0, 1]).await?;
    let (ada, bob) = (&team.developers[0], &team.developers[1]);
    let hers = listed(ada, "/notifications", 1, has("SENT"))
        .await?
        .remove(0);
    let his = listed(bob, "/notifications", 1, has("SENT"))
        .await?
        .remove(0);
    let sent = mails.taken();
    let known = |wanted: &str| {
        sent.iter()
            .any(|mail| mail.header("Message-ID") == Some(wanted))
    };
    assert!(known(&message_id(&hers)) && known(&message_id(&his)));

    let said = json!({"deliveries": [
        {"messageId": message_id(&hers), "status": "delivered", "at": "2026-03-01T10:00:00Z"},
        {"messageId": message_id(&his), "status": "bounced", "detail": "550 no such mailbox"},
        {"messageId": "<somebody@elsewhere.example>", "status": "delivered"},
    ]});
    for _ in 0..2 {
        let answer = say(&server, SECRET, &said).await?.expect(200);
        let results = answer["results"].as_array().cloned().unwrap_or_default();
        let results: Vec<_> = results.iter().map(|one| one["result"].clone()).collect();
        assert_eq!(results, ["RECORDED", "RECORDED", "UNKNOWN"]);
        assert_eq!(
            answer["results"][2]["messageId"],
            "<somebody@elsewhere.example>"
        );
    }
    let late = json!({"deliveries": [{"messageId": message_id(&hers), "status": "bounced"}]});
    let answer = say(&server, SECRET, &late).await?.expect(200);
    assert_eq!(answer["results"][0]["result"], "CONTRADICTS");

    let seen = |notification| format!("/notifications/{}", id(notification));
    let arrived = ada.get(&seen(&hers)).await?.expect(200);
    assert_eq!(
        (&arrived["status"], &arrived["reason"]),
        (&json!("DELIVERED"), &Value::Null)
    );
    assert_eq!(arrived["attempts"].as_array().map(Vec::len), Some(2));
    assert_eq!(arrived["attempts"][1]["outcome"], "DELIVERED");
    assert_eq!(arrived["attempts"][1]["at"], "2026-03-01T10:00:00Z");
    let back = bob.get(&seen(&his)).await?.expect(200);
    assert_eq!(back["status"], "FAILED");
    assert_eq!(back["reason"], "BOUNCED: it came back undelivered");
    let to_admin = team.admin.get(&seen(&his)).await?.expect(200);
    assert_eq!(to_admin["reason"], "550 no such mailbox");
    assert_eq!(to_admin["attempts"][1]["outcome"], "BOUNCED");
    Ok(())
}

#[tokio::test]
async fn a_report_before_the_mail_was_accepted_must_be_repeated() -> anyhow::Result<()> {
    let mails = SmtpServer::start().await;
    let held = std::sync::Arc::new(tokio::sync::Notify::new());
    mails.will("dev-0@example.com", [Reaction::Hold(held.clone())]);
    let (server, team) = on(&mails).await?;
    team.release("Spring", &[0, 1]).await?;
    let (ada, bob) = (&team.developers[0], &team.developers[1]);
    let hers = listed(ada, "/notifications", 1, has("SENDING"))
        .await?
        .remove(0);
    let his = listed(bob, "/notifications", 1, has("SENT"))
        .await?
        .remove(0);
    let said = json!({"deliveries": [
        {"messageId": message_id(&hers), "status": "delivered"},
        {"messageId": message_id(&his), "status": "delivered"},
    ]});
    let early = say(&server, SECRET, &said).await?;
    assert!(early.headers.contains_key("retry-after"));
    let early = early.refused(503, "DELIVERIES_TOO_EARLY");
    assert_eq!(early["results"][0]["result"], "TOO_EARLY");
    assert_eq!(early["results"][1]["result"], "RECORDED");
    listed(bob, "/notifications", 1, has("DELIVERED")).await?;

    held.notify_one();
    mails.wait_for(2, TIMEOUT).await;
    listed(ada, "/notifications", 1, has("SENT")).await?;
    say(&server, SECRET, &said).await?.expect(200);
    listed(ada, "/notifications", 1, has("DELIVERED")).await?;
    Ok(())
}

#[tokio::test]
async fn the_hook_requires_its_secret_and_refuses_unknown_fields() -> anyhow::Result<()> {
    let mails = SmtpServer::start().await;
    let (server, team) = on(&mails).await?;
    let nothing = json!({"deliveries": []});
    let answer = say(&server, SECRET, &nothing).await?.expect(200);
    assert_eq!(answer, json!({"results": []}));
    for wrong in ["", "a-secret", team.admin.token()] {
        let refused = say(&server, wrong, &nothing).await?;
        refused.refused(401, "UNAUTHENTICATED");
    }
    let one = |field: &str, value: Value| {
        let mut one = json!({"messageId": "<1@a.example>", "status": "delivered"});
        one[field] = value;
        json!({"deliveries": [one]})
    };
    for bad in [
        json!({}),
        json!({"deliveries": null}),
        json!({"deliveries": [], "events": []}),
    ] {
        let refused = say(&server, SECRET, &bad).await?;
        refused.refused(400, "INVALID_ARGUMENT");
    }
    for (bad, result) in [
        (json!({"deliveries": [{"status": "delivered"}]}), "INVALID"),
        (one("status", json!("opened")), "INVALID"),
        (one("reason", json!("unknown field")), "INVALID"),
        (one("at", json!("yesterday")), "INVALID"),
        (one("messageId", json!("x".repeat(999))), "UNKNOWN"),
    ] {
        let answer = say(&server, SECRET, &bad).await?.expect(200);
        assert_eq!(answer["results"][0]["result"], result, "{bad}");
    }
    let many = json!({"deliveries": vec![json!({"messageId": "x", "status": "bounced"}); 501]});
    invalid(say(&server, SECRET, &many).await?, "deliveries");

    let off = Process::start().await?;
    say(&off, SECRET, &nothing).await?.refused(404, "NOT_FOUND");
    Ok(())
}
