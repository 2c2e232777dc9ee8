//! Alerting of administrators: faults become incidents, and incidents are mailed. Mails are written
//! to files.

mod real_servers;

use std::{fs, path::Path};

use anyhow::Context as _;
use reqwest::Method;
use serde_json::{Value, json};
use slipway_tests::{Answer, Client, Options, Process, Team, until};

use crate::dead_letters::{garbage, process_with};

const INCIDENTS: &str = "/admin/incidents";
const HOOK: &str = "/hooks/alerts";
const SECRET: &str = "a-secret-of-webhooks";

/// The mails about something, oldest first.
fn mails(data: &Path, about: &str) -> Vec<String> {
    let Ok(dir) = fs::read_dir(data.join("data").join("mail")) else {
        return Vec::new();
    };
    let mut files: Vec<_> = dir.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let eml = files
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "eml"));
    let texts = eml.map(|path| fs::read_to_string(path).unwrap());
    texts
        .filter(|text| unfolded(text).contains(about))
        .collect()
}

/// The mail without its folded lines, in headers and in quoted-printable text.
fn unfolded(mail: &str) -> String {
    mail.replace("=\r\n", "").replace("\r\n ", " ")
}

fn subject(mail: &str) -> String {
    let mail = unfolded(mail);
    let line = mail.lines().find_map(|line| line.strip_prefix("Subject: "));
    line.unwrap_or_default().to_owned()
}

/// The newest mail about something, once there is one.
async fn mail(data: &Path, about: &str) -> String {
    let found = until(async || mails(data, about).pop().context("no mail")).await;
    found.unwrap()
}

async fn incidents(admin: &Client) -> Vec<Value> {
    let page = admin.get(INCIDENTS).await.unwrap().expect(200);
    page["items"].as_array().unwrap().clone()
}

/// The incident of this kind, once it is as wanted.
async fn incident(admin: &Client, kind: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let found = until(async || {
        let all = incidents(admin).await;
        let found = all.iter().find(|one| one["kind"] == kind && wanted(one));
        found.cloned().ok_or(all)
    });
    found.await.unwrap()
}

/// Whether an incident is closed, and administrators were mailed about its beginning and its end.
fn is_over_and_told(incident: &Value) -> bool {
    let emailed = incident["emailedAt"].as_array().unwrap();
    incident["state"] == "RESOLVED" && emailed.len() == 2
}

async fn send(process: &Process, secret: &str, body: &Value) -> Answer {
    let client = process.client();
    let request = client.request(Method::POST, HOOK).bearer_auth(secret);
    client.send(request.json(body)).await.unwrap()
}

fn alert(name: &str, status: &str) -> Value {
    json!({"status": status, "labels": {"alertname": name}, "annotations": {"summary": name},
           "startsAt": "2026-01-02T03:04:05Z", "endsAt": "0001-01-01T00:00:00Z",
           "fingerprint": name, "generatorURL": ""})
}

