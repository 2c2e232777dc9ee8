//! `GET /notifications` and `GET /admin/notifications`.

use reqwest::Method;
use serde_json::Value;
use slipway_tests::{Client, team::id};

use super::{
    super::{call, invalid, pluck, start},
    has, items, listed, mail, order, put,
};

async fn ids(client: &Client, path: &str) -> anyhow::Result<Vec<Value>> {
    let page = client.get(path).await?.expect(200);
    Ok(pluck(items(&page)?, "id").into_iter().cloned().collect())
}

#[tokio::test]
async fn everybody_reads_their_own_and_administrators_all() -> anyhow::Result<()> {
    let (server, team) = start(2).await?;
    let [ada, bob] = &team.developers[..] else {
        anyhow::bail!("two developers")
    };
    team.release("Spring", &[0, 1]).await?;
    let mine = listed(ada, "/notifications", 1, has("SENT")).await?;
    let his = listed(bob, "/notifications", 1, has("SENT")).await?;
    assert_eq!(mine[0]["recipient"]["username"], "dev-0");
    assert_eq!(mine[0]["channel"], "EMAIL");
    assert_eq!(mine[0]["attempts"][0]["outcome"], "ACCEPTED");
    assert_eq!(
        mine[0]["attempts"][0]["answer"],
        Value::Null,
        "for administrators"
    );
    assert!(mail(&server, &mine[0]).await?.contains("dev-0@example.com"));

    let path = format!("/notifications/{}", id(&his[0]));
    ada.get(&path).await?.refused(404, "NOTIFICATION_NOT_FOUND");
    bob.get(&path).await?.expect(200);
    let seen = team.admin.get(&path).await?.expect(200);
    assert!(seen["attempts"][0]["answer"].is_string(), "{seen:#}");
    listed(&team.admin, "/admin/notifications", 2, has("SENT")).await?;
    for of_bob in ["DEV-1", "dev-1", "dev-1@example.com", "Dev-1@Example.com"] {
        let path = format!("/admin/notifications?recipient={of_bob}");
        assert_eq!(ids(&team.admin, &path).await?, [his[0]["id"].clone()]);
    }
    let refused = ada.get("/admin/notifications").await?;
    refused.refused(403, "ADMIN_REQUIRED");
    let nobody = team
        .admin
        .get("/admin/notifications?recipient=nobody")
        .await?;
    invalid(nobody, "recipient");
    let unused = "/admin/notifications?recipient=nobody@example.com";
    assert!(ids(&team.admin, unused).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_type_that_no_notification_can_have_is_refused() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    let admin = &team.admin;
    let path = "/admin/templates/order-placed";
    put(admin, path, &order(), &[]).await?.expect(200);
    for known in ["task.assigned", "task.commented", "order-placed"] {
        let list = format!("/notifications?type={known}");
        assert!(ids(admin, &list).await?.is_empty(), "{known}");
    }
    // There may be notifications of a type that is gone.
    assert_eq!(call(admin, Method::DELETE, path).await?.status, 204);
    let gone = "/admin/notifications?type=order-placed";
    assert!(ids(admin, gone).await?.is_empty());
    for unknown in ["task.asigned", "task.*", "order-sent", "task.started"] {
        for list in ["/notifications", "/admin/notifications"] {
            let answer = admin.get(&format!("{list}?type={unknown}")).await?;
            let message = invalid(answer, "type");
            assert!(message.contains(unknown), "{message}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_log_is_filtered_searched_sorted_and_paged() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let ada = &team.developers[0];
    for (n, name) in ["Spring", "Summer", "Öl 100%"].into_iter().enumerate() {
        team.release(name, &[0]).await?;
        listed(ada, "/notifications", n + 1, has("SENT")).await?;
    }
    let newest = ids(ada, "/notifications").await?;
    let mut oldest = newest.clone();
    oldest.reverse();
    assert_eq!(ids(ada, "/notifications?sort=oldest").await?, oldest);
    assert_eq!(ids(ada, "/notifications?q=SUMM").await?, newest[1..2]);
    assert_eq!(
        ids(ada, "/notifications?q=%C3%B6l%20100%25").await?,
        newest[..1]
    );
    assert_eq!(ids(ada, "/notifications?q=%E2%80%8B").await?, newest);
    assert!(ids(ada, "/notifications?q=winter").await?.is_empty());
    assert!(ids(ada, "/notifications?status=FAILED").await?.is_empty());
    assert_eq!(ids(ada, "/notifications?type=task.assigned").await?, newest);
    let page = ada.get("/notifications").await?.expect(200);
    let second = items(&page)?[1]["createdAt"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let from = format!("/notifications?from={second}");
    assert_eq!(ids(ada, &from).await?, newest[..2]);
    let to = format!("/notifications?to={second}");
    assert_eq!(ids(ada, &to).await?, newest[2..]);

    let one_by_one: Vec<_> = ada.all("/notifications?limit=1").await?;
    let paged: Vec<_> = pluck(&one_by_one, "id").into_iter().cloned().collect();
    assert_eq!(paged, newest);
    let page = ada.get("/notifications?limit=1&q=task").await?.expect(200);
    let cursor = page["nextCursor"].as_str().unwrap_or_default();
    let elsewhere = ada.get(&format!("/notifications?cursor={cursor}")).await?;
    invalid(elsewhere, "cursor");
    Ok(())
}

#[tokio::test]
async fn an_invalid_filter_is_refused_by_field() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    let long = "x".repeat(201);
    for (query, field) in [
        ("status=SEND", "status"),
        ("from=yesterday", "from"),
        ("sort=up", "sort"),
        ("limit=201", "limit"),
        ("recipient=ada", "recipient"),
        (&format!("q={long}"), "q"),
    ] {
        invalid(
            team.admin.get(&format!("/notifications?{query}")).await?,
            field,
        );
    }
    let malformed = team.admin.get("/notifications/7").await?;
    invalid(malformed, "id");
    Ok(())
}
