//! `/preferences`: reading, changing, and their effect.

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::json;
use slipway_tests::team::task_ids;

use super::{
    super::{begin, call, finish, invalid, start},
    has, listed, put,
};

/// Quiet hours around the current time, in UTC.
fn quiet_now(mode: &str) -> serde_json::Value {
    let time = |hours| {
        let at = Timestamp::now() + SignedDuration::from_hours(hours);
        at.strftime("%H:%M").to_string()
    };
    json!({"enabled": true, "start": time(-2), "end": time(2), "mode": mode})
}

#[tokio::test]
async fn preferences_are_replaced_as_a_whole() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let ada = &team.developers[0];
    let answer = ada.get("/preferences").await?;
    assert_eq!(answer.header("etag"), "\"0\"");
    let default = answer.expect(200);
    assert_eq!(default["email"], true);
    assert_eq!(default["types"]["task.assigned"], true);
    assert_eq!(default["quietHours"]["enabled"], false);
    assert_eq!(default["timeZone"], "UTC");

    let mut wanted = default.clone();
    wanted["types"]["task.assigned"] = false.into();
    wanted["timeZone"] = "Asia/Kathmandu".into();
    wanted["quietHours"] = json!({
        "enabled": true, "start": "21:30", "end": "06:15", "timeZone": null, "mode": "SKIP",
    });
    let answer = put(ada, "/preferences", &wanted, &[]).await?;
    assert_eq!(answer.header("etag"), "\"1\"");
    assert_eq!(answer.expect(200), wanted);
    assert_eq!(ada.get("/preferences").await?.expect(200), wanted);
    let back = put(ada, "/preferences", &json!({}), &[]).await?.expect(200);
    assert_eq!(back, default);
    let other = team.admin.get("/preferences").await?;
    assert_eq!(other.header("etag"), "\"0\"", "they are ada's alone");
    Ok(())
}

#[tokio::test]
async fn a_replacement_of_an_outdated_revision_is_refused() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let ada = &team.developers[0];
    let off = json!({"email": false});
    let etag = [("if-match", "\"0\"")];
    put(ada, "/preferences", &off, &etag).await?.expect(200);
    let again = put(ada, "/preferences", &json!({}), &etag).await?;
    again.refused(412, "PREFERENCES_CHANGED");
    let stored = ada.get("/preferences").await?.expect(200);
    assert_eq!(stored["email"], false);
    for nonsense in ["7", ""] {
        let refused = put(ada, "/preferences", &off, &[("if-match", nonsense)]).await?;
        invalid(refused, "If-Match");
    }
    Ok(())
}

#[tokio::test]
async fn invalid_preferences_are_refused_by_field() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let ada = &team.developers[0];
    for (body, field) in [
        (json!({"emails": false}), "emails"),
        (
            json!({"types": {"task.asigned": true}}),
            "types.task.asigned",
        ),
        (json!({"timeZone": "Mars/Olympus"}), "timeZone"),
        (
            json!({"quietHours": {"begin": "22:00"}}),
            "quietHours.begin",
        ),
        (
            json!({"quietHours": {"start": "25:00"}}),
            "quietHours.start",
        ),
        (json!({"quietHours": {"start": "07:00"}}), "quietHours.end"),
        (
            json!({"quietHours": {"timeZone": "CEST"}}),
            "quietHours.timeZone",
        ),
        (json!({"quietHours": {"mode": "LATER"}}), "quietHours.mode"),
    ] {
        invalid(put(ada, "/preferences", &body, &[]).await?, field);
    }
    let nobody = put(&_server.client(), "/preferences", &json!({}), &[]).await?;
    nobody.refused(401, "UNAUTHENTICATED");
    let deleted = call(ada, Method::DELETE, "/preferences").await?;
    deleted.refused(405, "METHOD_NOT_ALLOWED");
    Ok(())
}

#[tokio::test]
async fn a_suppressed_notification_shows_its_reason() -> anyhow::Result<()> {
    let (_server, team) = start(3).await?;
    let [off, muted, skipping] = &team.developers[..] else {
        anyhow::bail!("three developers")
    };
    put(off, "/preferences", &json!({"email": false}), &[])
        .await?
        .expect(200);
    let no_tasks = json!({"types": {"task.assigned": false}});
    put(muted, "/preferences", &no_tasks, &[])
        .await?
        .expect(200);
    let skip = json!({"quietHours": quiet_now("SKIP")});
    put(skipping, "/preferences", &skip, &[]).await?.expect(200);
    team.release("Spring", &[0, 1, 2]).await?;
    for (developer, code) in [
        (off, "EMAIL_OFF"),
        (muted, "TYPE_OFF"),
        (skipping, "QUIET_HOURS"),
    ] {
        let found = listed(developer, "/notifications", 1, has("SUPPRESSED")).await?;
        let path = format!(
            "/notifications/{}",
            found[0]["id"].as_str().unwrap_or_default()
        );
        let suppressed = developer.get(&path).await?.expect(200);
        let reason = suppressed["reason"].as_str().unwrap_or_default();
        assert!(reason.starts_with(&format!("{code}: ")), "{suppressed:#}");
        assert_eq!(suppressed["attempts"], json!([]));
    }
    Ok(())
}

