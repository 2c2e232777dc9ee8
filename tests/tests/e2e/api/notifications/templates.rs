//! `/admin/templates…`.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    super::{call, invalid, pluck, start},
    has, items, listed, mail, order, put,
};

const ASSIGNED: &str = "/admin/templates/task.assigned";
const ORDER: &str = "/admin/templates/order-placed";

fn edited() -> Value {
    json!({
        "subject": "To do: {{ taskTitle }}",
        "text": "{{ recipient }}: {{ taskTitle }} <{{ releaseName }}>",
        "html": "<p>{{ taskTitle }}</p>",
    })
}

#[tokio::test]
async fn an_edit_is_used_until_it_is_deleted() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let (admin, ada) = (&team.admin, &team.developers[0]);
    let built_in = admin.get(ASSIGNED).await?;
    assert_eq!(built_in.header("etag"), "\"0\"");
    let built_in = built_in.expect(200);
    assert_eq!(
        (&built_in["builtIn"], &built_in["edited"]),
        (&json!(true), &json!(false))
    );

    let saved = put(admin, ASSIGNED, &edited(), &[("if-match", "\"0\"")]).await?;
    assert_eq!(saved.header("etag"), "\"1\"");
    let saved = saved.expect(200);
    assert_eq!(saved["updatedBy"]["username"], "admin");
    team.release("Spring", &[0]).await?;
    let sent = listed(ada, "/notifications", 1, has("SENT")).await?;
    let subject = sent[0]["subject"].as_str().unwrap_or_default();
    assert!(subject.starts_with("To do: "), "{subject}");
    assert!(mail(&server, &sent[0]).await?.contains("<Spring>"));

    let stale = put(admin, ASSIGNED, &edited(), &[("if-match", "\"0\"")]).await?;
    stale.refused(412, "TEMPLATE_CHANGED");
    assert_eq!(call(admin, Method::DELETE, ASSIGNED).await?.status, 204);
    let back = admin.get(ASSIGNED).await?.expect(200);
    assert_eq!(
        (&back["subject"], &back["version"]),
        (&built_in["subject"], &json!(2))
    );
    let versions = admin
        .get(&format!("{ASSIGNED}/versions"))
        .await?
        .expect(200);
    let numbers = pluck(items(&versions)?, "version");
    assert_eq!(numbers, [&json!(2), &json!(1)]);
    assert_eq!(items(&versions)?[0]["content"], Value::Null);
    assert_eq!(
        items(&versions)?[1]["content"]["subject"],
        edited()["subject"]
    );
    Ok(())
}

#[tokio::test]
async fn an_invalid_template_is_refused_with_its_line() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    let with = |field: &str, text: &str| {
        let mut template = edited();
        template[field] = text.into();
        template
    };
    let deep = format!("one\n{{{{ {}1 }}}}", "-".repeat(8000));
    for (field, text, says) in [
        ("subject", "{{ taskTitle", "line 1"),
        ("text", "one\n{{ taskTitel }}", "taskTitel"),
        ("html", "one\n{{ taskTitle | shout }}", "line 2"),
        (
            "text",
            &deep,
            "at most 250 parts (task.assigned.txt, line 2)",
        ),
        ("html", "{{ 'x' * 100000 }}", "multiplies numbers only"),
        ("text", "{% for a in range(9) %}{% endfor %}", "loop over"),
        ("subject", &"x".repeat(500), "500 characters"),
        ("text", "", "empty"),
        ("html", "<p>\u{1b}[31m\0</p>", "control characters"),
    ] {
        let answer = put(&team.admin, ASSIGNED, &with(field, text), &[]).await?;
        let message = invalid(answer, field);
        assert!(message.contains(says), "{message}");
    }
    let stored = team.admin.get(ASSIGNED).await?.expect(200);
    assert_eq!(stored["version"], 0, "nothing was saved");
    Ok(())
}

