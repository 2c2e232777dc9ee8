//! The pages of administrators: dead letters, templates, notifications.

use reqwest::Method;
use slipway_tests::{
    ADMIN_PASSWORD, Answer, PlainBrowser, Team,
    team::{PASSWORD, id},
    until,
};
use uuid::Uuid;

use super::{leads, shows, start};
use crate::dead_letters::{process_with, registered};

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_read_edited_and_replayed() -> anyhow::Result<()> {
    let events = [Uuid::now_v7(), Uuid::now_v7()];
    let records = events.map(|event| registered(event, r#"{"userId": 7, "note": "<b>"}"#));
    let server = process_with(records.into()).await;
    let mut admin = PlainBrowser::new(&server.http);
    admin.sign_in("admin", ADMIN_PASSWORD).await?;
    let query = "group=activity&state=WAITING";
    let list = format!("/admin/dead-letters?{query}");
    let page = until(async || {
        let client = server.admin().await?;
        let found = client.get(&list).await?.expect(200);
        anyhow::ensure!(
            found["items"]
                .as_array()
                .is_some_and(|items| items.len() == 2)
        );
        Ok(found)
    })
    .await?;
    shows(
        &admin.open(&list).await?,
        200,
        &["user.registered", "Waiting", "group"],
    );
    let unknown = admin.open("/admin/dead-letters?group=nobody").await?;
    shows(&unknown, 400, &["The group", "value=\"nobody\""]);

    let letter = format!("/admin/dead-letters/{}", id(&page["items"][0]));
    let shown = admin.open(&letter).await?;
    shows(
        &shown,
        200,
        &[
            "&quot;note&quot;: &quot;&lt;b&gt;&quot;",
            "ce_type",
            "Failures",
        ],
    );
    let edit = format!("/ui/dead-letters/{}/edit", id(&page["items"][0]));
    let wrong = [("back", &*letter), ("payload", "{\"userId\": 8}")];
    let refused = admin.send(&edit, &wrong).await?;
    shows(&refused, 400, &["The payload", "{&quot;userId&quot;: 8}"]);
    let payload = serde_json::json!({
        "userId": events[0], "username": "mended", "email": "m@example.com", "role": "DEVELOPER",
    });
    let payload = payload.to_string();
    let right = [("back", &*letter), ("payload", &*payload)];
    leads(&admin.send(&edit, &right).await?, &letter);
    let replayed = admin.open(&letter).await?;
    shows(
        &replayed,
        200,
        &[
            "Replayed by",
            "<ins>+   &quot;username&quot;: &quot;mended&quot;",
            "<del>",
        ],
    );
    assert!(!replayed.text.contains("Replay it as it is"));

    // In bulk: counted first, with nothing done.
    let back = [("back", &*list), ("group", "activity"), ("dry", "true")];
    let counted = admin.send("/ui/dead-letters/replay", &back).await?;
    shows(
        &counted,
        200,
        &["1 dead letter would be replayed", "Replay them"],
    );
    shows(&admin.open(&list).await?, 200, &["user.registered"]);
    let done = admin.send("/ui/dead-letters/replay", &back[..2]).await?;
    shows(&done, 200, &["1 dead letter was replayed"]);
    Ok(())
}

/// A template's page, with the version that its form carries.
async fn version(browser: &mut PlainBrowser, page: &str) -> anyhow::Result<(Answer, String)> {
    let shown = browser.open(page).await?;
    let version = shown.text.split("name=\"revision\" value=\"").nth(1);
    let version = version.unwrap().split('"').next().unwrap().to_owned();
    Ok((shown, version))
}

#[tokio::test]
async fn templates_are_edited_previewed_and_compared() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    let mut admin = PlainBrowser::new(&server.http);
    admin.sign_in("admin", ADMIN_PASSWORD).await?;
    shows(
        &admin.open("/admin/templates").await?,
        200,
        &["task.assigned", "As built in"],
    );
    let page = "/admin/templates/task.paused";
    let action = "/ui/templates/task.paused";
    let (shown, built_in) = version(&mut admin, page).await?;
    shows(&shown, 200, &["Nobody has changed", "sandbox=\"\""]);
    let form = |subject: &'static str, version: &str| {
        vec![
            ("back", page.to_owned()),
            ("revision", version.to_owned()),
            ("subject", subject.to_owned()),
            ("text", "Because {{ reason }}".to_owned()),
            (
                "html",
                "<p onclick=\"x\"><script>1</script>{{ reason }}</p>".to_owned(),
            ),
        ]
    };
    let mut send = async |to: &str, fields: Vec<(&'static str, String)>| {
        let fields: Vec<_> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        admin.send(to, &fields).await
    };
    // The preview is a document for a frame, in which nothing runs, and stores nothing.
    let preview = format!("{action}/preview");
    let drawn = send(&preview, form("Handed back: {{ task.title }}", "")).await?;
    shows(
        &drawn,
        200,
        &["Handed back: ", "srcdoc=", "Because Ada is ill"],
    );
    let policy = drawn.header("content-security-policy");
    assert!(
        policy.starts_with("sandbox; default-src 'none'"),
        "{policy}"
    );
    assert!(policy.contains("frame-ancestors 'self'") && !policy.contains("script-src"));
    assert_eq!(drawn.header("x-frame-options"), "SAMEORIGIN");
    let broken = send(&preview, form("{{ nothing }}", "")).await?;
    assert_eq!(broken.status, 400);
    assert!(
        broken.text.contains("There is no preview"),
        "{}",
        broken.text
    );

    let refused = send(action, form("{% if %}", &built_in)).await?;
    shows(&refused, 400, &["The subject", "{% if %}"]);
    shows(
        &send(action, form("First", "")).await?,
        400,
        &["Open the page again"],
    );
    leads(&send(action, form("First", &built_in)).await?, page);
    let conflict = send(action, form("Second", &built_in)).await?;
    shows(
        &conflict,
        409,
        &["Changed by somebody meanwhile", "− Second", "+ First"],
    );
    let mut browser = PlainBrowser::new(&server.http);
    browser.sign_in("admin", ADMIN_PASSWORD).await?;
    let (_, now) = version(&mut browser, page).await?;
    leads(&send(action, form("Third", &now)).await?, page);
    let compared = browser.open(&format!("{page}?version={now}")).await?;
    shows(&compared, 200, &["− First", "+ Third", "value=\"First\""]);
    let (_, now) = version(&mut browser, page).await?;
    let delete = vec![("back", page.to_owned()), ("revision", now)];
    leads(
        &send(&format!("{action}/delete"), delete).await?,
        "/admin/templates",
    );
    shows(&browser.open(page).await?, 200, &["As built in"]);

    // A type of one's own; a second one of the same name is refused.
    let own = |kind: &str| {
        let sample = "{\"reason\": \"late\"}".to_owned();
        let mut fields = form("Order", "");
        fields.extend([("type", kind.to_owned()), ("sample", sample)]);
        fields
    };
    leads(
        &send("/ui/templates", own("order-placed")).await?,
        "/admin/templates/order-placed",
    );
    shows(
        &send("/ui/templates", own("order-placed")).await?,
        409,
        &["There is a type"],
    );
    let (shown, now) = version(&mut browser, "/admin/templates/order-placed").await?;
    shows(&shown, 200, &["Delete the type", "late"]);
    let delete = vec![("back", "/".to_owned()), ("revision", now)];
    leads(
        &send("/ui/templates/order-placed/delete", delete).await?,
        "/admin/templates",
    );
    leads(
        &send("/ui/templates", own("order-placed")).await?,
        "/admin/templates/order-placed",
    );
    Ok(())
}

