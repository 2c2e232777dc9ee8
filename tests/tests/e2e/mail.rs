//! Mails to people, sent by a real process.

mod kills;

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use anyhow::ensure;
use notify_svc::testing::{Encryption, SmtpServer};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use slipway_tests::{
    Client, Options, Process, Team,
    certificates::{Authority, Files},
    until,
};

/// Number of mentions of one person by another, in one discussion.
const MENTIONS: usize = 200;

/// The mails in a data directory, as texts.
/// The mails of a process without a mail server.
pub(crate) fn files(data: &Path) -> Vec<String> {
    let Ok(dir) = fs::read_dir(data.join("data/mail")) else {
        return Vec::new();
    };
    dir.map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}

#[tokio::test]
async fn without_a_mail_server_an_assignment_and_a_hotfix_are_files() {
    let options = Options::default()
        .env("SLIPWAY_PUBLIC_URL", "https://slipway.example.com/")
        .env("SLIPWAY_MAIL_FROM", "Release desk <desk@example.com>");
    let server = Process::start_with(&options).await.unwrap();
    let team = Team::new(&server, 1).await.unwrap();
    let release = team.release("Spring", &[0]).await.unwrap();
    let (task, developer) = (
        &slipway_tests::team::task_ids(&release)[0],
        &team.developers[0],
    );
    // Each is waited for: what is not true any more is not mailed.
    mail(&server, "Task for you: task 0 (Spring)", "dev-0").await;
    for step in ["start", "complete"] {
        let done = developer.patch(&format!("/tasks/{task}/{step}")).await;
        let _ = done.unwrap().expect(200);
    }
    titled(&server, "All tasks are completed: Spring").await;
    let release = format!("/releases/{}", slipway_tests::team::id(&release));
    let done = team.admin.patch(&format!("{release}/complete")).await;
    let _ = done.unwrap().expect(200);
    let hotfix = serde_json::json!({"title": "Repair <it>", "assignee": "dev-0"});
    let added = team.admin.post(&format!("{release}/tasks"), &hotfix).await;
    let _ = added.unwrap().expect(201);

    let mails = until(async || <[String; 3]>::try_from(files(server.data.path())));
    let mails = mails.await.unwrap();
    let about = |subject: &str| {
        let subject = format!("Subject: {subject} (Spring)\r\n");
        mails.iter().find(|mail| mail.contains(&subject)).unwrap()
    };
    for subject in ["Task for you: task 0", "Hotfix for you: Repair <it>"] {
        let mail = about(subject);
        assert!(
            mail.contains("From: \"Release desk\" <desk@example.com>\r\n"),
            "{mail}"
        );
        assert!(mail.contains("To: dev-0@example.com\r\n"), "{mail}");
        assert!(
            mail.contains("https://slipway.example.com/tasks/"),
            "{mail}"
        );
    }
}

/// The mail with this subject, once it exists.
async fn titled(server: &Process, subject: &str) -> String {
    let subject = format!("Subject: {subject}\r\n");
    let mail = until(async || {
        let mails = files(server.data.path());
        let found = mails.iter().find(|mail| mail.contains(&subject));
        found.cloned().ok_or(mails)
    });
    mail.await.unwrap()
}

/// The mail with this subject to this address, once it exists.
async fn mail(server: &Process, subject: &str, to: &str) -> String {
    let (subject, to) = (
        format!("Subject: {subject}\r\n"),
        format!("To: {to}@example.com\r\n"),
    );
    let mail = until(async || {
        let mails = files(server.data.path());
        let is_it = |mail: &&String| mail.contains(&subject) && mail.contains(&to);
        mails.iter().find(is_it).cloned().ok_or(mails)
    });
    mail.await.unwrap()
}

