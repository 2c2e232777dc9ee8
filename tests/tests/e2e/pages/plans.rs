//! Plans on the pages of releases.

use slipway_tests::{ADMIN_PASSWORD, PlainBrowser, team::PASSWORD};

use super::{shows, start};

const YAML: &str = "name: Spring\nversion: \"2.0\"\ntasks:\n  - title: Build\n    assignee: dev-0\n    \
    dueAt: 2026-12-01T17:00:00Z\n    tags: [ci]\n  - {title: Ship, assignee: dev-1}\n";

#[tokio::test]
async fn a_plan_is_pasted_or_sent_as_a_file_in_any_format() -> anyhow::Result<()> {
    let (server, team) = start(2).await?;
    let mut admin = PlainBrowser::new(&server.http);
    admin.sign_in("admin", ADMIN_PASSWORD).await?;
    let back = ("back", "/releases");
    let pasted = [back, ("name", ""), ("rows", YAML)];
    let planned = admin.send("/ui/releases", &pasted).await?;
    assert_eq!(planned.status, 303, "{}", planned.text);
    let spring = team
        .admin
        .get(planned.header("location"))
        .await?
        .expect(200);
    assert_eq!(
        (&spring["name"], &spring["version"]),
        (&"Spring".into(), &"2.0".into())
    );
    assert_eq!(spring["tasks"][0]["tags"][0], "ci");
    assert_eq!(spring["tasks"][0]["dueAt"], "2026-12-01T17:00:00Z");

    let csv = "Title;Owner;Description\r\nBuild;dev-0;\"Two\nlines\"\r\n";
    let utf_16: Vec<u8> = csv.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, file) in [("plan.csv", csv.as_bytes()), ("plan.txt", &utf_16)] {
        let fields = [back, ("name", name), ("rows", "not this\tdev-1")];
        let planned = admin.send_file("/ui/releases", &fields, name, file).await?;
        assert_eq!(planned.status, 303, "{}", planned.text);
        let release = team
            .admin
            .get(planned.header("location"))
            .await?
            .expect(200);
        assert_eq!(release["name"], name);
        assert_eq!(release["tasks"][0]["description"], "Two\nlines");
        assert_eq!(release["tasks"].as_array().map(Vec::len), Some(1));
    }
    // Without a file it is what was typed.
    let fields = [back, ("name", "Typed"), ("rows", "Build\tdev-0")];
    let planned = admin.send_file("/ui/releases", &fields, "", b"").await?;
    assert_eq!(planned.status, 303, "{}", planned.text);
    Ok(())
}

#[tokio::test]
async fn a_plan_that_is_wrong_is_shown_again_with_the_place() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let mut admin = PlainBrowser::new(&server.http);
    admin.sign_in("admin", ADMIN_PASSWORD).await?;
    let fields = [("back", "/releases"), ("name", "Spring"), ("rows", "")];
    for (name, file, expected) in [
        (
            "a.csv",
            &b"title,prio\n<b>T</b>,HIGH\n"[..],
            &[
                "The plan is malformed: prio is not known here (did you mean priority?) (line 1).",
                "&lt;b&gt;T&lt;/b&gt;,HIGH",
            ][..],
        ),
        (
            "a.yaml",
            b"tasks: [&a x, *a]",
            &["an anchor (&amp;) or an alias (*)"],
        ),
        (
            "a.csv",
            b"title,owner\nT,nobody-here\n",
            &["Row 1: the owner"],
        ),
        (
            "a.json",
            br#"{"name": "R", "tasks": [], "hotfix": {"title": "H", "assignee": "dev-0"}}"#,
            &["The plan has a hotfix, “H”."],
        ),
        (
            "a.csv",
            b"PK\x03\x04",
            &["The file is compressed: unpack it first."],
        ),
    ] {
        let refused = admin.send_file("/ui/releases", &fields, name, file).await?;
        assert_eq!(refused.status, 400, "{}", refused.text);
        for text in expected {
            assert!(refused.text.contains(text), "{text}: {}", refused.text);
        }
    }
    let cut = admin
        .send_file("/ui/releases", &[("a\r\n\r\n", "b")], "x", b"y")
        .await?;
    assert_eq!(cut.status, 400, "{}", cut.text);
    assert_eq!(
        team.admin.get("/releases").await?.body["items"],
        serde_json::json!([])
    );
    Ok(())
}

#[tokio::test]
async fn a_release_is_exported_and_copied() -> anyhow::Result<()> {
    let (server, team) = start(2).await?;
    let release = team.release("Spring & more", &[0, 1]).await?;
    let id = release["id"].as_str().unwrap_or_default();
    let mut ada = PlainBrowser::new(&server.http);
    let export = format!("/ui/releases/{id}/plan?format=csv");
    assert_eq!(ada.open(&export).await?.status, 401);
    ada.sign_in("dev-0", PASSWORD).await?;
    shows(
        &ada.open(&format!("/releases/{id}")).await?,
        200,
        &["Use it as a plan"],
    );
    let file = ada.open(&export).await?;
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
    let name = format!("attachment; filename=\"plan-{id}.csv\"");
    assert_eq!(file.header("content-disposition"), name);
    assert!(file.text.contains("task 0,dev-0,"), "{}", file.text);
    let unknown = ada
        .open("/ui/releases/01890a5d-ac96-774b-bcce-b302099a8057/plan")
        .await?;
    assert_eq!(unknown.status, 404);

    let mut admin = PlainBrowser::new(&server.http);
    admin.sign_in("admin", ADMIN_PASSWORD).await?;
    let form = admin.open(&format!("/releases?copy={id}&days=")).await?;
    shows(
        &form,
        200,
        &[
            "A copy: ",
            "value=\"Spring &amp; more\"",
            "task 0\tdev-0\ntask 1\tdev-1",
        ],
    );
    let due =
        serde_json::json!({"title": "T", "assignee": "dev-0", "dueAt": "2026-12-01T17:00:00Z"});
    let path = format!("/releases/{id}/tasks");
    let _ = team.admin.post(&path, &due).await?.expect(201);
    let form = admin.open(&format!("/releases?copy={id}&days=14")).await?;
    shows(&form, 200, &["2026-12-15T17:00:00Z", "tasks:"]);
    // Only an administrator plans.
    let page = ada.open(&format!("/releases?copy={id}")).await?;
    assert!(!page.text.contains("A copy: "), "{}", page.text);
    Ok(())
}
