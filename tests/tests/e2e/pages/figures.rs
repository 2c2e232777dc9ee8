//! The pages with figures: the overview for everybody and the system for administrators; and what is
//! unread.

use anyhow::ensure;
use slipway_tests::{
    PlainBrowser,
    team::{PASSWORD, id, task_ids},
    until,
};

use super::{leads, shows, start};

#[tokio::test]
async fn the_overview_shows_how_the_work_is_going() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let mut ada = PlainBrowser::new(&server.http);
    ada.sign_in("dev-0", PASSWORD).await?;
    let empty = [
        "No release is open.",
        "No task was completed.",
        "Nobody asked the assistant.",
    ];
    shows(&ada.open("/overview").await?, 200, &empty);
    let release = team.release("Spring <b>", &[0, 0]).await?;
    let task = &task_ids(&release)[0];
    for step in ["start", "complete"] {
        let path = format!("/tasks/{task}/{step}");
        team.developers[0].patch(&path).await?.expect(200);
    }
    let page = until(async || {
        let page = ada.open("/overview?days=7").await?;
        ensure!(
            page.text.contains("<dt>Tasks completed</dt><dd>1</dd>"),
            "{}",
            page.text
        );
        Ok(page)
    });
    let page = page.await?;
    let link = format!(
        "href=\"/releases/{}\"><bdi>Spring &lt;b&gt;</bdi>",
        id(&release)
    );
    let texts = [
        "1 of 2 completed",
        "Work in the last 7 days",
        "Tasks completed a day</th>",
        &link,
    ];
    shows(&page, 200, &texts);
    assert_eq!(page.text.matches("<figure class=\"chart\">").count(), 6);
    // A period that cannot be chosen is the default.
    for query in ["?days=0", "?days=x", "?days=366"] {
        let page = ada.open(&format!("/overview{query}")).await?;
        shows(&page, 200, &["Work in the last 30 days"]);
    }
    Ok(())
}

#[tokio::test]
async fn the_page_of_the_system_is_for_admins_and_searches_the_log() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let mut ada = PlainBrowser::new(&server.http);
    ada.sign_in("dev-0", PASSWORD).await?;
    shows(&ada.open("/admin").await?, 403, &["Not allowed"]);
    let mut admin = PlainBrowser::new(&server.http);
    admin
        .sign_in("admin", slipway_tests::ADMIN_PASSWORD)
        .await?;
    let empty = [
        "Works",
        "database",
        "event bus",
        "Success rate",
        "What failed",
        "There is nothing.",
    ];
    shows(&admin.open("/admin").await?, 200, &empty);
    team.release("Spring <b>", &[0]).await?;
    let acts = until(async || {
        let page = admin.open("/admin?show=acts&q=SPRING").await?;
        ensure!(page.text.contains("planned the release"), "{}", page.text);
        Ok(page)
    });
    let sentence = "admin planned the release “Spring &lt;b&gt;”";
    shows(
        &acts.await?,
        200,
        &[sentence, "value=\"SPRING\"", "What administrators did"],
    );
    for (query, text) in [
        ("?show=acts&q=nobody-did-this", "There is nothing."),
        ("?show=acts&from=2099-01-01", "There is nothing."),
        ("?show=acts&to=2099-01-01", "planned the release"),
        ("?show=all&from=not-a-date", "planned the release"),
        (
            "?show=acts&from=2026-02-02&to=2026-01-01",
            "must not be later",
        ),
        ("?show=unknown", "What failed"),
    ] {
        shows(&admin.open(&format!("/admin{query}")).await?, 200, &[text]);
    }
    Ok(())
}

#[tokio::test]
async fn what_is_unread_is_above_a_line_until_it_is_marked_as_read() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let mut ada = PlainBrowser::new(&server.http);
    ada.sign_in("dev-0", PASSWORD).await?;
    let line = "You have read everything from here on";
    let page = ada.open("/activity").await?;
    assert!(page.text.contains("Mark all as read") && !page.text.contains(line));
    let newest = team.admin.get("/activity?limit=1").await?.expect(200);
    let newest = newest["items"][0]["sequence"].to_string();
    let fields = [("back", "/activity"), ("sequence", newest.as_str())];
    leads(&ada.send("/ui/read", &fields).await?, "/activity");
    let page = ada.open("/activity").await?;
    assert!(!page.text.contains("Mark all as read") && !page.text.contains(line));
    team.release("Spring", &[0]).await?;
    let page = until(async || {
        let page = ada.open("/activity").await?;
        ensure!(page.text.contains("planned"), "{}", page.text);
        Ok(page)
    });
    let page = page.await?;
    let (before, after) = page.text.split_once(line).unwrap_or_default();
    assert!(
        before.contains("Spring") && !after.contains("Spring"),
        "{}",
        page.text
    );
    shows(
        &page,
        200,
        &["data-unread=\"activity\"", "data-unread=\"notifications\""],
    );
    // A form with nothing in it is refused on the page that sent it.
    let refused = ada.send("/ui/read", &[("back", "/activity")]).await?;
    assert_eq!(refused.status, 400);
    Ok(())
}
