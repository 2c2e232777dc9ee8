//! The pages in a real browser.

use anyhow::ensure;
use reqwest::Method;
use serde_json::{Value, json};
use slipway_tests::{
    ADMIN_PASSWORD, Browser, Process, Team,
    team::{PASSWORD, id, task_ids},
    until,
};

use crate::dead_letters::{process_with, registered};

/// A developer's browser; `None` if there is none on this machine.
pub(super) async fn signed_in(server: &Process, name: &str) -> anyhow::Result<Option<Browser>> {
    let Some(browser) = Browser::start(&server.http).await? else {
        return Ok(None);
    };
    browser.sign_in(name, PASSWORD).await?;
    Ok(Some(browser))
}

#[tokio::test]
async fn the_main_job_is_done_by_keyboard_and_follows_others() -> anyhow::Result<()> {
    let server = Process::start().await?;
    let team = Team::new(&server, 2).await?;
    let other = task_ids(&team.release("Urgent", &[0]).await?).remove(0);
    let tasks = task_ids(&team.release("Spring", &[0, 1, 0]).await?);
    let Some(browser) = signed_in(&server, "dev-0").await? else {
        return Ok(());
    };
    let button =
        |task: &str, verb: &str| format!("form[action=\"/ui/tasks/{task}/{verb}\"] button");
    browser.tab_to(&button(&tasks[0], "start")).await?;
    browser.enter().await?;
    browser
        .wait("document.body.innerText.includes('You are working on')")
        .await?;
    browser.tab_to(&button(&other, "start")).await?;
    browser.enter().await?;
    let refused = "document.querySelector('[role=alert]').innerText.includes('Complete it first.')";
    browser.wait(refused).await?;
    // The address is the page's, so that it can be loaded again.
    assert_eq!(browser.value("location.pathname").await?, "/");
    browser.tab_to(&button(&tasks[0], "complete")).await?;
    browser.enter().await?;
    browser
        .wait("!document.body.innerText.includes('You are working on')")
        .await?;

    // What others do shows without loading the page again.
    browser.open(&format!("/tasks/{}", tasks[2])).await?;
    browser
        .wait("document.documentElement.dataset.stream === 'open'")
        .await?;
    browser.value("document.body.dataset.kept = 1").await?;
    let grace = &team.developers[1];
    grace
        .patch(&format!("/tasks/{}/start", tasks[1]))
        .await?
        .expect(200);
    grace
        .patch(&format!("/tasks/{}/complete", tasks[1]))
        .await?
        .expect(200);
    browser
        .wait("document.querySelector('#task form .main')?.innerText === 'Start'")
        .await?;
    // What is being typed stays, while a comment of somebody else appears.
    browser.tab_to("#discussion > form textarea").await?;
    browser.keys("Half a sent").await?;
    let comments = format!("/tasks/{}/comments", tasks[2]);
    grace
        .post(&comments, &json!({"content": "Good morning"}))
        .await?
        .expect(201);
    browser
        .wait("document.querySelector('#thread').innerText.includes('Good morning')")
        .await?;
    browser.keys("ence").await?;
    let typed = browser.value("document.activeElement.value").await?;
    assert_eq!(typed, "Half a sentence");
    assert_eq!(browser.value("document.body.dataset.kept").await?, "1");
    assert_eq!(browser.errors(&[409]).await?, [""; 0]);
    Ok(())
}

/// Nothing on the page is wider than its window.
async fn fits(browser: &Browser, path: &str) -> anyhow::Result<()> {
    let wide = "[...document.querySelectorAll('main *, header *')]
        .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.table'))
        .map((one) => one.outerHTML.slice(0, 120))";
    let root = "document.documentElement";
    let fits = format!("{root}.scrollWidth <= {root}.clientWidth");
    assert_eq!(
        browser.value(&fits).await?,
        true,
        "{path}: {}",
        browser.value(wide).await?
    );
    Ok(())
}

/// Texts that must be shown and not obeyed.
const HOSTILE: [&str; 5] = [
    "<script>window.hit = 1</script>",
    "\"'><img src=x onerror=\"window.hit = 1\">",
    "</textarea></title></details><script>window.hit = 1</script>",
    "javascript:window.hit=1",
    "[a](javascript:window.hit=1) {{7*7}} &lt;b&gt;",
];

