//! A journey of two developers and an admin through everything that leaves a secret or a text of
//! somebody behind. Tests look at what remains: in the logs, in the databases.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use notify_svc::testing::{Reaction, SmtpServer};
use reqwest::Method;
use serde_json::{Value, json};
use slipway_proto::forum::v1::{PostCommentRequest, forum_service_client::ForumServiceClient};
use slipway_tests::{
    ADMIN_PASSWORD, Client, Options, Process, Team,
    plain::HTML,
    process::SECRET,
    team::{PASSWORD, id, task_ids},
    until,
};
use tempfile::TempDir;
use tonic::transport::Endpoint;
use uuid::Uuid;

use crate::{
    dead_letters::{data_with, registered},
    provider::{
        fake::{self, Fake},
        somebody_signs_in,
    },
};

const KEY: &str = "an-idempotency-key-of-amber";
const WRONG_PASSWORD: &str = "not her password but beige";
const MISPLACED_PASSWORD: &str = "typed-into-the-wrong-field-cerise";
const WEAK_PASSWORD: &str = "denim";
const WEBHOOK_SECRET: &str = "a-webhook-secret-of-ebony";
const WRONG_WEBHOOK_SECRET: &str = "no-webhook-secret-but-fuchsia";
const DESCRIPTION: &str = "the description says gamboge";
const REASON: &str = "the reason says heliotrope";
const NO_TIME: &str = "no time but indigo";
const COMMENT: &str = "the comment says jade";
const REPLY: &str = "the reply says khaki";
const CALLED: &str = "the comment by gRPC says lavender";
const QUESTION: &str = "What is next for me, in magenta?";
const TITLE: &str = "a conversation about nankeen";
const ANNOUNCED: &str = "the announced event says ochre";
const ALERT: &str = "the alert says puce";
const POISON: &str = "the poisoned event says russet";
const BOUNCE: &str = "550 5.1.1 <dev-1@example.com> says sepia";

/// What must be in no log, each with what it is. Of what holds another one, the shorter is enough.
const SECRETS: &[(&str, &str)] = &[
    ("a token", "eyJ"),
    ("a token for programs", "slp_"),
    ("the secret of a link", "sll_"),
    ("the key that signs tokens", "MC4CAQAwBQYDK2VwBCIEI"),
    ("a password hash", "$argon2"),
    ("the admin's password", ADMIN_PASSWORD),
    ("a developer's password", PASSWORD),
    ("a wrong password", WRONG_PASSWORD),
    ("a password in the wrong field", MISPLACED_PASSWORD),
    ("a refused password", WEAK_PASSWORD),
    ("the secret of the services", SECRET),
    ("the secret for the identity provider", fake::SECRET),
    ("the secret of webhooks", WEBHOOK_SECRET),
    ("a wrong secret of webhooks", WRONG_WEBHOOK_SECRET),
    ("an idempotency key", KEY),
    ("an address of a developer", "@example.com"),
    ("a new address of a developer", "@other.example"),
    ("the address of the admin", "@localhost"),
    ("a task's description", DESCRIPTION),
    ("a reason", REASON),
    ("a value that was refused", NO_TIME),
    ("a comment", COMMENT),
    ("a reply", REPLY),
    ("a comment by gRPC", CALLED),
    ("a question", QUESTION),
    ("a title of a conversation", TITLE),
    ("the data of an announced event", ANNOUNCED),
    ("the text of an alert", ALERT),
    ("the payload of a dead letter", POISON),
    ("what the mail server said", BOUNCE),
];

/// What a journey left behind.
pub(crate) struct Journey {
    /// The log of the services, and that of the gateway.
    pub(crate) log: String,
    /// The data directory of the services.
    pub(crate) data: Arc<TempDir>,
}

impl Journey {
    /// The secrets and texts that the log has, each with the line.
    pub(crate) fn leaks(&self) -> Vec<String> {
        let found = SECRETS.iter().filter_map(|(what, secret)| {
            let line = self.log.lines().find(|line| line.contains(secret))?;
            Some(format!("{what}: {line}"))
        });
        found.collect()
    }
}