/// A notification of a release's first task, for this team.
async fn notified(team: &Team) -> anyhow::Result<String> {
    team.release("Spring", &[0]).await?;
    until(async || {
        let list = team.developers[0].get("/notifications").await?.expect(200);
        let first = &list["items"][0];
        anyhow::ensure!(first["status"] == "SUPPRESSED", "{list}");
        Ok(id(first).to_owned())
    })
    .await
}

#[tokio::test]
async fn a_notification_says_why_it_was_not_mailed() -> anyhow::Result<()> {
    let (server, team) = start(2).await?;
    let ada = &team.developers[0];
    let off = serde_json::json!({"email": false});
    let request = ada.request(Method::PUT, "/preferences").json(&off);
    ada.send(request).await?.expect(200);
    let notification = format!("/notifications/{}", notified(&team).await?);

    let mut own = PlainBrowser::new(&server.http);
    own.sign_in("dev-0", PASSWORD).await?;
    let link = format!("href=\"{notification}\"");
    shows(
        &own.open("/notifications?type=task.assigned").await?,
        200,
        &[&link],
    );
    let texts = [
        "Why it was not mailed",
        "Choose what is mailed",
        "Attempts",
        "None.",
    ];
    shows(&own.open(&notification).await?, 200, &texts);
    let unknown = own.open("/notifications?type=nothing").await?;
    shows(&unknown, 400, &["The type", "value=\"nothing\""]);
    let mut grace = PlainBrowser::new(&server.http);
    grace.sign_in("dev-1", PASSWORD).await?;
    shows(&grace.open(&notification).await?, 404, &[]);
    shows(&grace.open("/admin/notifications").await?, 403, &[]);

    let mut admin = PlainBrowser::new(&server.http);
    admin.sign_in("admin", ADMIN_PASSWORD).await?;
    let list = "/admin/notifications?recipient=dev-0&state=SUPPRESSED&from=2020-01-01T00:00";
    shows(&admin.open(list).await?, 200, &[&link, "dev-0"]);
    let none = admin.open("/admin/notifications?recipient=dev-1").await?;
    assert!(!none.text.contains(&link));
    shows(&admin.open(&notification).await?, 200, &["to ", "dev-0"]);
    Ok(())
}
