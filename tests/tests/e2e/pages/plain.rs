//! The pages without scripts: plain requests, as a browser sends them.

use reqwest::{
    Method,
    header::{ACCEPT, VARY},
};
use serde_json::json;
use slipway_tests::{
    ADMIN_PASSWORD, PlainBrowser,
    plain::HTML,
    team::{PASSWORD, id, task_ids},
};

use super::{leads, shows, start};

#[tokio::test]
async fn the_main_job_is_done_by_forms() -> anyhow::Result<()> {
    let (server, team) = start(2).await?;
    let mut admin = PlainBrowser::new(&server.http);
    leads(&admin.open("/").await?, "/sign-in");
    leads(
        &admin.open("/releases?status=open").await?,
        "/sign-in?next=%2Freleases%3Fstatus%3Dopen",
    );
    admin.sign_in("admin", ADMIN_PASSWORD).await?;
    shows(&admin.open("/").await?, 200, &["Plan the first release"]);

    // A plan with an unknown owner is shown again, with what was typed.
    let rows = "Build\tdev-0\r\nTest; dev-9";
    let plan = [("back", "/releases"), ("name", "Spring"), ("rows", rows)];
    let refused = admin.send("/ui/releases", &plan).await?;
    shows(
        &refused,
        400,
        &["Row 2: the owner", "Test; dev-9", "value=\"Spring\""],
    );
    assert_eq!(team.admin.get("/releases").await?.body["items"], json!([]));
    let plan = [
        ("back", "/releases"),
        ("name", "Spring"),
        ("rows", "Build\tdev-0\r\nTest; dev-1"),
        ("key", "a"),
    ];
    let planned = admin.send("/ui/releases", &plan).await?;
    let release = planned.header("location").to_owned();
    // Sent twice, it is planned once.
    leads(&admin.send("/ui/releases", &plan).await?, &release);
    let other = team.release("Urgent", &[0]).await?;
    let other_task = task_ids(&other).remove(0);
    let spring = team.admin.get(&release).await?.expect(200);
    let [build, test] = <[String; 2]>::try_from(task_ids(&spring)).expect("two tasks");

    let mut ada = PlainBrowser::new(&server.http);
    ada.sign_in("dev-0", PASSWORD).await?;
    shows(
        &ada.open("/").await?,
        200,
        &["You can start", "Build", "Spring"],
    );
    let start = |task: &str| format!("/ui/tasks/{task}/start");
    leads(&ada.send(&start(&build), &[("back", "/")]).await?, "/");
    shows(
        &ada.open("/").await?,
        200,
        &["You are working on", "first: you are working on it"],
    );
    let second = ada.send(&start(&other_task), &[("back", "/")]).await?;
    shows(
        &second,
        409,
        &["You are already working on “Build” in Spring. Complete it first."],
    );
    let foreign = ada.send(&start(&test), &[("back", &release)]).await?;
    shows(&foreign, 403, &["Not allowed", "Spring"]);

    let mut grace = PlainBrowser::new(&server.http);
    grace.sign_in("dev-1", PASSWORD).await?;
    shows(
        &grace.open("/").await?,
        200,
        &["Waits for", "Build", "dev-0"],
    );
    let early = grace.send(&start(&test), &[("back", "/")]).await?;
    shows(&early, 409, &[&format!("href=\"/tasks/{build}\"")]);
    leads(
        &ada.send(
            &format!("/ui/tasks/{build}/complete"),
            &[("back", &release)],
        )
        .await?,
        &release,
    );
    leads(&grace.send(&start(&test), &[("back", "/")]).await?, "/");
    let pause = format!("/ui/tasks/{test}/pause");
    shows(
        &grace.send(&pause, &[("back", "/"), ("reason", "")]).await?,
        400,
        &["The reason"],
    );
    leads(
        &grace
            .send(&pause, &[("back", "/"), ("reason", "ill")])
            .await?,
        "/",
    );

    let complete = format!("/ui{release}/complete");
    let incomplete = admin.send(&complete, &[("back", &release)]).await?;
    shows(
        &incomplete,
        409,
        &["1 task is", &format!("href=\"/tasks/{test}\"")],
    );
    let revision = async || {
        let task = team.admin.get(&format!("/tasks/{test}")).await?.expect(200);
        anyhow::Ok(task["revision"].to_string())
    };
    let now = revision().await?;
    let change = [
        ("back", "/"),
        ("title", "Test it"),
        ("owner", "@dev-0"),
        ("order", "7"),
        ("revision", &*now),
    ];
    leads(
        &admin.send(&format!("/ui/tasks/{test}"), &change).await?,
        "/",
    );
    let changed = team.admin.get(&format!("/tasks/{test}")).await?.expect(200);
    assert_eq!(
        (
            &changed["title"],
            &changed["assignee"]["username"],
            &changed["orderIndex"]
        ),
        (&json!("Test it"), &json!("dev-0"), &json!(7))
    );
    let now = revision().await?;
    let delete = [("release", id(&spring)), ("revision", &now)];
    let deletion = format!("/ui/tasks/{test}/delete");
    leads(&admin.send(&deletion, &delete).await?, &release);
    leads(
        &admin.send(&complete, &[("back", &release)]).await?,
        &release,
    );
    shows(
        &admin.open(&release).await?,
        200,
        &["Add a hotfix", "reopens"],
    );
    let hotfix = [("back", &*release), ("title", "Mend"), ("owner", "dev-1")];
    leads(
        &admin.send(&format!("/ui{release}/tasks"), &hotfix).await?,
        &release,
    );
    shows(
        &ada.open(&release).await?,
        200,
        &["Mend", "Hotfix", "Reopened 1×"],
    );
    shows(
        &ada.open("/activity").await?,
        200,
        &["Hotfix", "dev-0 completed “Build” in Spring"],
    );

    shows(&ada.open("/admin/incidents").await?, 403, &["Not allowed"]);
    leads(&ada.send("/ui/sign-out", &[]).await?, "/sign-in");
    leads(&ada.open("/").await?, "/sign-in");
    Ok(())
}