#[tokio::test]
async fn owners_are_mailed_on_their_turn_and_the_admin_at_the_end() {
    let server = Process::start().await.unwrap();
    let team = Team::new(&server, 2).await.unwrap();
    let task = |n: u32, owner: u32| {
        serde_json::json!({
            "title": format!("task {n}"), "assignee": format!("dev-{owner}"),
            "orderIndex": 10 * n, "dueAt": "2030-01-05T16:00:00Z",
        })
    };
    let body = serde_json::json!({"name": "Spring", "tasks": [task(1, 0), task(2, 1)]});
    let release = team.admin.post("/releases", &body).await.unwrap();
    let release = release.expect(201);

    let first = mail(&server, "Task for you: task 1 (Spring)", "dev-0").await;
    let link = format!("{}/tasks/", server.http);
    assert!(first.contains(&link), "the port that was chosen: {first}");
    let second = mail(&server, "Task for you: task 2 (Spring)", "dev-1").await;
    for (mail, place, start) in [
        (&first, "It is number 1 in", "It can start now"),
        (
            &second,
            "It is number 2 in",
            "It can start when the task in",
        ),
    ] {
        assert!(mail.contains(place) && mail.contains(start), "{mail}");
        assert!(mail.contains("due Saturday, 5 January 2030, 16:00 UTC"));
    }
    let tasks = slipway_tests::team::task_ids(&release);
    let complete = async |n: usize| {
        for step in ["start", "complete"] {
            let path = format!("/tasks/{}/{step}", tasks[n]);
            let done = team.developers[n].patch(&path).await;
            let _ = done.unwrap().expect(200);
        }
    };
    complete(0).await;
    // Once the task is started, this is not mailed any more.
    let turn = mail(&server, "Your turn: task 2 (Spring)", "dev-1").await;
    assert!(turn.contains("It can start now"), "{turn}");
    assert!(turn.contains("due Saturday, 5 January 2030, 16:00 UTC"));
    complete(1).await;
    let admin = titled(&server, "All tasks are completed: Spring").await;
    assert!(admin.contains("dev-1 completed the last one"), "{admin}");
    let written = files(server.data.path());
    let turns = written.iter().filter(|m| m.contains("Subject: Your turn"));
    assert_eq!(turns.count(), 1, "the first was told that it can start");
}

#[tokio::test]
async fn with_assignments_off_the_first_turn_is_mailed_too() {
    let server = Process::start().await.unwrap();
    let team = Team::new(&server, 1).await.unwrap();
    let muted = serde_json::json!({"types": {"task.assigned": false}});
    let request = team.developers[0].request(reqwest::Method::PUT, "/preferences");
    let chosen = team.developers[0].send(request.json(&muted)).await.unwrap();
    let _ = chosen.expect(200);
    team.release("Spring", &[0]).await.unwrap();
    mail(&server, "Your turn: task 0 (Spring)", "dev-0").await;
}

#[tokio::test]
async fn a_second_hotfix_is_mailed_as_a_hotfix() {
    let server = Process::start().await.unwrap();
    let team = Team::new(&server, 2).await.unwrap();
    let release = team.release("Spring", &[0]).await.unwrap();
    let task = &slipway_tests::team::task_ids(&release)[0];
    for step in ["start", "complete"] {
        let path = format!("/tasks/{task}/{step}");
        let _ = team.developers[0].patch(&path).await.unwrap().expect(200);
    }
    let release = format!("/releases/{}", slipway_tests::team::id(&release));
    let done = team.admin.patch(&format!("{release}/complete")).await;
    let _ = done.unwrap().expect(200);
    for n in 0..2 {
        let body = serde_json::json!({
            "title": format!("fix {n}"), "assignee": format!("dev-{n}"),
            "dueAt": "2030-01-05T16:00:00Z",
        });
        let added = team.admin.post(&format!("{release}/tasks"), &body).await;
        let _ = added.unwrap().expect(201);
    }
    for (n, start) in ["It can start now", "It can start when the task in"]
        .iter()
        .enumerate()
    {
        let subject = format!("Hotfix for you: fix {n} (Spring)");
        let mail = mail(&server, &subject, &format!("dev-{n}")).await;
        assert!(mail.contains(start), "{mail}");
        assert!(mail.contains("due Saturday, 5 January 2030, 16:00 UTC"));
    }
}