/// Makes the journey, with a gateway in a process of its own, and logs of this level.
pub(crate) async fn make(level: &str) -> Journey {
    let mails = SmtpServer::start().await;
    mails.will("dev-1@example.com", [Reaction::Recipient(BOUNCE)]);
    let keys = tempfile::tempdir().unwrap();
    let logging = |options: Options| {
        let options = options.env("SLIPWAY_LOG", level);
        options.of_the_mesh().env("SLIPWAY_ACCESS_LOG", "true")
    };
    let provider = Fake::start().await.unwrap();
    let options = logging(Options::default().signing(keys.path()).unwrap());
    let options = provider
        .adds_to(options)
        .env("SLIPWAY_SMTP_URL", mails.url());
    let poison = json!({"userId": Uuid::nil(), "username": "x", "email": "x@example.com",
        "role": POISON});
    let poison = registered(Uuid::now_v7(), &poison.to_string());
    let data = data_with(vec![poison], &options).await;
    let services = Process::start_on(data, &options).await.unwrap();
    let options = logging(Options::default().gateway(&services.grpc))
        .env("SLIPWAY_WEBHOOK_SECRET", WEBHOOK_SECRET);
    let gateway = Process::start_with(&options).await.unwrap();

    let anybody = gateway.client();
    // The gateway connects in the background.
    until(async || anybody.login("admin", ADMIN_PASSWORD).await)
        .await
        .unwrap();
    let team = Team::at(&anybody, 2).await.unwrap();
    signs_in_wrong(&anybody).await;
    lets_a_program_in(&team).await;
    let tasks = works(&team).await;
    talks(&team, &tasks[0]).await;
    calls(&services, &team.developers[0], &tasks[0]).await;
    asks(&team.developers[0]).await;
    announces(&team).await;
    alerts(&anybody, &team.admin).await;
    repairs(&team.admin).await;
    administers(&team.admin).await;
    invites(&team, &anybody, &mails).await;
    somebody_signs_in(&gateway, &provider).await.unwrap();
    hears_of_everything(&team).await;

    let mut log = String::new();
    let data = Arc::clone(&services.data);
    for process in [gateway, services] {
        process.signal("TERM").await.unwrap();
        log += &process.ended().await.unwrap().1;
    }
    Journey { log, data }
}

async fn post(by: &Client, path: &str, body: &Value) -> slipway_tests::Answer {
    let request = by.request(Method::POST, path);
    let request = request.header("idempotency-key", KEY).json(body);
    by.send(request).await.unwrap()
}

async fn put(by: &Client, path: &str, body: &Value) {
    let request = by.request(Method::PUT, path).json(body);
    let answer = by.send(request).await.unwrap();
    let _ = answer.expect(200);
}

async fn signs_in_wrong(anybody: &Client) {
    for (name, password) in [("dev-0", WRONG_PASSWORD), (MISPLACED_PASSWORD, "")] {
        let body = json!({"username": name, "password": password});
        let refused = anybody.post("/auth/login", &body).await.unwrap();
        assert!([400, 401].contains(&refused.status), "{}", refused.body);
    }
    let body = json!({"username": "eve", "email": "eve@example.com", "password": WEAK_PASSWORD});
    let refused = anybody.post("/auth/register", &body).await.unwrap();
    let _ = refused.expect(400);
    let forged = anybody.with_token("eyJhbGciOiJIUzI1NiJ9.e30.taupe");
    let refused = forged.get("/tasks/my").await.unwrap();
    refused.refused(401, "INVALID_TOKEN");
}

/// Makes a token for a program, which uses it, and revokes it while the program goes on.
async fn lets_a_program_in(team: &Team) {
    let owner = &team.developers[0];
    let body = json!({"name": "a program of maroon", "scope": "WORK"});
    let token = owner.post("/auth/tokens", &body).await.unwrap().expect(201);
    let text = token["token"].as_str().unwrap();
    let program = owner.with_token(text);
    program.get("/tasks/my").await.unwrap().expect(200);
    let refused = program.post("/releases", &json!({"name": "a"})).await;
    refused.unwrap().refused(403, "ADMIN_REQUIRED");
    let altered = owner.with_token(&format!("{text}A"));
    let refused = altered.get("/tasks/my").await.unwrap();
    refused.refused(401, "INVALID_TOKEN");
    let path = format!("/auth/tokens/{}", id(&token));
    let revoke = owner.request(Method::DELETE, &path);
    owner.send(revoke).await.unwrap().expect(204);
    until(async || {
        let refused = program.get("/tasks/my").await?;
        ensure!(refused.status == 401, "{}", refused.body);
        Ok(())
    })
    .await
    .unwrap();
}

