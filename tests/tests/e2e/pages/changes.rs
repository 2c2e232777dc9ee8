//! Releases and tasks that are changed by forms: conflicts, refusals, and what is gone.

use serde_json::{Value, json};
use slipway_tests::{
    ADMIN_PASSWORD, Answer, PlainBrowser, Team,
    team::{PASSWORD, id, task_ids},
};

use super::{leads, shows, start};

/// The value of a hidden field on a page, in the form with this action.
fn hidden(page: &Answer, action: &str, name: &str) -> String {
    let form = page.text.split(&format!("action=\"{action}\"")).nth(1);
    let form = form.unwrap_or_else(|| panic!("{action}: {}", page.text));
    let value = form.split(&format!("name=\"{name}\" value=\"")).nth(1);
    value.unwrap().split('"').next().unwrap().to_owned()
}

async fn task(team: &Team, id: &str) -> anyhow::Result<Value> {
    Ok(team.admin.get(&format!("/tasks/{id}")).await?.expect(200))
}

#[tokio::test]
async fn a_release_is_changed_and_a_conflict_shows_what_is_there_now() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let release = team.release("Spring", &[0]).await?;
    let page = format!("/releases/{}", id(&release));
    let action = format!("/ui{page}");
    let mut admin = PlainBrowser::new(&server.http);
    admin.sign_in("admin", ADMIN_PASSWORD).await?;
    let revision = hidden(&admin.open(&page).await?, &action, "revision");
    let change = |name: &'static str, revision: &'static str| {
        [
            ("back", page.clone()),
            ("name", name.to_owned()),
            ("version", "2.0".to_owned()),
            ("description", "See [notes](https://x.example)".to_owned()),
            ("revision", revision.to_owned()),
        ]
    };
    async fn send(
        browser: &mut PlainBrowser,
        action: &str,
        fields: &[(&str, String)],
    ) -> anyhow::Result<Answer> {
        let fields: Vec<_> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        browser.send(action, &fields).await
    }
    // Without a revision it would overwrite what it has not seen.
    let refused = send(&mut admin, &action, &change("Summer", "")).await?;
    shows(&refused, 400, &["Open the page again", "value=\"Summer\""]);
    let mut first = change("Summer", "");
    first[4].1 = revision.clone();
    leads(&send(&mut admin, &action, &first).await?, &page);
    let changed = admin.open(&page).await?;
    let link = "<a rel=\"nofollow noopener noreferrer\" href=\"https://x.example\">notes</a>";
    shows(&changed, 200, &["Summer", "2.0", link]);
    let mut second = change("Autumn", "");
    second[4].1 = revision;
    let conflict = send(&mut admin, &action, &second).await?;
    let shown = [
        "Changed by somebody meanwhile",
        "value=\"Autumn\"",
        "<dt>Name</dt>",
        "Summer",
    ];
    shows(&conflict, 409, &shown);
    assert!(!conflict.text.contains("<dt>Version</dt>"));
    // What the form of the refusal says counts: its sender has seen the change.
    second[4].1 = hidden(&conflict, &action, "revision");
    leads(&send(&mut admin, &action, &second).await?, &page);

    let mut ada = PlainBrowser::new(&server.http);
    ada.sign_in("dev-0", PASSWORD).await?;
    let foreign = send(&mut ada, &action, &second).await?;
    shows(&foreign, 403, &["Not allowed"]);
    let delete = format!("{action}/delete");
    let revision = hidden(&admin.open(&page).await?, &delete, "revision");
    let started = format!("/ui/tasks/{}/start", task_ids(&release)[0]);
    leads(&ada.send(&started, &[("back", "/")]).await?, "/");
    let fields = [("back", &*page), ("revision", &*revision)];
    shows(
        &admin.send(&delete, &fields).await?,
        409,
        &["Changed by somebody meanwhile"],
    );
    let page_now = admin.open(&page).await?;
    assert!(
        !page_now.text.contains("Delete the release"),
        "{}",
        page_now.text
    );
    let other = team.release("Other", &[]).await?;
    let other_page = format!("/releases/{}", id(&other));
    let delete = format!("/ui{other_page}/delete");
    let revision = hidden(&admin.open(&other_page).await?, &delete, "revision");
    let fields = [("back", &*other_page), ("revision", &*revision)];
    leads(&admin.send(&delete, &fields).await?, "/releases");
    shows(&admin.open(&other_page).await?, 404, &[]);
    Ok(())
}