#[tokio::test]
async fn the_owner_of_a_task_is_mailed_about_comments() {
    let server = Process::start().await.unwrap();
    let team = Team::new(&server, 2).await.unwrap();
    let release = team.release("Spring", &[0]).await.unwrap();
    let task = &slipway_tests::team::task_ids(&release)[0];
    let comments = format!("/tasks/{task}/comments");
    for (by, content) in [(0, "Mine."), (1, "How far is it?"), (1, "@dev-0?")] {
        let body = serde_json::json!({"content": content});
        let posted = team.developers[by].post(&comments, &body).await;
        let _ = posted.unwrap().expect(201);
    }
    let comment = mail(&server, "dev-1 commented on your task: task 0", "dev-0").await;
    assert!(comment.contains("How far is it?"), "{comment}");
    mail(&server, "dev-1 mentioned you: task 0", "dev-0").await;
    let mails = files(server.data.path());
    let on_the_task = mails
        .iter()
        .filter(|mail| mail.replace("=\r\n", "").contains("/comments"));
    assert_eq!(on_the_task.count(), 2, "of the own comment there is none");
}

/// TLS settings of a mail server with this certificate.
fn speaks_tls(files: &Files) -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_file(&files.cert).unwrap();
    let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key);
    Arc::new(config.unwrap())
}

/// The first attempt to send the only mail, as administrators see it.
async fn first_attempt(admin: &Client) -> serde_json::Value {
    let attempt = until(async || {
        let log = admin.get("/admin/notifications").await?.expect(200);
        let attempt = &log["items"][0]["attempts"][0];
        ensure!(attempt.is_object(), "{log:#}");
        Ok(attempt.clone())
    });
    attempt.await.unwrap()
}

#[tokio::test]
async fn the_mail_servers_ca_is_checked_and_the_password_is_not_logged() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new("of the mail server").unwrap();
    let files = authority.write(&dir.path().join("right")).unwrap();
    let other = Authority::new("of somebody else").unwrap();
    let wrong = other.write(&dir.path().join("wrong")).unwrap().ca;
    let config = speaks_tls(&files);
    for (encryption, scheme, query) in [
        (Encryption::Wrapped(config.clone()), "smtps", ""),
        (
            Encryption::StartTls(config.clone()),
            "smtp",
            "?tls=required",
        ),
    ] {
        let mails = SmtpServer::start_encrypted(encryption).await;
        let address = format!("localhost:{}", mails.address().port());
        let url = format!("{scheme}://desk:hunter2@{address}{query}");
        for (ca, outcome) in [(&wrong, "UNREACHABLE"), (&files.ca, "ACCEPTED")] {
            let options = Options::default()
                .env("SLIPWAY_SMTP_URL", &url)
                .env("SLIPWAY_SMTP_CA_FILE", ca.to_str().unwrap())
                .env("SLIPWAY_LOG", "debug");
            let server = Process::start_with(&options).await.unwrap();
            let team = Team::new(&server, 1).await.unwrap();
            team.release("Spring", &[0]).await.unwrap();
            let attempt = first_attempt(&team.admin).await;
            assert_eq!(attempt["outcome"], outcome, "{attempt}");
            let trusted = outcome == "ACCEPTED";
            let answer = attempt["answer"].as_str().unwrap();
            assert_eq!(
                answer.contains("invalid peer certificate"),
                !trusted,
                "{answer}"
            );
            assert_eq!(mails.count(), usize::from(trusted));
            assert_eq!(mails.credentials().is_empty(), !trusted);
            server.signal("TERM").await.unwrap();
            let (status, log) = server.ended().await.unwrap();
            assert!(status.success());
            assert!(
                !log.contains("hunter2") && !answer.contains("hunter2"),
                "{log}"
            );
            assert!(
                trusted || log.contains("mail server unreachable"),
                "it is logged: {log}"
            );
        }
    }
}