#[tokio::test]
async fn hostile_texts_neither_run_nor_break_the_layout() -> anyhow::Result<()> {
    let hostile = json!({"userId": HOSTILE[0], "username": HOSTILE[2], "why": "W".repeat(200)});
    let letter = registered(uuid::Uuid::now_v7(), &hostile.to_string());
    let server = process_with(vec![letter]).await;
    let team = Team::new(&server, 1).await?;
    let Some(browser) = signed_in(&server, "dev-0").await? else {
        return Ok(());
    };
    let wide = "W".repeat(200);
    let titles = HOSTILE.iter().copied().chain([&*wide]);
    let tasks: Vec<_> = titles
        .map(|title| json!({"title": title, "description": title, "assignee": "dev-0", "tags": ["t".repeat(50)]}))
        .collect();
    let plan = json!({"name": wide, "description": HOSTILE[0], "version": "v".repeat(100), "tasks": tasks});
    let release = team.admin.post("/releases", &plan).await?.expect(201);
    let task = task_ids(&release).remove(0);
    let long = "x".repeat(10_000);
    let turned = "\u{202E}right to left\u{2028}next \u{2067}isolated";
    let mut parent: Option<Value> = None;
    for content in HOSTILE.iter().copied().chain([turned, &*long]) {
        let path = match &parent {
            None => format!("/tasks/{task}/comments"),
            Some(parent) => format!("/comments/{}/reply", id(parent)),
        };
        let posted = team.developers[0]
            .post(&path, &json!({"content": content}))
            .await?;
        parent = Some(posted.expect(201));
    }
    let own = json!({
        "subject": wide, "text": long, "html": HOSTILE[2], "sample": {"v".repeat(40): HOSTILE[0]},
    });
    let template = "/admin/templates/hostile-type";
    let saved = team.admin.request(Method::PUT, template).json(&own);
    team.admin.send(saved).await?.expect(200);
    let named = team.developers[0].request(Method::PATCH, "/auth/me");
    let named = named.json(&json!({"displayName": HOSTILE[1]}));
    team.developers[0].send(named).await?.expect(200);
    let chat = json!({"title": HOSTILE[0]});
    let chat = team.developers[0]
        .post("/chat/session", &chat)
        .await?
        .expect(201);
    let question = json!({"message": format!("{} {}", HOSTILE[1], "x".repeat(2_000))});
    let message = format!("/chat/{}/message", id(&chat));
    team.developers[0]
        .post(&message, &question)
        .await?
        .expect(200);
    let letter = until(async || {
        let list = team.admin.get("/admin/dead-letters").await?.expect(200);
        ensure!(list["items"][0].is_object());
        Ok(format!("/admin/dead-letters/{}", id(&list["items"][0])))
    })
    .await?;
    let notification = until(async || {
        let list = team.developers[0].get("/notifications").await?.expect(200);
        ensure!(list["items"][0].is_object());
        Ok(format!("/notifications/{}", id(&list["items"][0])))
    })
    .await?;
    let release = format!("/releases/{}", id(&release));
    let task = format!("/tasks/{task}");
    let chat = format!("/assistant?session={}", id(&chat));
    let as_admin = Browser::start(&server.http).await?.expect("a second one");
    as_admin.sign_in("admin", ADMIN_PASSWORD).await?;
    as_admin.look(320, "light").await?;
    for path in [
        "/",
        &*release,
        &task,
        "/admin",
        "/admin?show=all",
        "/overview",
        "/admin/incidents",
        "/admin/dead-letters",
        &letter,
        "/admin/templates",
        template,
        "/admin/notifications",
        "/admin/users",
    ] {
        as_admin.open(path).await?;
        as_admin
            .value("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            .await?;
        fits(&as_admin, path).await?;
        assert_eq!(as_admin.value("window.hit === undefined").await?, true);
    }
    assert_eq!(as_admin.errors(&[]).await?, [""; 0]);
    // A plan that is refused is shown again, as it was typed.
    for (name, rows) in [
        (HOSTILE[2], HOSTILE[1].to_owned()),
        ("\u{200B}\u{2060}", format!("{};{wide}", HOSTILE[0])),
        (turned, format!("{turned};{}", HOSTILE[2])),
        (&*wide, format!("- {long}: [{}", HOSTILE[3])),
    ] {
        as_admin.open("/releases?plan=1").await?;
        let fill = format!(
            "['name', 'rows'].forEach((field, n) => {{ \
             document.querySelector(`form[action='/ui/releases'] [name=${{field}}]`).value = {}[n]; }})",
            json!([name, rows])
        );
        as_admin.value(&fill).await?;
        as_admin
            .click_through("form[action='/ui/releases'] button.main")
            .await?;
        as_admin
            .wait("document.querySelector('main [role=alert]') !== null")
            .await?;
        let shown = "document.querySelector('textarea[name=rows]').value";
        assert_eq!(as_admin.value(shown).await?, *rows);
        fits(&as_admin, name).await?;
        assert_eq!(as_admin.value("window.hit === undefined").await?, true);
    }
    assert_eq!(as_admin.errors(&[400, 404, 422]).await?, [""; 0]);
    drop(as_admin);
    for scheme in ["light", "dark"] {
        browser.look(320, scheme).await?;
        for path in [
            "/",
            "/releases",
            &release,
            &task,
            "/activity",
            "/notifications",
            &notification,
            "/preferences",
            "/profile",
            "/overview",
            "/assistant",
            &chat,
        ] {
            browser.open(path).await?;
            fits(&browser, path).await?;
            let harmless = "window.hit === undefined && !document.querySelector('main :is(script, img, iframe)')";
            assert_eq!(browser.value(harmless).await?, true, "{path}");
        }
    }
    browser.open(&task).await?;
    let texts = "[...document.querySelectorAll('.comment .prose')].map((text) => text.textContent.trimEnd())";
    let shown = browser.value(texts).await?;
    let plain = &HOSTILE[..HOSTILE.len() - 1];
    let markdown = ["a {{7*7}} <b>", turned, &*long];
    let expected: Vec<_> = plain.iter().copied().chain(markdown).collect();
    assert_eq!(shown, json!(expected));
    let links = "document.querySelectorAll('.prose a').length";
    assert_eq!(browser.value(links).await?, 0);
    assert_eq!(browser.errors(&[]).await?, [""; 0]);
    Ok(())
}