/// Plans a release, and works on it; returns its tasks.
async fn works(team: &Team) -> Vec<String> {
    let plan = |due: &str| {
        json!({"name": "Journey", "tasks": [
            {"title": "first", "description": DESCRIPTION, "assignee": "dev-0", "dueAt": due},
            {"title": "second", "assignee": "dev-1"},
        ]})
    };
    let refused = post(&team.admin, "/releases", &plan(NO_TIME)).await;
    let _ = refused.expect(400);
    let release = post(&team.admin, "/releases", &plan("2030-01-01T12:00:00Z")).await;
    let tasks = task_ids(&release.expect(201));
    let [first, second] = &team.developers[..] else {
        panic!("a team of two");
    };
    let start = format!("/tasks/{}/start", tasks[0]);
    let _ = first.patch(&start).await.unwrap().expect(200);
    let pause = first.request(Method::PATCH, &format!("/tasks/{}/pause", tasks[0]));
    let paused = first.send(pause.json(&json!({"reason": REASON}))).await;
    let _ = paused.unwrap().expect(200);
    for step in ["start", "complete"] {
        let path = format!("/tasks/{}/{step}", tasks[0]);
        let _ = first.patch(&path).await.unwrap().expect(200);
    }
    let start = format!("/tasks/{}/start", tasks[1]);
    let _ = second.patch(&start).await.unwrap().expect(200);
    tasks
}

async fn talks(team: &Team, task: &str) {
    let body = json!({"content": format!("{COMMENT}, @dev-1")});
    let comments = format!("/tasks/{task}/comments");
    let comment = post(&team.developers[0], &comments, &body)
        .await
        .expect(201);
    let reply = format!("/comments/{}/reply", id(&comment));
    let body = json!({"content": REPLY});
    let _ = post(&team.developers[1], &reply, &body).await.expect(201);
}

/// The same as a program that speaks gRPC.
async fn calls(services: &Process, by: &Client, task: &str) {
    let channel = Endpoint::from_shared(services.grpc.clone()).unwrap();
    let mut forum = ForumServiceClient::new(channel.connect().await.unwrap());
    let mut request = tonic::Request::new(PostCommentRequest {
        task_id: task.to_owned(),
        content: CALLED.to_owned(),
    });
    let bearer = format!("Bearer {}", by.token());
    let metadata = request.metadata_mut();
    metadata.insert("authorization", bearer.parse().unwrap());
    metadata.insert("idempotency-key", KEY.parse().unwrap());
    let refused = forum.post_comment(request).await;
    // REST and gRPC are one API: the key was another comment's.
    let refused = refused.unwrap_err();
    assert!(refused.message().contains("key"), "{refused}");
    let mut request = tonic::Request::new(PostCommentRequest {
        task_id: task.to_owned(),
        content: CALLED.to_owned(),
    });
    request
        .metadata_mut()
        .insert("authorization", bearer.parse().unwrap());
    forum.post_comment(request).await.unwrap();
}

/// Asks twice, so that the first turn is no longer the newest.
async fn asks(developer: &Client) {
    let body = json!({"title": TITLE});
    let session = post(developer, "/chat/session", &body).await.expect(201);
    let session = session["sessionId"].as_str().unwrap();
    let path = format!("/chat/{session}/message");
    let body = json!({"message": QUESTION});
    let _ = post(developer, &path, &body).await.expect(200);
    let _ = developer.post(&path, &body).await.unwrap().expect(200);
}

/// Makes a template, twice, and announces an event of its type.
async fn announces(team: &Team) {
    let preferences = json!({"timeZone": "Europe/Berlin"});
    put(&team.developers[0], "/preferences", &preferences).await;
    let read = json!({"sequence": 1, "notificationId": "01890a5d-ac96-774b-bcce-b302099a8057"});
    put(&team.developers[0], "/read-position", &read).await;
    for subject in ["An order", "Your order"] {
        let template = json!({"subject": subject, "text": "It says {{ what }}.",
            "html": "<p>It says {{ what }}.</p>", "sample": {"what": "nothing"}});
        put(&team.admin, "/admin/templates/order-placed", &template).await;
    }
    let event = json!({"recipients": ["dev-0"], "data": {"what": ANNOUNCED}});
    let accepted = post(&team.admin, "/events/order-placed", &event).await;
    let _ = accepted.expect(202);
}