#[tokio::test]
async fn a_discussion_is_held_by_forms() -> anyhow::Result<()> {
    let (server, team) = start(2).await?;
    let task = task_ids(&team.release("a", &[0]).await?).remove(0);
    let page = format!("/tasks/{task}/comments");
    let mut ada = PlainBrowser::new(&server.http);
    ada.sign_in("dev-0", PASSWORD).await?;
    let post = async |ada: &mut PlainBrowser, action: &str, content: &str| {
        let answer = ada
            .send(action, &[("back", &page), ("content", content)])
            .await?;
        let place = answer
            .header("location")
            .strip_prefix(&*page)
            .unwrap_or_default();
        anyhow::Ok(
            place
                .strip_prefix("#comment-")
                .expect("a comment")
                .to_owned(),
        )
    };
    let first = post(&mut ada, &format!("/ui{page}"), "One\r\nline").await?;
    let reply = post(&mut ada, &format!("/ui/comments/{first}/reply"), "Below").await?;
    let stored = team
        .admin
        .get(&format!("/comments/{first}"))
        .await?
        .expect(200);
    assert_eq!(stored["content"], "One\nline");
    shows(
        &ada.open(&page).await?,
        200,
        &["One<br>\nline", "Below", "1 reply"],
    );
    let empty = ada
        .send(&format!("/ui{page}"), &[("back", &page), ("content", " ")])
        .await?;
    shows(&empty, 400, &["The text"]);

    team.admin
        .seen(|entry| entry["subject"] == reply.as_str())
        .await?;
    let link = format!("href=\"{page}#comment-{first}\"");
    shows(&ada.open("/activity").await?, 200, &[&link]);

    let edit = format!("/ui/comments/{first}/edit");
    let fields = [("back", &*page), ("content", "Two"), ("revision", "1")];
    leads(
        &ada.send(&edit, &fields).await?,
        &format!("{page}#comment-{first}"),
    );
    let old = [("back", &*page), ("content", "Three"), ("revision", "1")];
    shows(
        &ada.send(&edit, &old).await?,
        409,
        &["Three", "edited meanwhile"],
    );
    let mut grace = PlainBrowser::new(&server.http);
    grace.sign_in("dev-1", PASSWORD).await?;
    shows(
        &grace
            .send(
                &edit,
                &[("back", &page), ("content", "Mine"), ("revision", "2")],
            )
            .await?,
        403,
        &["Not allowed"],
    );
    let delete = format!("/ui/comments/{first}/delete");
    let deletion = [("back", &*page), ("revision", "2")];
    shows(
        &grace.send(&delete, &deletion).await?,
        403,
        &["Not allowed"],
    );
    leads(
        &ada.send(&delete, &deletion).await?,
        &format!("{page}#comment-{first}"),
    );
    let shown = ada.open(&page).await?;
    shows(
        &shown,
        200,
        &[
            "This comment was deleted.",
            "Below",
            &format!("id=\"comment-{reply}\""),
        ],
    );
    assert!(!shown.text.contains("Two"));
    Ok(())
}

