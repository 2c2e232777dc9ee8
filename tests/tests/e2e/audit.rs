//! The audit trail, end to end: what is recorded of changes, who may read it, and how tampering is
//! found.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use slipway_tests::{
    ADMIN_PASSWORD, Client, Options, Process, Team, process,
    team::{PASSWORD, id, task_ids},
    until,
};
use uuid::Uuid;

use crate::dead_letters::{process_with, registered};

/// The entries of a query, newest first, once there are this many.
async fn recorded(admin: &Client, query: &str, count: usize) -> Vec<Value> {
    let path = format!("/admin/audit?limit=200{query}");
    let found = until(async || {
        let entries = admin.all(&path).await?;
        ensure!(entries.len() == count, "{count} at {query}: {entries:#?}");
        Ok(entries)
    });
    found.await.unwrap()
}

/// Runs `slipway audit …` in the directory of a process; returns its exit code and outputs.
async fn audit(dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let options = arguments
        .iter()
        .fold(Options::default().arg("audit"), |options, argument| {
            options.arg(*argument)
        });
    let (status, output, errors) = process::run(dir, &options).await.unwrap();
    (status.code(), output, errors)
}

fn field<'a>(entries: &'a [Value], name: &str) -> Vec<&'a Value> {
    entries.iter().map(|entry| &entry[name]).collect()
}

fn change(field: &str, from: impl Into<Value>, to: impl Into<Value>) -> Value {
    json!({"field": field, "from": from.into(), "to": to.into()})
}