#[tokio::test]
async fn quiet_hours_defer_all_but_hotfixes() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let ada = &team.developers[0];
    let defer = json!({"quietHours": quiet_now("DEFER")});
    put(ada, "/preferences", &defer, &[]).await?.expect(200);
    let release = team.release("Spring", &[0]).await?;
    let waiting = listed(ada, "/notifications", 1, has("QUEUED")).await?;
    let due: Timestamp = waiting[0]["dueAt"].as_str().unwrap_or_default().parse()?;
    let wait = due.duration_since(Timestamp::now());
    assert!(wait > SignedDuration::from_mins(110) && wait <= SignedDuration::from_hours(2));
    team.release("Summer", &[0]).await?;

    for task in task_ids(&release) {
        begin(ada, &task).await?.expect(200);
        finish(ada, &task).await?.expect(200);
    }
    let path = format!("/releases/{}", release["id"].as_str().unwrap_or_default());
    team.admin
        .patch(&format!("{path}/complete"))
        .await?
        .expect(200);
    let hotfix = json!({"title": "Repair it", "assignee": "dev-0"});
    team.admin
        .post(&format!("{path}/tasks"), &hotfix)
        .await?
        .expect(201);
    let sent = listed(ada, "/notifications?status=SENT", 1, has("SENT")).await?;
    assert_eq!(sent[0]["type"], "task.hotfix_added");
    assert!(super::mail(&server, &sent[0]).await?.contains("Repair it"));
    let assigned = "/notifications?type=task.assigned&status=QUEUED";
    listed(ada, assigned, 1, has("QUEUED")).await?;
    Ok(())
}

#[tokio::test]
async fn a_mail_that_waits_is_withdrawn_when_its_task_is_deleted() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let ada = &team.developers[0];
    let defer = json!({"quietHours": quiet_now("DEFER")});
    put(ada, "/preferences", &defer, &[]).await?.expect(200);
    let release = team.release("Spring", &[0]).await?;
    listed(ada, "/notifications", 1, has("QUEUED")).await?;
    let path = format!("/tasks/{}", task_ids(&release)[0]);
    call(&team.admin, Method::DELETE, &path).await?.expect(204);
    let withdrawn = listed(ada, "/notifications", 1, has("SUPPRESSED")).await?;
    let reason = withdrawn[0]["reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("TASK_DELETED: "), "{reason}");
    Ok(())
}

#[tokio::test]
async fn a_mail_that_it_is_your_turn_is_withdrawn_when_it_is_not_true_any_more()
-> anyhow::Result<()> {
    let (_server, team) = start(2).await?;
    let [ada, ben] = [&team.developers[0], &team.developers[1]];
    let release = team.release("Spring", &[1, 0, 0]).await?;
    let defer = json!({"quietHours": quiet_now("DEFER")});
    put(ada, "/preferences", &defer, &[]).await?.expect(200);
    let tasks = task_ids(&release);
    begin(ben, &tasks[0]).await?.expect(200);
    finish(ben, &tasks[0]).await?.expect(200);
    let ready = "/notifications?type=task.ready";
    listed(ada, ready, 1, has("QUEUED")).await?;
    begin(ada, &tasks[1]).await?.expect(200);
    let withdrawn = listed(ada, ready, 1, has("SUPPRESSED")).await?;
    let reason = withdrawn[0]["reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("TASK_STARTED: "), "{reason}");
    Ok(())
}

#[tokio::test]
async fn times_in_a_mail_are_in_the_recipients_time_zone() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let ada = &team.developers[0];
    let tokyo = json!({"timeZone": "Asia/Tokyo"});
    put(ada, "/preferences", &tokyo, &[]).await?.expect(200);
    let task = json!({"title": "Build", "assignee": "dev-0", "dueAt": "2030-01-01T16:00:00Z"});
    let release = json!({"name": "Spring", "tasks": [task]});
    team.admin.post("/releases", &release).await?.expect(201);
    let sent = listed(ada, "/notifications", 1, has("SENT")).await?;
    let mail = super::mail(&server, &sent[0]).await?.replace("=\r\n", "");
    assert!(
        mail.contains("due Wednesday, 2 January 2030, 01:00 (Asia/Tokyo)"),
        "{mail}"
    );
    Ok(())
}

#[tokio::test]
async fn mails_that_wait_for_quiet_hours_are_sent_when_these_are_switched_off() -> anyhow::Result<()>
{
    let (_server, team) = start(1).await?;
    let ada = &team.developers[0];
    let defer = json!({"quietHours": quiet_now("DEFER")});
    put(ada, "/preferences", &defer, &[]).await?.expect(200);
    team.release("Spring", &[0]).await?;
    listed(ada, "/notifications", 1, has("QUEUED")).await?;
    put(ada, "/preferences", &json!({}), &[]).await?.expect(200);
    listed(ada, "/notifications", 1, has("SENT")).await?;
    Ok(())
}