#[tokio::test]
async fn the_assistant_is_asked_and_mails_are_chosen_by_forms() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    team.release("Spring", &[0]).await?;
    let mut ada = PlainBrowser::new(&server.http);
    ada.sign_in("dev-0", PASSWORD).await?;
    let ask = async |ada: &mut PlainBrowser, session: &str, question: &str| {
        let fields = [
            ("back", "/assistant"),
            ("session", session),
            ("content", question),
        ];
        ada.send("/ui/assistant", &fields).await
    };
    shows(&ask(&mut ada, "", " ").await?, 400, &["The text"]);
    let asked = ask(&mut ada, "", "What should I do next?").await?;
    let page = asked.header("location").trim_end_matches("#ask").to_owned();
    shows(
        &ada.open(&page).await?,
        200,
        &["What should I do next?", "task 0"],
    );
    let session = page.trim_start_matches("/assistant?session=").to_owned();
    leads(
        &ask(&mut ada, &session, "And then?").await?,
        &format!("{page}#ask"),
    );
    shows(&ada.open(&page).await?, 200, &["And then?"]);
    leads(
        &ada.send("/ui/assistant/delete", &[("session", &session)])
            .await?,
        "/assistant",
    );
    shows(&ada.open(&page).await?, 404, &[]);

    shows(
        &ada.open("/preferences").await?,
        200,
        &["task.assigned", "Quiet hours"],
    );
    let save = async |ada: &mut PlainBrowser, end: &str| {
        let fields = [
            ("back", "/preferences"),
            ("revision", "0"),
            ("zone", "Europe/Berlin"),
            ("quiet", "true"),
            ("start", "22:00"),
            ("end", end),
            ("mode", "skip"),
            ("type", "task.assigned"),
            ("type", "task.ready"),
            ("wanted", "task.ready"),
        ];
        ada.send("/ui/preferences", &fields).await
    };
    shows(
        &save(&mut ada, "late").await?,
        400,
        &["value=\"late\"", "Europe/Berlin"],
    );
    leads(&save(&mut ada, "07:00").await?, "/preferences");
    shows(&save(&mut ada, "08:00").await?, 409, &["value=\"08:00\""]);
    let stored = team.developers[0].get("/preferences").await?.expect(200);
    assert_eq!(stored["email"], false);
    assert_eq!(stored["timeZone"], "Europe/Berlin");
    assert_eq!(stored["types"]["task.assigned"], false);
    assert_eq!(stored["types"]["task.ready"], true);
    assert_eq!(stored["quietHours"]["end"], "07:00");
    Ok(())
}

#[tokio::test]
async fn a_form_of_another_site_changes_nothing() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let task = task_ids(&team.release("a", &[0]).await?).remove(0);
    let mut ada = PlainBrowser::new(&server.http);
    ada.sign_in("dev-0", PASSWORD).await?;
    let start = format!("/ui/tasks/{task}/start");
    let other_port = "http://127.0.0.1:1";
    for origin in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site"), ("origin", other_port)],
        &[("sec-fetch-site", "none")],
        &[("origin", other_port)],
        &[("origin", "null")],
        &[],
    ] {
        let refused = ada.send_from(origin, &start, &[("back", "/")]).await?;
        shows(&refused, 403, &["Another site caused this request"]);
    }
    let unchanged = team.admin.get(&format!("/tasks/{task}")).await?.expect(200);
    assert_eq!(unchanged["status"], "TODO");
    // Nor does it sign anybody in or out.
    let mut eve = PlainBrowser::new(&server.http);
    let fields = [("name", "dev-0"), ("password", PASSWORD)];
    let refused = eve
        .send_from(&[("sec-fetch-site", "cross-site")], "/ui/sign-in", &fields)
        .await?;
    shows(&refused, 403, &[]);
    assert_eq!(refused.header("set-cookie"), "");
    ada.send_from(&[("origin", other_port)], "/ui/sign-out", &[])
        .await?;
    // The address that a form leads to is one of this server, whatever it asks for.
    for next in [
        "//evil.example",
        "https://evil.example/",
        "/auth/me",
        "/\\evil.example",
    ] {
        let fields = [("name", "dev-0"), ("password", PASSWORD), ("next", next)];
        leads(&eve.send("/ui/sign-in", &fields).await?, "/");
    }
    // A program without a page's headers may send a form with the origin of its address.
    let own = server.http.clone();
    leads(
        &ada.send_from(&[("origin", &own)], &start, &[("back", "/")])
            .await?,
        "/",
    );
    Ok(())
}

