//! Dead letters, end to end: an event that a consumer cannot handle is shown to admins, edited and
//! replayed to its consumer group.

use std::sync::Arc;

use anyhow::ensure;
use reqwest::Method;
use serde_json::{Value, json};
use slipway_bus::{Bus as _, EmbeddedBus, Record};
use slipway_runtime::clock::SystemClock;
use slipway_tests::{Answer, Client, Options, Process, Team, process, until};
use tempfile::TempDir;
use uuid::Uuid;

const DEAD_LETTERS: &str = "/admin/dead-letters";

/// An event of the type `user.registered`.
pub(crate) fn registered(event: Uuid, payload: &str) -> Record {
    let headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", &event.to_string()),
        ("ce_type", "user.registered"),
        ("ce_source", "/slipway/release-svc"),
        ("ce_subject", &event.to_string()),
        ("ce_time", "2026-01-02T03:04:05.678Z"),
        ("ce_dataschema", "user.registered/1"),
        ("slipway-actor", "system"),
    ];
    Record {
        topic: "slipway.users".into(),
        key: event.to_string(),
        headers: headers.map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
        value: payload.to_owned().into(),
    }
}

/// A record that is neither an event nor text.
pub(crate) fn garbage() -> Record {
    Record {
        topic: "slipway.releases".into(),
        key: "no id".into(),
        headers: vec![("x".into(), "y".into())],
        value: vec![0xff, 0xfe].into(),
    }
}

/// A process with these records on its bus.
pub(crate) async fn process_with(records: Vec<Record>) -> Process {
    let options = Options::default();
    let data = data_with(records, &options).await;
    Process::start_on(data, &options).await.unwrap()
}

/// The data directory of a process that was killed, with these records on its bus.
pub(crate) async fn data_with(records: Vec<Record>, options: &Options) -> Arc<TempDir> {
    let killed = Process::start_with(options).await.unwrap().kill().await;
    let data = killed.unwrap();
    let path = data.path().join("data").join("bus.db");
    let bus = EmbeddedBus::open(&path, Arc::new(SystemClock)).unwrap();
    bus.publish(records).await.unwrap();
    data
}

/// The dead letters of a query in the activity group, once there are this many. Other groups read
/// the same topics and have their own dead letters.
async fn letters(admin: &Client, query: &str, count: usize) -> Vec<Value> {
    let path = format!("{DEAD_LETTERS}?group=activity{query}");
    let found = until(async || {
        let page = admin.get(&path).await?.expect(200);
        let items = page["items"].as_array().unwrap();
        ensure!(items.len() == count, "{count} at {query}: {page:#}");
        Ok(items.clone())
    });
    found.await.unwrap()
}

fn path(letter: &Value) -> String {
    format!("{DEAD_LETTERS}/{}", letter["id"].as_str().unwrap())
}

async fn replay(admin: &Client, letter: &Value, body: &Value, key: &str) -> Answer {
    let request = admin.request(Method::POST, &format!("{}/replay", path(letter)));
    let request = request.header("idempotency-key", key).json(body);
    admin.send(request).await.unwrap()
}