#[tokio::test]
async fn every_field_of_a_task_is_changed_by_its_form() -> anyhow::Result<()> {
    let (server, team) = start(2).await?;
    let release = team.release("Spring", &[0, 1]).await?;
    let [first, second] = <[String; 2]>::try_from(task_ids(&release)).expect("two tasks");
    let page = format!("/tasks/{first}");
    let action = format!("/ui{page}");
    let mut admin = PlainBrowser::new(&server.http);
    admin.sign_in("admin", ADMIN_PASSWORD).await?;
    let revision = hidden(&admin.open(&page).await?, &action, "revision");
    let fields = [
        ("back", &*page),
        ("revision", &*revision),
        ("title", "Build **it**"),
        ("description", "**Bold**"),
        ("owner", "dev-1"),
        ("order", "1"),
        ("due", "2030-05-06T18:00"),
        ("reminder", "90"),
        ("priority", "HIGH"),
        ("tags", "Backend\r\n\r\nneeds review, soon"),
        ("rule", "FREQ=WEEKLY;COUNT=5"),
        ("zone", "Europe/Berlin"),
        ("was_due", ""),
    ];
    let mut wrong = fields;
    wrong[7].1 = "soon";
    let refused = admin.send(&action, &wrong).await?;
    let typed = [
        "The reminder must be",
        "value=\"2030-05-06T18:00\"",
        "needs review, soon",
    ];
    shows(&refused, 400, &typed);
    leads(&admin.send(&action, &fields).await?, &page);
    let changed = task(&team, &first).await?;
    assert_eq!(changed["title"], "Build **it**");
    assert_eq!(changed["assignee"]["username"], "dev-1");
    assert_eq!(changed["dueAt"], "2030-05-06T18:00:00Z");
    assert_eq!(changed["remindBeforeMinutes"], 90);
    assert_eq!(changed["priority"], "HIGH");
    assert_eq!(changed["tags"], json!(["backend", "needs review, soon"]));
    assert_eq!(changed["recurrence"]["rule"], "FREQ=WEEKLY;COUNT=5");
    let shown = admin.open(&page).await?;
    let texts = [
        "<strong>Bold</strong>",
        "reminder 1 h 30 min before",
        "FREQ=WEEKLY;COUNT=5",
    ];
    shows(&shown, 200, &texts);

    // Another due time alone moves this occurrence and begins no other series.
    let (starts, revision) = (
        &changed["recurrence"]["startsAt"],
        hidden(&shown, &action, "revision"),
    );
    let moved = [
        ("back", &*page),
        ("revision", &*revision),
        ("title", "Build"),
        ("owner", "dev-1"),
        ("order", "1"),
        ("due", "2030-05-07T18:00:00.000Z"),
        ("was_due", "2030-05-06T18:00"),
        ("priority", "NORMAL"),
        ("rule", "FREQ=WEEKLY;COUNT=5"),
        ("was_rule", "FREQ=WEEKLY;COUNT=5"),
        ("zone", "Europe/Berlin"),
        ("was_zone", "Europe/Berlin"),
    ];
    leads(&admin.send(&action, &moved).await?, &page);
    let changed = task(&team, &first).await?;
    assert_eq!(changed["dueAt"], "2030-05-07T18:00:00Z");
    assert_eq!(changed["recurrence"]["startsAt"], *starts);
    assert_eq!(
        (&changed["remindBeforeMinutes"], &changed["tags"]),
        (&Value::Null, &json!([]))
    );

    // The owner changes the reminder, and nothing else.
    let mut grace = PlainBrowser::new(&server.http);
    grace.sign_in("dev-1", PASSWORD).await?;
    let own = grace.open(&page).await?;
    assert!(!own.text.contains("Change the task"));
    let remind = format!("{action}/reminder");
    let revision = hidden(&own, &remind, "revision");
    let fields = [
        ("back", &*page),
        ("revision", &*revision),
        ("reminder", "30"),
    ];
    leads(&grace.send(&remind, &fields).await?, &page);
    assert_eq!(task(&team, &first).await?["remindBeforeMinutes"], 30);
    let foreign = format!("/ui/tasks/{second}/reminder");
    let mut ada = PlainBrowser::new(&server.http);
    ada.sign_in("dev-0", PASSWORD).await?;
    let refused = ada.send(&remind, &fields).await?;
    shows(&refused, 403, &["Not allowed"]);
    let stale = [("back", "/"), ("revision", ""), ("reminder", "30")];
    shows(
        &grace.send(&foreign, &stale).await?,
        400,
        &["Open the page again"],
    );
    let change = grace.send(&action, &moved).await?;
    assert_eq!(change.status, 403, "{}", change.text);
    Ok(())
}