/// An alert of Alertmanager becomes an incident.
async fn alerts(anybody: &Client, admin: &Client) {
    let alert = json!({"alerts": [{"status": "firing", "labels": {"alertname": "Colour"},
        "annotations": {"summary": ALERT}, "startsAt": "2026-01-02T03:04:05Z",
        "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "colour", "generatorURL": ""}]});
    for (secret, status) in [(WRONG_WEBHOOK_SECRET, 401), (WEBHOOK_SECRET, 204)] {
        let request = anybody.request(Method::POST, "/hooks/alerts");
        let request = request.bearer_auth(secret).json(&alert);
        let answer = anybody.send(request).await.unwrap();
        let _ = answer.expect(status);
    }
    let mailed = until(async || {
        let page = admin.get("/admin/incidents?state=OPEN").await?.expect(200);
        let mut items = page["items"].as_array().unwrap().iter();
        let mailed = items.any(|one| one["summary"] == ALERT && one["emailedAt"] != json!([]));
        ensure!(mailed, "{page:#}");
        Ok(())
    });
    mailed.await.unwrap();
}

/// Replays the dead letter as it is, so that it becomes another one.
async fn repairs(admin: &Client) {
    let letters = async |count: usize| {
        let found = until(async || {
            let path = "/admin/dead-letters?group=activity";
            let page = admin.get(path).await?.expect(200);
            let items = page["items"].as_array().unwrap();
            ensure!(items.len() == count, "{page:#}");
            Ok(items.clone())
        });
        found.await.unwrap()
    };
    let letter = letters(1).await.remove(0);
    let replay = format!("/admin/dead-letters/{}/replay", id(&letter));
    let _ = post(admin, &replay, &json!({})).await.expect(200);
    letters(2).await;
}

/// Invites somebody, who opens the link of the mail and tries it with a weak password. A developer
/// gets another name and asks for another address.
async fn invites(team: &Team, anybody: &Client, mails: &SmtpServer) {
    const ADDRESS: &str = "invited@example.com";
    let (admin, developer) = (&team.admin, &team.developers[0]);
    let body = json!({"username": "invited", "email": ADDRESS, "invite": true});
    let invited = admin.post("/admin/users", &body).await.unwrap();
    let _ = invited.expect(201);
    let mail = until(async || {
        let taken = mails.taken().into_iter().find(|mail| mail.to == ADDRESS);
        taken.map(|mail| mail.text).context("no mail yet")
    });
    let mail = mail.await.unwrap().replace("=\r\n", "").replace("=3D", "=");
    let (_, secret) = mail.split_once("?token=").unwrap();
    let secret = secret.split_whitespace().next().unwrap();
    let page = format!("/invitation?token={secret}");
    let page = anybody.request(Method::GET, &page).header("accept", HTML);
    let page = anybody.send(page).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.text);
    let body =
        json!({"displayName": "Ada", "email": "dev-0@other.example", "currentPassword": PASSWORD});
    let change = developer.request(Method::PATCH, "/auth/me").json(&body);
    let _ = developer.send(change).await.unwrap().expect(200);
    let body = json!({"token": secret, "newPassword": WEAK_PASSWORD});
    let refused = anybody.post("/auth/password/reset", &body).await;
    let _ = refused.unwrap().expect(400);
}

/// Makes a second admin, and a developer of it.
async fn administers(admin: &Client) {
    let body = json!({
        "username": "deputy", "email": "deputy@example.com", "password": PASSWORD, "role": "ADMIN",
    });
    let deputy = post(admin, "/admin/users", &body).await.expect(201);
    let request = admin.request(Method::PATCH, &format!("/admin/users/{}", id(&deputy)));
    let request = request.json(&json!({"role": "DEVELOPER"}));
    let _ = admin.send(request).await.unwrap().expect(200);
}

/// Waits until each mail is sent or has bounced, and the audit trail has everything.
async fn hears_of_everything(team: &Team) {
    for (query, count) in [("status=FAILED", 1), ("type=order-placed", 1)] {
        let heard = until(async || {
            let path = format!("/admin/notifications?{query}");
            let page = team.admin.get(&path).await?.expect(200);
            let items = page["items"].as_array().unwrap();
            let settled = |one: &Value| one["status"] == "SENT" || one["status"] == "FAILED";
            ensure!(
                items.len() >= count && items.iter().all(settled),
                "{page:#}"
            );
            Ok(())
        });
        heard.await.unwrap();
    }
    let audited = until(async || {
        let path = "/admin/audit?type=dead_letter.replayed";
        let page = team.admin.get(path).await?.expect(200);
        ensure!(page["items"] != json!([]), "{page:#}");
        Ok(())
    });
    audited.await.unwrap();
}