fn payload(user: Uuid) -> Value {
    json!({"userId": user, "username": "mended", "email": "m@example.com", "role": "DEVELOPER"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_edited_and_replayed_to_its_group() {
    let event = Uuid::now_v7();
    let process = process_with(vec![registered(event, r#"{"userId": 7}"#)]).await;
    let admin = process.admin().await.unwrap();
    let listed = letters(&admin, "&state=WAITING&type=user.registered", 1).await;
    let letter = admin.get(&path(&listed[0])).await.unwrap().expect(200);
    assert_eq!(letter["cause"], "poison");
    assert_eq!(letter["payload"], r#"{"userId": 7}"#);
    assert_eq!(letter["payloadEncoding"], "utf-8");
    assert_eq!(letter["eventId"], event.to_string());
    assert_eq!(letter["history"].as_array().unwrap().len(), 1);
    assert_eq!(letter["acts"], json!([]));

    let wrong = json!({"payload": {"userId": 8}});
    let refused = replay(&admin, &letter, &wrong, "k-0").await;
    let problem = refused.refused(400, "INVALID_ARGUMENT");
    assert_eq!(problem["errors"][0]["field"], "payload");
    assert!(problem["detail"].to_string().contains("user.registered/1"));

    let mut large = payload(event);
    large["note"] = "x".repeat(1_020_000).into();
    let refused = replay(&admin, &letter, &json!({"payload": large}), "k-0").await;
    let problem = refused.refused(400, "INVALID_ARGUMENT");
    assert_eq!(problem["errors"][0]["field"], "payload");
    assert!(problem["detail"].to_string().contains("1000000 bytes"));

    let body = json!({"payload": payload(event)});
    let replayed = replay(&admin, &letter, &body, "k-1").await.expect(200);
    assert_eq!(replayed["state"], "REPLAYED");
    assert_eq!(replayed["acts"][0]["by"]["username"], "admin");
    let edited: Value =
        serde_json::from_str(replayed["acts"][0]["editedPayload"].as_str().unwrap()).unwrap();
    assert_eq!(edited, payload(event));
    let id = event.to_string();
    let seen = admin.seen(|entry| entry["id"] == id.as_str()).await;
    seen.unwrap();

    // Repeating the request returns the same answer; any other request is too late.
    let again = replay(&admin, &letter, &body, "k-1").await.expect(200);
    assert_eq!(again["acts"], replayed["acts"]);
    let other = replay(&admin, &letter, &json!({}), "k-1").await;
    other.refused(409, "IDEMPOTENCY_KEY_REUSED");
    let late = replay(&admin, &letter, &body, "k-2").await;
    late.refused(409, "ALREADY_REPLAYED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_replay_is_a_new_dead_letter_that_refers_to_the_first() {
    let process = process_with(vec![garbage()]).await;
    let admin = process.admin().await.unwrap();
    let first = letters(&admin, "&cause=undecodable", 1).await.remove(0);
    let mistyped = admin.get("/admin/dead-letters?cause=poisn").await.unwrap();
    assert_eq!(mistyped.expect(400)["errors"][0]["field"], "cause");
    assert_eq!(
        (&first["eventId"], &first["key"]),
        (&json!(""), &json!("no id"))
    );
    let shown = admin.get(&path(&first)).await.unwrap().expect(200);
    assert_eq!(shown["payloadEncoding"], "base64");
    assert_eq!(shown["payload"], "//4=");
    assert_eq!(shown["headers"], json!([{"name": "x", "value": "y"}]));

    // Of two concurrent replays, one succeeds. Neither has a body.
    let request = || admin.request(Method::POST, &format!("{}/replay", path(&first)));
    let (a, b) = tokio::join!(admin.send(request()), admin.send(request()));
    let mut answers = [a.unwrap(), b.unwrap()];
    answers.sort_by_key(|answer| answer.status);
    let [done, late] = answers;
    done.expect(200);
    late.refused(409, "ALREADY_REPLAYED");

    let second = letters(&admin, "&state=WAITING", 1).await.remove(0);
    assert_eq!(second["replayOf"], first["id"]);
    assert_eq!(second["attempts"], 2);
    let first = admin.get(&path(&first)).await.unwrap().expect(200);
    assert_eq!(first["returnedAs"], second["id"]);
    let second = admin.get(&path(&second)).await.unwrap().expect(200);
    assert_eq!(second["headers"], first["headers"]);
    assert_eq!(second["payload"], first["payload"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_dead_letters_are_replayed_after_a_dry_run() {
    let bad = (0..5).map(|_| registered(Uuid::now_v7(), "{}"));
    let process = process_with(bad.chain([garbage()]).collect()).await;
    let admin = process.admin().await.unwrap();
    letters(&admin, "", 6).await;
    let replay = |filter: Value, dry_run: bool| {
        let (admin, body) = (admin.clone(), json!({"filter": filter, "dryRun": dry_run}));
        async move {
            let answer = admin.post(&format!("{DEAD_LETTERS}/replay"), &body).await;
            answer.unwrap().expect(200)
        }
    };
    let filter = json!({"group": "activity", "type": "user.registered", "reason": "missing field"});
    let would = replay(filter.clone(), true).await;
    assert_eq!(
        (&would["count"], &would["dryRun"]),
        (&json!(5), &json!(true))
    );
    letters(&admin, "&state=WAITING", 6).await;
    let done = replay(filter, false).await;
    assert_eq!(done["ids"], would["ids"]);
    assert_eq!(done["more"], false);
    // All five fail again: eleven dead letters in total, five of them replayed.
    letters(&admin, "&state=REPLAYED", 5).await;
    letters(&admin, "", 11).await;
    let body = json!({"all": true, "dryRun": true});
    let all = admin
        .post(&format!("{DEAD_LETTERS}/replay"), &body)
        .await
        .unwrap();
    let all = all.expect(200);
    assert!(all["count"].as_u64() > Some(6), "of every group: {all}");
    let none = replay(json!({"to": "2020-01-01T00:00:00Z"}), false).await;
    assert_eq!(none["count"], 0);

    // The pages make up the whole list, in order.
    let paged = admin
        .all(&format!("{DEAD_LETTERS}?group=activity&limit=4"))
        .await;
    assert_eq!(paged.unwrap(), letters(&admin, "", 11).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_for_admins_and_unknown_input_is_refused() {
    let process = Process::start().await.unwrap();
    let team = Team::new(&process, 1).await.unwrap();
    let (admin, developer) = (&team.admin, &team.developers[0]);
    let nobody = format!("{DEAD_LETTERS}/{}", Uuid::now_v7());
    for path in [DEAD_LETTERS.to_owned(), nobody.clone()] {
        let answer = developer.get(&path).await.unwrap();
        answer.refused(403, "ADMIN_REQUIRED");
        let answer = process.client().get(&path).await.unwrap();
        answer.refused(401, "UNAUTHENTICATED");
    }
    let everything = json!({"filter": {}});
    let many = format!("{DEAD_LETTERS}/replay");
    let answer = developer.post(&many, &everything).await.unwrap();
    answer.refused(403, "ADMIN_REQUIRED");

    let answer = admin.get(&nobody).await.unwrap();
    answer.refused(404, "DEAD_LETTER_NOT_FOUND");
    // The groups are known once their topics are.
    let misspelt = until(async || {
        let answer = admin.get(&format!("{DEAD_LETTERS}?group=activty")).await?;
        let detail = answer.body["detail"].as_str().unwrap_or_default();
        let names_all = detail.starts_with("group must be a consumer group: activity, ");
        ensure!(answer.status == 400 && names_all, "{:#}", answer.body);
        Ok(())
    });
    misspelt.await.unwrap();
    for query in [
        "?state=LOST",
        "?group=activty",
        "?type=task.startd",
        "?from=yesterday",
        "?limit=0",
        "?cursor=x",
        "?grp=a",
    ] {
        let answer = admin.get(&format!("{DEAD_LETTERS}{query}")).await.unwrap();
        answer.refused(400, "INVALID_ARGUMENT");
    }
    for body in [
        json!({}),
        everything,
        json!({"filter": {"group": " "}, "all": false}),
        json!({"filter": {"group": "activity"}, "all": true}),
        json!({"filter": {"grp": "a"}}),
        json!({"filter": {"group": "activty"}}),
        json!({"filter": {"type": "task.startd"}}),
        json!({"filter": {"from": 7}}),
    ] {
        let answer = admin.post(&many, &body).await.unwrap();
        answer.refused(400, "INVALID_ARGUMENT");
    }
    let one = format!("{nobody}/replay");
    for body in [json!({"payload": 7}), json!({"payloda": {}})] {
        let answer = admin.post(&one, &body).await.unwrap();
        answer.refused(400, "INVALID_ARGUMENT");
    }
    let answer = admin.post(&one, &json!({})).await.unwrap();
    answer.refused(404, "DEAD_LETTER_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_can_be_handled_from_a_shell() {
    let event = Uuid::now_v7();
    let process = process_with(vec![registered(event, "{}"), garbage()]).await;
    let admin = process.admin().await.unwrap();
    letters(&admin, "", 2).await;
    let dir = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let options = args.iter().fold(Options::default(), |o, arg| o.arg(*arg));
        let options = options
            .env("SLIPWAY_URL", &process.http)
            .env("SLIPWAY_TOKEN", admin.token());
        let dir = dir.path().to_owned();
        async move {
            let (status, out, errors) = process::run(&dir, &options).await.unwrap();
            (status.code(), out, errors)
        }
    };
    let (code, out, errors) = run(&[
        "dead-letters",
        "list",
        "--json",
        "--cause",
        "poison",
        "--group",
        "activity",
    ])
    .await;
    assert_eq!((code, out.lines().count()), (Some(0), 1), "{errors}");
    let letter: Value = serde_json::from_str(&out).unwrap();
    let id = letter["id"].as_str().unwrap();
    let (_, out, _) = run(&["dead-letters", "list", "--group", "activity"]).await;
    assert_eq!(out.lines().count(), 2);
    assert!(out.contains(id), "{out}");
    let (_, out, _) = run(&["dead-letters", "show", id]).await;
    assert!(
        out.contains("user.registered") && out.contains("failed"),
        "{out}"
    );

    let (code, _, errors) = run(&["dead-letters", "replay"]).await;
    assert_eq!(code, Some(2), "{errors}");
    let (_, out, _) = run(&["dead-letters", "replay", "--all", "--dry-run"]).await;
    assert!(
        out.contains(" would be replayed\n") && out.contains(id),
        "{out}"
    );
    let (_, out, _) = run(&["dead-letters", "replay", "--group", "activity", "--dry-run"]).await;
    assert!(out.starts_with("2 would be replayed"), "{out}");
    let file = dir.path().join("mended.json");
    std::fs::write(&file, payload(event).to_string()).unwrap();
    let file = file.to_str().unwrap();
    let (code, out, errors) = run(&["dead-letters", "replay", id, "--payload", file]).await;
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(out, "replayed to activity (slipway.users)\n");
    let event = event.to_string();
    admin
        .seen(|entry| entry["id"] == event.as_str())
        .await
        .unwrap();
    let (code, _, errors) = run(&["dead-letters", "replay", id]).await;
    assert_eq!(code, Some(1));
    assert!(errors.contains("ALREADY_REPLAYED"), "{errors}");
}