fn with_hook() -> Options {
    Options::default().env("SLIPWAY_WEBHOOK_SECRET", SECRET)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_an_incident_and_a_mail() {
    let process = process_with(vec![garbage()]).await;
    let admin = process.admin().await.unwrap();
    let emailed = |one: &Value| one["emailedAt"] != json!([]);
    let found = incident(&admin, "dead-letter", emailed).await;
    assert_eq!(
        (&found["state"], &found["count"]),
        (&json!("OPEN"), &json!(1))
    );
    assert_eq!(found["service"], "slipway");
    let mail = mail(process.data.path(), "activity").await;
    assert!(mail.contains("To: admin@localhost"), "{mail}");
    let subject = subject(&mail);
    assert!(
        subject.starts_with("Something is wrong: activity could not"),
        "{subject}"
    );

    // Every user can read the activity feed, so incidents are not in it.
    let feed = admin.feed().await.unwrap();
    assert!(feed.iter().all(|entry| entry["type"] != "system.error"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_alerts_is_one_mail_and_a_count() {
    let process = Process::start_with(&with_hook()).await.unwrap();
    let admin = process.admin().await.unwrap();
    let body = json!({"alerts": vec![alert("flood", "firing"); 100]});
    for _ in 0..100 {
        assert_eq!(send(&process, SECRET, &body).await.status, 204);
    }
    incident(&admin, "alert", |one| one["count"] == 10_000).await;
    let one = mail(process.data.path(), "flood").await;
    assert_eq!(subject(&one), "Something is wrong: flood");
    let other = json!({"alerts": [alert("other", "firing")]});
    assert_eq!(send(&process, SECRET, &other).await.status, 204);
    mail(process.data.path(), "other").await;
    // Any other mail about the flood would have been sent before this one.
    assert_eq!(mails(process.data.path(), "flood").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_alerts_cause_three_mails_and_a_digest() {
    const ALERTS: usize = 1_000;
    let process = Process::start_with(&with_hook()).await.unwrap();
    let admin = process.admin().await.unwrap();
    let names = (0..ALERTS).map(|n| alert(&format!("alert-{n}"), "firing"));
    let body = json!({"alerts": names.collect::<Vec<_>>()});
    // They are stored a hundred at a time, so all are accepted within one request's deadline.
    assert_eq!(send(&process, SECRET, &body).await.status, 204);
    let waiting = until(async || {
        let list = "/admin/notifications?status=QUEUED&limit=200";
        let items: Vec<Value> = admin.all(list).await?;
        anyhow::ensure!(items.len() == ALERTS - 3, "{} wait", items.len());
        Ok(items)
    });
    for one in waiting.await.unwrap() {
        assert!(one["reason"].as_str().unwrap().starts_with("GATHERED: "));
    }
    let incidents: Vec<Value> = admin.all("/admin/incidents?limit=200").await.unwrap();
    let emailed = incidents.iter().filter(|one| one["emailedAt"] != json!([]));
    assert_eq!(emailed.count(), 3, "what is gathered is not mailed yet");
    assert_eq!(mails(process.data.path(), "alert-").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_alert_is_mailed() {
    let process = Process::start_with(&with_hook()).await.unwrap();
    let admin = process.admin().await.unwrap();
    let fire = json!({"status": "firing", "alerts": [alert("disk", "firing")]});
    assert_eq!(send(&process, SECRET, &fire).await.status, 204);
    let open = incident(&admin, "alert", |one| one["state"] == "OPEN").await;
    assert_eq!(
        (&open["resolvedAt"], &open["summary"]),
        (&json!(null), &json!("disk"))
    );
    let over = json!({"status": "resolved", "alerts": [alert("disk", "resolved")]});
    assert_eq!(send(&process, SECRET, &over).await.status, 204);
    let over = incident(&admin, "alert", is_over_and_told).await;
    assert_eq!(over["id"], open["id"]);
    let emailed = until(async || {
        let mails = mails(process.data.path(), "disk");
        let mut subjects: Vec<_> = mails.iter().map(|mail| subject(mail)).collect();
        subjects.sort();
        match subjects == ["Over: disk", "Something is wrong: disk"] {
            true => Ok(()),
            false => Err(subjects),
        }
    });
    emailed.await.unwrap();
    let page = admin
        .get("/admin/incidents?state=OPEN")
        .await
        .unwrap()
        .expect(200);
    assert_eq!(page["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blank_alert_does_not_affect_the_others() {
    let process = Process::start_with(&with_hook()).await.unwrap();
    let admin = process.admin().await.unwrap();
    let mut blank = alert("blank", "firing");
    blank["annotations"] = json!({"summary": " "});
    let mut null = alert("null", "firing");
    null["annotations"] = Value::Null;
    // Without fingerprints, and with the same beginning, longer than a fingerprint may be.
    let long = |end: &str| json!({"labels": {"alertname": format!("{}{end}", "x".repeat(300))}});
    let alerts = [
        null,
        blank,
        json!({"status": "burning"}),
        long("a"),
        long("b"),
    ];
    let body = json!({ "alerts": alerts });
    assert_eq!(send(&process, SECRET, &body).await.status, 204);
    let all = incidents(&admin).await;
    let summaries = all.iter().filter(|one| one["kind"] == "alert");
    let mut summaries: Vec<_> = summaries
        .map(|one| one["summary"].as_str().unwrap())
        .collect();
    summaries.sort_unstable();
    let (a, b) = (long("a"), long("b"));
    let name = |alert: &Value| alert["labels"]["alertname"].as_str().unwrap().to_owned();
    let (a, b) = (name(&a), name(&b));
    assert_eq!(
        summaries,
        ["an alert without a name", "blank", "null", &a, &b]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hook_requires_its_secret_and_is_off_without_one() {
    let process = Process::start_with(&with_hook()).await.unwrap();
    let body = json!({"alerts": []});
    assert_eq!(send(&process, SECRET, &body).await.status, 204);
    for wrong in ["", "a-secret-of-webhookz", "a-secret"] {
        send(&process, wrong, &body)
            .await
            .refused(401, "UNAUTHENTICATED");
    }
    let admin = process.admin().await.unwrap();
    send(&process, admin.token(), &body)
        .await
        .refused(401, "UNAUTHENTICATED");
    for wrong in [json!({}), json!({"alerts": null}), json!({"alerts": {}})] {
        send(&process, SECRET, &wrong)
            .await
            .refused(400, "INVALID_ARGUMENT");
    }
    let off = Process::start().await.unwrap();
    send(&off, SECRET, &body).await.refused(404, "NOT_FOUND");
    send(&off, "", &body).await.refused(404, "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn incidents_are_for_admins() {
    let process = Process::start().await.unwrap();
    let team = Team::new(&process, 1).await.unwrap();
    let answer = team.developers[0].get(INCIDENTS).await.unwrap();
    answer.refused(403, "ADMIN_REQUIRED");
    for query in ["?state=LOST", "?limit=0", "?cursor=x", "?kind=a"] {
        let answer = team
            .admin
            .get(&format!("{INCIDENTS}{query}"))
            .await
            .unwrap();
        answer.refused(400, "INVALID_ARGUMENT");
    }
}