#[tokio::test]
async fn who_prefers_html_gets_a_page_and_others_what_the_api_answers() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let release = team.release("a", &[0]).await?;
    let task = task_ids(&release).remove(0);
    let (release, task) = (
        format!("/releases/{}", id(&release)),
        format!("/tasks/{task}"),
    );
    let comments = format!("{task}/comments");
    let get = async |path: &str, accept: &str| {
        let request = team.admin.request(Method::GET, path).header(ACCEPT, accept);
        team.admin.send(request).await
    };
    for path in [
        "/releases",
        &release,
        &task,
        &comments,
        "/activity",
        "/notifications",
        "/admin/incidents",
        "/admin/dead-letters",
        "/admin/templates",
        "/admin/templates/task.assigned",
        "/admin/notifications",
        "/admin/users",
    ] {
        for (accept, is_page) in [
            (HTML, true),
            ("text/html", true),
            ("text/html;q=0.9, application/json;q=0.8", true),
            ("*/*", false),
            ("application/json", false),
            ("application/json, text/html", false),
            ("text/html;q=0.5, application/json", false),
            ("text/html;q=0, */*", false),
        ] {
            let answer = get(path, accept).await?;
            let kind = if is_page {
                "text/html; charset=utf-8"
            } else {
                "application/json"
            };
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (200, kind),
                "{path} {accept}"
            );
            let varies = answer
                .headers
                .get_all(VARY)
                .iter()
                .any(|names| names == "accept");
            assert!(varies, "{path} {accept}");
            assert_eq!(answer.header("cache-control"), "private, no-store");
        }
        let answer = get(&format!("/v1{path}"), HTML).await?;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "application/json")
        );
        assert_eq!(answer.header("vary"), "");
    }
    for (path, status, kind) in [
        ("/", 200, "text/html; charset=utf-8"),
        ("/profile", 200, "text/html; charset=utf-8"),
        ("/releases/none", 404, "text/html; charset=utf-8"),
        ("/tasks/%FF", 404, "text/html; charset=utf-8"),
        ("/ui/templates/%FF/preview", 404, "text/html; charset=utf-8"),
        (
            "/tasks/01890a5d-ac96-774b-bcce-b302099a8057",
            404,
            "text/html; charset=utf-8",
        ),
        ("/nowhere", 404, "text/html; charset=utf-8"),
        ("/ui/nowhere", 404, "text/html; charset=utf-8"),
        ("/tasks/my", 200, "application/json"),
        ("/auth/me", 200, "application/json"),
        ("/v1/nowhere", 404, "application/problem+json"),
        ("/hooks/alerts", 405, "application/problem+json"),
        ("/.well-known/jwks.json", 200, "application/json"),
        ("/openapi.json", 200, "application/json"),
    ] {
        let answer = get(path, HTML).await?;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, kind),
            "{path}"
        );
    }
    for path in ["/", "/sign-in", "/profile", "/nowhere"] {
        get(path, "*/*").await?.refused(404, "NOT_FOUND");
    }
    let head = team
        .admin
        .request(Method::HEAD, &release)
        .header(ACCEPT, HTML);
    let head = team.admin.send(head).await?;
    assert_eq!(
        (head.status, head.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    assert_eq!(head.text, "");

    // What a page loads is kept for good, under an address that changes with it.
    let page = get("/", HTML).await?;
    let policy = page.header("content-security-policy");
    assert!(
        !policy.contains("unsafe") && policy.contains("base-uri 'none'"),
        "{policy}"
    );
    let parts = page
        .text
        .split('"')
        .filter(|text| text.starts_with("/ui/assets/"));
    let parts: Vec<_> = parts.map(str::to_owned).collect();
    assert_eq!(parts.len(), 4, "{parts:?}");
    for part in &parts {
        let asset = server.client().get(part).await?;
        assert_eq!(
            (asset.status, asset.text.is_empty()),
            (200, false),
            "{part}"
        );
        assert_eq!(
            asset.header("cache-control"),
            "public, max-age=31536000, immutable"
        );
        let other = part.replace("/ui/assets/", "/ui/assets/0");
        assert_eq!(
            server.client().get(&other).await?.header("cache-control"),
            "no-cache"
        );
    }
    Ok(())
}
