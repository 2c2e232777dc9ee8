//! `/read-position`.

use anyhow::ensure;
use reqwest::Method;
use serde_json::{Value, json};
use slipway_tests::{Answer, Client, until};

use super::{invalid, start, unauthorized};

async fn say(by: &Client, body: &Value) -> anyhow::Result<Answer> {
    by.send(by.request(Method::PUT, "/read-position").json(body))
        .await
}

#[tokio::test]
async fn a_position_moves_only_forward_and_counts_what_is_unread() -> anyhow::Result<()> {
    let (server, team) = start(2).await?;
    let ada = &team.developers[0];
    unauthorized(
        server.client().get("/read-position").await?,
        "UNAUTHENTICATED",
    );
    team.release("Spring", &[0]).await?;
    let position = async |by: &Client| anyhow::Ok(by.get("/read-position").await?.expect(200));
    let first = until(async || {
        let position = position(ada).await?;
        ensure!(
            position["notifications"]["unread"]["count"] == 1,
            "{position:#}"
        );
        Ok(position)
    })
    .await?;
    assert_eq!(
        (
            &first["activity"]["sequence"],
            &first["notifications"]["id"]
        ),
        (&json!(0), &Value::Null)
    );
    let newest = ada.get("/activity?limit=1").await?.expect(200);
    let newest = newest["items"][0]["sequence"].as_u64().unwrap_or_default();
    assert!(newest > 2);

    let read = say(ada, &json!({"sequence": newest - 1}))
        .await?
        .expect(200);
    assert_eq!(read["activity"]["sequence"], newest - 1);
    assert_eq!(
        read["activity"]["unread"],
        json!({"count": 1, "more": false})
    );
    let back = say(ada, &json!({"sequence": 1})).await?.expect(200);
    assert_eq!(back, read, "another tab was behind");
    let beyond = say(ada, &json!({"sequence": 9_000_000})).await?.expect(200);
    assert_eq!(
        beyond["activity"],
        json!({"sequence": newest, "unread": {"count": 0, "more": false}})
    );
    let mine = ada.get("/notifications").await?.expect(200);
    let id = &mine["items"][0]["id"];
    let read = say(ada, &json!({"notificationId": id})).await?.expect(200);
    assert_eq!(
        read["notifications"],
        json!({"id": id, "unread": {"count": 0, "more": false}})
    );
    assert_eq!(read["activity"], beyond["activity"]);
    // It is the caller's own.
    assert_eq!(
        position(&team.developers[1]).await?["activity"]["sequence"],
        0
    );

    for (body, field) in [
        (json!({}), "sequence"),
        (json!({"sequence": -1}), "sequence"),
        (json!({"sequence": "7"}), "sequence"),
        (json!({"notificationId": "7"}), "notificationId"),
    ] {
        invalid(say(ada, &body).await?, field);
    }
    Ok(())
}

#[tokio::test]
async fn more_than_99_unread_entries_are_not_counted() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    for _ in 0..2 {
        team.release("many", &[0; 50]).await?;
    }
    until(async || {
        let position = team.admin.get("/read-position").await?.expect(200);
        let expected = json!({"count": 99, "more": true});
        ensure!(position["activity"]["unread"] == expected, "{position:#}");
        Ok(())
    })
    .await
}