async fn patch(client: &Client, path: &str, body: &Value, request_id: &str) -> Value {
    let request = client.request(Method::PATCH, path).json(body);
    let request = request.header("x-request-id", request_id);
    client.send(request).await.unwrap().expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_recorded_with_its_actor_address_request_and_the_values_before_and_after() {
    let server = Process::start().await.unwrap();
    let team = Team::new(&server, 2).await.unwrap();
    let elsewhere = Client::from_address(&server.http, [127, 0, 0, 5]);
    let admin = elsewhere.login("admin", ADMIN_PASSWORD).await.unwrap();
    let release = team.release("Spring", &[0]).await.unwrap();
    let task = task_ids(&release).remove(0);
    let body = json!({
        "title": "Build it", "description": "now", "assignee": "dev-1",
        "dueAt": "2027-01-02T03:04:05Z", "priority": "HIGH", "tags": ["ui"],
    });
    patch(&admin, &format!("/tasks/{task}"), &body, "edit-1").await;
    let path = format!("/releases/{}", id(&release));
    patch(
        &admin,
        &path,
        &json!({"name": "Summer", "version": "2.0"}),
        "edit-2",
    )
    .await;
    let begun = team.developers[1]
        .patch(&format!("/tasks/{task}/start"))
        .await;
    let trace = begun.unwrap().header("traceparent").to_owned();

    let updated = recorded(&admin, &format!("&type=task.updated&taskId={task}"), 1).await;
    let updated = &updated[0];
    assert_eq!(updated["actor"]["username"], "admin");
    assert_eq!(updated["address"], "127.0.0.5");
    assert_eq!(updated["requestId"], "edit-1");
    assert_eq!(updated["releaseId"], id(&release));
    assert_eq!(updated["data"]["task"]["title"], "Build it");
    let assignee = &release["tasks"][0]["assignee"];
    assert_eq!(
        updated["changes"],
        json!([
            change("title", "task 0", "Build it"),
            change("description", "", "now"),
            change(
                "assignee",
                assignee.clone(),
                updated["data"]["task"]["assignee"].clone()
            ),
            change("dueAt", Value::Null, "2027-01-02T03:04:05Z"),
            change("priority", "NORMAL", "HIGH"),
            change("tags", Value::Null, json!(["ui"])),
        ])
    );
    let renamed = recorded(&admin, "&type=release.updated", 1).await;
    assert_eq!(
        renamed[0]["changes"],
        json!([
            change("name", "Spring", "Summer"),
            change("version", "", "2.0")
        ])
    );
    let started = recorded(&admin, "&type=task.started", 1).await;
    assert_eq!(
        started[0]["changes"][0],
        change("status", "TODO", "IN_PROCESS")
    );
    assert_eq!(started[0]["address"], "127.0.0.1");
    let trace_id = started[0]["traceId"].as_str().unwrap();
    assert!(trace.contains(trace_id), "{trace} {trace_id}");
    // A client that gives its request no id gets one.
    assert!(started[0]["requestId"].is_string());

    // The address is in the audit trail only.
    for entry in admin.feed().await.unwrap() {
        assert!(!entry.to_string().contains("127.0.0."), "{entry}");
    }
    for path in ["/admin/audit", &format!("{path}/evidence")] {
        let refused = team.developers[0].get(path).await.unwrap();
        refused.refused(403, "ADMIN_REQUIRED");
        let refused = server.client().get(path).await.unwrap();
        refused.refused(401, "UNAUTHENTICATED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_found_by_task_release_user_type_and_time() {
    let server = Process::start().await.unwrap();
    let team = Team::new(&server, 2).await.unwrap();
    let admin = &team.admin;
    let first = team.release("Spring", &[0, 1]).await.unwrap();
    let tasks = task_ids(&first);
    recorded(admin, "", 3 + 6).await;
    // Times are compared in milliseconds, so what follows happens in a later one.
    let between = Timestamp::now();
    until(async || {
        ensure!(Timestamp::now().as_millisecond() > between.as_millisecond());
        Ok(())
    })
    .await
    .unwrap();
    let between = Timestamp::now();
    let second = team.release("Autumn", &[1]).await.unwrap();
    let comment = json!({"content": "Why?"});
    let path = format!("/tasks/{}/comments", tasks[1]);
    team.developers[0]
        .post(&path, &comment)
        .await
        .unwrap()
        .expect(201);
    recorded(admin, "", 3 + 6 + 4 + 1).await;

    let of_first = recorded(admin, &format!("&releaseId={}", id(&first)), 6 + 1).await;
    assert_eq!(of_first[0]["type"], "comment.posted");
    assert_eq!(of_first[6]["type"], "release.created");
    let of_task = recorded(admin, &format!("&taskId={}", tasks[1]), 3).await;
    assert_eq!(
        field(&of_task, "type"),
        ["comment.posted", "task.assigned", "task.created"]
    );
    let me = team.developers[0]
        .get("/auth/me")
        .await
        .unwrap()
        .expect(200);
    let of_user = recorded(admin, &format!("&userId={}", id(&me)), 2).await;
    assert_eq!(
        field(&of_user, "type"),
        ["comment.posted", "user.registered"]
    );
    assert_eq!(of_user[1]["userId"], me["id"]);
    recorded(admin, "&type=task.created,user.*", 3 + 3).await;
    recorded(admin, &format!("&from={between}"), 4 + 1).await;
    recorded(admin, &format!("&to={between}"), 3 + 6).await;
    let query = format!(
        "&type=task.created&from={between}&releaseId={}",
        id(&second)
    );
    recorded(admin, &query, 1).await;
    let query = format!("&type=task.created&to={between}&releaseId={}", id(&second));
    recorded(admin, &query, 0).await;

    // The same from a terminal.
    let options = ["audit", "list", "--type", "comment.*", "--user", id(&me)]
        .into_iter()
        .fold(Options::default(), |options, argument| {
            options.arg(argument)
        })
        .env("SLIPWAY_URL", &server.http)
        .env("SLIPWAY_USERNAME", "admin")
        .env("SLIPWAY_PASSWORD", ADMIN_PASSWORD);
    let (status, output, errors) = process::run(server.data.path(), &options).await.unwrap();
    assert!(status.success(), "{errors}");
    assert_eq!(output.lines().count(), 1, "{output}");
    assert!(
        output.contains("comment.posted        dev-0           127.0.0.1"),
        "{output}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_administrators_do_is_recorded() {
    let event = Uuid::now_v7();
    let server = process_with(vec![registered(event, r#"{"userId": 7}"#)]).await;
    let admin = server.admin().await.unwrap();
    let account = json!({
        "username": "bob", "email": "bob@example.com", "password": PASSWORD, "role": "ADMIN",
    });
    admin
        .post("/auth/register", &account)
        .await
        .unwrap()
        .expect(201);
    let path = "/admin/templates/order-placed";
    let template = |subject: &str| {
        json!({"subject": subject, "text": "{{ id }}", "html": "<p>{{ id }}</p>",
               "sample": {"id": 1}})
    };
    for subject in ["Placed", "Ordered"] {
        let request = admin.request(Method::PUT, path).json(&template(subject));
        admin.send(request).await.unwrap().expect(200);
    }
    let request = admin.request(Method::DELETE, path);
    assert_eq!(admin.send(request).await.unwrap().status, 204);
    let letters = "/admin/dead-letters?group=activity";
    let letter = until(async || {
        let letters = admin.all(&format!("{letters}&limit=10")).await?;
        letters.first().cloned().context("a dead letter")
    });
    let letter = letter.await.unwrap();
    let payload = json!({"userId": event, "username": "mended", "email": "m@example.com",
                         "role": "DEVELOPER"});
    let replay = format!("/admin/dead-letters/{}/replay", id(&letter));
    let body = json!({"payload": payload});
    admin.post(&replay, &body).await.unwrap().expect(200);

    let bob = recorded(&admin, "&type=user.registered", 3).await;
    let bob = bob
        .iter()
        .find(|entry| entry["data"]["username"] == "bob")
        .unwrap();
    assert_eq!(bob["actor"]["username"], "admin");
    assert_eq!(bob["data"]["role"], "ADMIN");
    let saved = recorded(&admin, "&type=template.updated", 2).await;
    assert_eq!(saved[0]["subject"], "order-placed");
    assert_eq!(
        saved[0]["changes"],
        json!([change("subject", "Placed", "Ordered")])
    );
    assert_eq!(
        saved[1]["changes"][3],
        change("sample", Value::Null, json!({"id": 1}))
    );
    let deleted = recorded(&admin, "&type=template.deleted", 1).await;
    assert_eq!(
        deleted[0]["changes"][0],
        change("subject", "Ordered", Value::Null)
    );
    let replayed = recorded(&admin, "&type=dead_letter.*", 1).await;
    assert_eq!(replayed[0]["subject"], letter["id"]);
    assert_eq!(replayed[0]["data"]["group"], "activity");
    assert_eq!(
        replayed[0]["changes"],
        json!([
            change("state", "WAITING", "REPLAYED"),
            change("payload", json!({"userId": 7}), payload),
        ])
    );
    for entry in [bob, &saved[0], &deleted[0], &replayed[0]] {
        assert_eq!(entry["actor"]["username"], "admin");
        assert_eq!(entry["address"], "127.0.0.1");
    }
    // The activity feed, which everybody reads, has none of it.
    for entry in admin.feed().await.unwrap() {
        let kind = entry["type"].as_str().unwrap();
        assert!(
            !kind.starts_with("template.") && !kind.starts_with("dead_letter."),
            "{kind}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_evidence_of_a_release_verifies_offline_and_fails_when_it_is_edited() {
    let server = Process::start().await.unwrap();
    let team = Team::new(&server, 1).await.unwrap();
    let release = team.release("Spring", &[0]).await.unwrap();
    team.release("Autumn", &[0]).await.unwrap();
    let task = task_ids(&release).remove(0);
    for step in ["start", "complete"] {
        let path = format!("/tasks/{task}/{step}");
        team.developers[0].patch(&path).await.unwrap().expect(200);
    }
    let of_release = format!("&releaseId={}", id(&release));
    let listed = recorded(&team.admin, &of_release, 7).await;
    let path = format!("/releases/{}/evidence", id(&release));
    let evidence = team.admin.get(&path).await.unwrap().expect(200);
    let mut numbers = field(&listed, "number");
    numbers.reverse();
    assert_eq!(
        field(evidence["entries"].as_array().unwrap(), "number"),
        numbers
    );
    assert_eq!(evidence["count"], 7);
    let of_command = Options::default()
        .arg("audit")
        .arg("evidence")
        .arg(id(&release))
        .env("SLIPWAY_URL", &server.http)
        .env("SLIPWAY_USERNAME", "admin")
        .env("SLIPWAY_PASSWORD", ADMIN_PASSWORD);
    let (_, printed, errors) = process::run(server.data.path(), &of_command).await.unwrap();
    let printed: Value = serde_json::from_str(&printed).expect(&errors);
    assert_eq!(printed["entries"], evidence["entries"]);
    drop(server);

    let dir = tempfile::tempdir().unwrap();
    let verify = async |document: &Value, more: &[&str]| {
        let text = serde_json::to_string_pretty(document).unwrap();
        fs::write(dir.path().join("evidence.json"), text).unwrap();
        audit(
            dir.path(),
            &[&["verify", "evidence.json"][..], more].concat(),
        )
        .await
    };
    let head = |entry: &Value| {
        let (number, hash) = (&entry["number"], entry["hash"].as_str().unwrap());
        format!("{number}:{hash}")
    };
    let (code, output, errors) = verify(&evidence, &[]).await;
    assert_eq!(code, Some(0), "{errors}");
    assert!(output.starts_with("7 entries of the release"), "{output}");
    assert!(output.contains(&head(&evidence["head"])), "{output}");
    let noted = head(&evidence["entries"][2]);
    assert_eq!(verify(&evidence, &["--head", &noted]).await.0, Some(0));
    let other = noted.replace(['a', 'b', 'c'], "d");
    assert_eq!(verify(&evidence, &["--head", &other]).await.0, Some(1));

    let mut edited = evidence.clone();
    edited["entries"][5]["actorName"] = "somebody".into();
    let (code, _, errors) = verify(&edited, &[]).await;
    assert_eq!(code, Some(1), "{errors}");
    let number = &edited["entries"][5]["number"];
    assert!(
        errors.contains(&format!("entry {number} was changed")),
        "{errors}"
    );
    let mut shorter = evidence.clone();
    shorter["entries"].as_array_mut().unwrap().remove(3);
    shorter["count"] = 6.into();
    let (code, output, _) = verify(&shorter, &["--json"]).await;
    assert_eq!(code, Some(1));
    assert!(output.contains("\"verified\":false"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tampering_with_the_database_is_found_with_the_number_of_the_entry() {
    let server = Process::start().await.unwrap();
    let team = Team::new(&server, 3).await.unwrap();
    team.release("Spring", &[0, 1]).await.unwrap();
    recorded(&team.admin, "", 4 + 6).await;
    let dir = server.data.path().to_owned();

    // While the server runs, and after a clean stop.
    let (code, output, errors) = audit(&dir, &["verify"]).await;
    assert_eq!(code, Some(0), "{errors}");
    let head = output
        .lines()
        .nth(1)
        .unwrap()
        .strip_prefix("head ")
        .unwrap();
    assert!(
        output.starts_with("10 entries, the chain is whole\n"),
        "{output}"
    );
    server.signal("TERM").await.unwrap();
    let data = server.data.clone();
    server.ended().await.unwrap();
    let (code, output, errors) = audit(&dir, &["verify", "--head", head, "--json"]).await;
    assert_eq!(code, Some(0), "{errors}");
    let shown: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(
        (&shown["verified"], &shown["entries"]),
        (&json!(true), &json!(10))
    );
    let server = Process::start_on(data, &Options::default()).await.unwrap();
    let admin = server.admin().await.unwrap();
    let plan = json!({"name": "Autumn", "tasks": [{"title": "Build", "assignee": "dev-0"}]});
    admin.post("/releases", &plan).await.unwrap().expect(201);
    recorded(&admin, "", 10 + 4).await;
    let data = server.kill().await.unwrap();

    let database = rusqlite::Connection::open(dir.join("data/notify.db")).unwrap();
    let tamper = |sql: &str| database.execute_batch(sql).unwrap();
    tamper("CREATE TABLE kept AS SELECT * FROM audit");
    for (sql, reason) in [
        (
            "UPDATE audit SET body = json_set(body, '$.actorName', 'bob') WHERE id LIKE '%007'",
            "entry 7 was changed",
        ),
        (
            "DELETE FROM audit WHERE id LIKE '%005'",
            "entry 5 is missing",
        ),
        (
            "DELETE FROM audit WHERE id > '00000000000000000009'",
            "entry 10 is missing",
        ),
    ] {
        tamper(sql);
        let (code, _, errors) = audit(&dir, &["verify", "--head", head]).await;
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.contains(reason), "{errors}");
        tamper("DELETE FROM audit; INSERT INTO audit SELECT * FROM kept");
    }
    let (code, output, errors) = audit(&dir, &["verify", "--head", head]).await;
    assert_eq!(code, Some(0), "{errors}");
    assert!(output.starts_with("14 entries"), "{output}");
    let (code, _, errors) = audit(&dir, &["verify", "--data-dir", "nowhere"]).await;
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("there is no database"), "{errors}");
    drop(data);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_recorded_once_however_often_the_process_is_killed() {
    let mut server = Process::start().await.unwrap();
    let team = Team::new(&server, 1).await.unwrap();
    let mut accepted = 0;
    for round in 0..5 {
        let admin = server.admin().await.unwrap();
        // Killed while the last ones are on their way.
        for n in 0..20 {
            let plan = json!({"name": format!("{round}-{n}")});
            admin.post("/releases", &plan).await.unwrap().expect(201);
            accepted += 1;
        }
        let data = server.kill().await.unwrap();
        server = Process::start_on(data, &Options::default()).await.unwrap();
    }
    drop(team);
    let admin = server.admin().await.unwrap();
    let created = recorded(&admin, "&type=release.created", accepted).await;
    let names: BTreeSet<_> = created
        .iter()
        .map(|e| e["data"]["releaseName"].as_str())
        .collect();
    assert_eq!(names.len(), accepted);
    let all = recorded(&admin, "", accepted + 2).await;
    let ids: BTreeMap<_, _> = all.iter().map(|e| (e["eventId"].as_str(), e)).collect();
    assert_eq!(ids.len(), all.len());
    let (code, output, errors) = audit(server.data.path(), &["verify"]).await;
    assert_eq!(code, Some(0), "{errors}");
    assert!(
        output.starts_with(&format!("{} entries", all.len())),
        "{output}"
    );
}