#[tokio::test]
async fn a_preview_uses_the_sample_or_given_data_and_saves_nothing() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    let preview = async |body: Value| team.admin.post(&format!("{ASSIGNED}/preview"), &body).await;
    let sample = preview(json!({})).await?.expect(200);
    let title = "Build the images for every architecture";
    for part in ["subject", "text", "html"] {
        assert!(
            sample[part].as_str().unwrap_or_default().contains(title),
            "{part}"
        );
    }
    let draft = preview(json!({"draft": edited()})).await?.expect(200);
    assert_eq!(draft["subject"], format!("To do: {title}"));
    let data = json!({"taskTitle": "<b>Mine</b>", "releaseName": "R"});
    let own = preview(json!({"draft": edited(), "data": data}))
        .await?
        .expect(200);
    assert_eq!(own["html"], "<p>&lt;b&gt;Mine&lt;&#x2f;b&gt;</p>");
    // As in a mail: without what controls a terminal or changes the direction of text.
    let data = json!({"taskTitle": "a\u{1b}[2J\0b\u{202e}c", "releaseName": "R\r\nS"});
    let mailed = preview(json!({"draft": edited(), "data": data}))
        .await?
        .expect(200);
    assert_eq!(mailed["text"], "ada: a[2Jbc <R\nS>");
    assert_eq!(mailed["html"], "<p>a[2Jbc</p>");
    invalid(
        preview(json!({"draft": edited(), "data": {}})).await?,
        "data",
    );
    assert_eq!(team.admin.get(ASSIGNED).await?.expect(200)["version"], 0);
    Ok(())
}

#[tokio::test]
async fn a_custom_type_can_be_created_and_deleted() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let admin = &team.admin;
    admin.get(ORDER).await?.refused(404, "TEMPLATE_NOT_FOUND");
    for there in ["*", "\"0\"", "\"1\""] {
        let none = put(admin, ORDER, &order(), &[("if-match", there)]).await?;
        none.refused(412, "TEMPLATE_CHANGED");
    }
    let saved = put(admin, ORDER, &order(), &[]).await?.expect(200);
    let again = put(admin, ORDER, &order(), &[("if-match", "*")]).await?;
    assert_eq!(again.header("etag"), "\"2\"");
    let variables = json!([
        {"name": "note", "required": false}, {"name": "orderId", "required": true},
    ]);
    let mut found = saved["variables"].as_array().cloned().unwrap_or_default();
    found.sort_by_key(|variable| variable["name"].to_string());
    assert_eq!(Value::from(found), variables);
    let types = admin.all("/admin/templates?limit=2").await?;
    let names = pluck(&types, "type");
    assert!(names.contains(&&json!("order-placed")) && names.contains(&&json!("task.assigned")));
    let preferences = team.developers[0].get("/preferences").await?.expect(200);
    assert_eq!(preferences["types"]["order-placed"], true);
    assert_eq!(call(admin, Method::DELETE, ORDER).await?.status, 204);
    call(admin, Method::DELETE, ORDER)
        .await?
        .refused(404, "TEMPLATE_NOT_FOUND");
    let event = json!({"data": {"orderId": "A-1"}});
    let gone = admin.post("/events/order-placed", &event).await?;
    gone.refused(404, "UNKNOWN_EVENT_TYPE");

    for name in ["task.mine", "system.mine", "Order", "layout"] {
        let answer = put(admin, &format!("/admin/templates/{name}"), &order(), &[]).await?;
        invalid(answer, "type");
    }
    Ok(())
}

#[tokio::test]
async fn templates_are_for_administrators() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let ada = &team.developers[0];
    ada.get("/admin/templates")
        .await?
        .refused(403, "ADMIN_REQUIRED");
    ada.get(ASSIGNED).await?.refused(403, "ADMIN_REQUIRED");
    put(ada, ASSIGNED, &edited(), &[])
        .await?
        .refused(403, "ADMIN_REQUIRED");
    call(ada, Method::DELETE, ASSIGNED)
        .await?
        .refused(403, "ADMIN_REQUIRED");
    let versions = format!("{ASSIGNED}/versions");
    ada.get(&versions).await?.refused(403, "ADMIN_REQUIRED");
    let preview = format!("{ASSIGNED}/preview");
    ada.post(&preview, &json!({}))
        .await?
        .refused(403, "ADMIN_REQUIRED");
    Ok(())
}