#[tokio::test]
async fn what_was_typed_is_shown_when_its_thing_is_gone() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let release = team.release("Spring", &[0]).await?;
    let task = task_ids(&release).remove(0);
    let page = format!("/tasks/{task}");
    let mut ada = PlainBrowser::new(&server.http);
    ada.sign_in("dev-0", PASSWORD).await?;
    let delete = team.admin.request(reqwest::Method::DELETE, &page);
    team.admin.send(delete).await?.expect(204);
    let fields = [
        ("back", &*page),
        ("content", "A long <b>thought"),
        ("key", "k"),
    ];
    let gone = ada.send(&format!("/ui{page}/comments"), &fields).await?;
    shows(
        &gone,
        404,
        &[
            "You can copy it",
            "<span>Text</span>",
            "A long &lt;b&gt;thought",
        ],
    );
    // Addresses that name nothing say so, without the language of programs.
    for path in ["/tasks/zzz", "/releases/%20", "/notifications/1"] {
        let answer = ada.open(path).await?;
        shows(&answer, 404, &["There is no such"]);
        assert!(!answer.text.contains("UUID"));
    }
    for (path, text) in [
        ("/ui/tasks/%ff/start", "nothing at this address"),
        ("/ui/tasks/%zz/start", "no such task"),
        ("/ui/releases/%zz/complete", "no such release"),
        ("/ui/comments/%zz/reply", "no such comment"),
        ("/ui/dead-letters/%zz/replay", "no such dead letter"),
        ("/ui/users/%zz", "no such account"),
    ] {
        let broken = ada.send(path, &[("back", "/"), ("revision", "1")]).await?;
        shows(&broken, 404, &[text]);
    }
    // A key that was used for something else is explained.
    let plan = |title: &'static str| [("back", "/"), ("key", "k-1"), ("content", title)];
    let other = task_ids(&team.release("Other", &[0]).await?).remove(0);
    let comments = format!("/ui/tasks/{other}/comments");
    assert_eq!(ada.send(&comments, &plan("One")).await?.status, 303);
    let reused = ada.send(&comments, &plan("Two")).await?;
    shows(&reused, 409, &["This form was sent before", "Two"]);
    assert!(!reused.text.contains("Idempotency"), "{}", reused.text);
    Ok(())
}

#[tokio::test]
async fn a_refused_first_question_leaves_no_conversation() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    let mut ada = PlainBrowser::new(&server.http);
    ada.sign_in("dev-0", PASSWORD).await?;
    let long = format!("Why? {}", "x".repeat(200_000));
    let fields = [("back", "/assistant"), ("session", ""), ("content", &*long)];
    let refused = ada.send("/ui/assistant", &fields).await?;
    shows(&refused, 400, &["The text", "Why?"]);
    let page = ada.open("/assistant").await?;
    assert!(!page.text.contains("/assistant?session="), "{}", page.text);
    Ok(())
}
