//! GET /users: to pick an assignee.

use serde_json::{Value, json};
use slipway_tests::team::register;

use super::{items, members, pluck, start};

#[tokio::test]
async fn users_are_listed_by_name_without_addresses() -> anyhow::Result<()> {
    let (_server, team) = start(2).await?;
    for client in [&team.admin, &team.developers[1]] {
        let answer = client.get("/users").await?;
        assert!(!answer.text.contains('@'), "{}", answer.text);
        let page = answer.expect(200);
        let users = items(&page)?;
        assert_eq!(pluck(users, "username"), ["admin", "dev-0", "dev-1"]);
        assert_eq!(pluck(users, "role"), ["ADMIN", "DEVELOPER", "DEVELOPER"]);
        let known = ["displayName", "id", "role", "username"];
        assert_eq!(members(&users[0])?, known);
    }
    Ok(())
}

#[tokio::test]
async fn names_are_found_by_prefix_in_any_case() -> anyhow::Result<()> {
    let (server, team) = start(2).await?;
    register(&server.client(), "Grace".into()).await?;
    for (query, names) in [
        ("", json!(["admin", "dev-0", "dev-1", "Grace"])),
        ("%E2%80%8B", json!(["admin", "dev-0", "dev-1", "Grace"])),
        ("dev", json!(["dev-0", "dev-1"])),
        ("DEV-1", json!(["dev-1"])),
        ("grace", json!(["Grace"])),
        ("nobody", json!([])),
        ("race", json!([])),
        ("%25", json!([])),
        ("_", json!([])),
        ("%27%20OR%201=1", json!([])),
        ("dev-0@example.com", json!([])),
    ] {
        let page = team
            .admin
            .get(&format!("/users?q={query}"))
            .await?
            .expect(200);
        assert_eq!(json!(pluck(items(&page)?, "username")), names, "{query}");
        assert_eq!(page["nextCursor"], Value::Null);
    }
    let long = "x".repeat(20_000);
    let page = team
        .admin
        .get(&format!("/users?q={long}"))
        .await?
        .expect(200);
    assert!(items(&page)?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_new_user_can_be_assigned_by_the_id_in_the_list() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    register(&server.client(), "grace".into()).await?;
    let page = team.admin.get("/users?q=grace").await?.expect(200);
    let grace = &items(&page)?[0];
    let task = json!({"title": "t", "assigneeId": grace["id"]});
    let body = json!({"name": "a", "tasks": [task]});
    let release = team.admin.post("/releases", &body).await?.expect(201);
    let assignee = &release["tasks"][0]["assignee"];
    assert_eq!(assignee, &json!({"id": grace["id"], "username": "grace"}));
    Ok(())
}