/// All queued notifications of a client, once there are this many.
async fn waiting(client: &Client, count: usize) -> Vec<serde_json::Value> {
    let found = until(async || {
        let list = "/notifications?status=QUEUED&limit=200";
        let page = client.get(list).await?.expect(200);
        let items = page["items"].as_array().unwrap().clone();
        ensure!(items.len() == count, "{} wait", items.len());
        Ok(items)
    });
    found.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_mentions_are_three_mails_and_a_digest() {
    let server = Process::start().await.unwrap();
    let team = Team::new(&server, 2).await.unwrap();
    let release = team.release("Spring", &[0]).await.unwrap();
    let task = &slipway_tests::team::task_ids(&release)[0];
    let comments = format!("/tasks/{task}/comments");
    let mention = serde_json::json!({"content": "@dev-1 look at this"});
    for _ in 0..MENTIONS {
        let posted = team.developers[0].post(&comments, &mention).await;
        let _ = posted.unwrap().expect(201);
    }
    let waiting = waiting(&team.developers[1], MENTIONS - 3).await;
    for one in waiting {
        assert!(one["reason"].as_str().unwrap().starts_with("GATHERED: "));
        assert!(
            one["dueAt"].is_string() && one["digestId"].is_null(),
            "{one}"
        );
    }
    let mails = files(server.data.path());
    let to_her = mails
        .iter()
        .filter(|mail| mail.contains("To: dev-1@example.com"));
    assert!(to_her.count() <= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn gathered_notifications_are_sent_as_one_mail() {
    let options = Options::default().env("SLIPWAY_MAIL_GATHER", "10s");
    let server = Process::start_with(&options).await.unwrap();
    let team = Team::new(&server, 2).await.unwrap();
    let release = team.release("Spring", &[0]).await.unwrap();
    let task = &slipway_tests::team::task_ids(&release)[0];
    let comments = format!("/tasks/{task}/comments");
    let mention = serde_json::json!({"content": "@dev-1 look at this"});
    for _ in 0..8 {
        let posted = team.developers[0].post(&comments, &mention).await;
        let _ = posted.unwrap().expect(201);
    }
    let sent = until(async || {
        let list = "/notifications?status=SENT&sort=oldest";
        let page = team.developers[1].get(list).await?.expect(200);
        let items = page["items"].as_array().unwrap().clone();
        ensure!(items.len() == 8, "{} are sent", items.len());
        Ok(items)
    });
    let sent = sent.await.unwrap();
    let mails: BTreeSet<_> = sent
        .iter()
        .map(|one| one["digestId"].as_str().or(one["id"].as_str()).unwrap())
        .collect();
    let written = files(server.data.path());
    let to_her = written
        .iter()
        .filter(|mail| mail.contains("To: dev-1@example.com"));
    assert_eq!(
        to_her.count(),
        mails.len(),
        "the log has the mail of each notification"
    );
    assert!(mails.len() < sent.len(), "some came together");
    for id in mails {
        let id = format!("Message-ID: <{id}@localhost>");
        assert!(written.iter().any(|mail| mail.contains(&id)), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_plan_is_one_mail_for_each_person() {
    let server = Process::start().await.unwrap();
    let team = Team::new(&server, 7).await.unwrap();
    let owners: Vec<_> = (0..37).map(|n| n % 7).collect();
    team.release("Kubernetes 1.31", &owners).await.unwrap();
    for (n, developer) in team.developers.iter().enumerate() {
        let tasks = owners.iter().filter(|owner| **owner == n).count();
        let sent = until(async || {
            let page = developer
                .get("/notifications?status=SENT")
                .await?
                .expect(200);
            let items = page["items"].as_array().unwrap().clone();
            ensure!(items.len() == tasks, "{} are sent", items.len());
            Ok(items)
        });
        let sent = sent.await.unwrap();
        let digests: BTreeSet<_> = sent.iter().map(|one| one["digestId"].as_str()).collect();
        assert_eq!(digests.len(), 1, "all in one mail: {digests:?}");
        let mails = files(server.data.path());
        let to = format!("To: dev-{n}@example.com\r\n");
        let own: Vec<_> = mails.iter().filter(|mail| mail.contains(&to)).collect();
        let [mail] = own.as_slice() else {
            panic!("{} mails to dev-{n}", own.len());
        };
        let subject = format!("Subject: {tasks} tasks for you (Kubernetes 1.31)");
        assert!(mail.contains(&subject), "{mail}");
    }
}
