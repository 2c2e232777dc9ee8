//! The assistant with a real process: a power failure during an answer, a client that disconnects,
//! and the privacy of a conversation.

use std::time::Duration;

use anyhow::ensure;
use reqwest::Method;
use serde_json::{Value, json};
use slipway_tests::{Client, Options, Process, TIMEOUT, Team, team::id, until};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::{mpsc, watch},
    time::Instant,
};

use crate::scripted;

/// The answer of a server that supports only answering.
const NO_SUCH_CALL: &[u8] =
    b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// A model server whose answers never end, and the number of its clients.
async fn endless_model() -> (String, watch::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (count, clients) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = count.clone();
            tokio::spawn(async move {
                let line =
                    json!({"message": {"role": "assistant", "content": "Well, "}, "done": false});
                let line = format!("{line}\n");
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{line}\r\n",
                    line.len()
                );
                let mut request = [0; 4096];
                // The request has begun: the rest does not matter.
                let read = stream.read(&mut request).await.unwrap_or_default();
                if !request[..read].starts_with(b"POST /api/chat ") {
                    let _ = stream.write_all(NO_SUCH_CALL).await;
                    return;
                }
                let _ = stream.write_all(answer.as_bytes()).await;
                count.send_modify(|count| *count += 1);
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {}
                count.send_modify(|count| *count -= 1);
            });
        }
    });
    (url, clients)
}

/// Waits until this metric with these labels is at 1.
async fn is_counted(server: &Process, name: &str, labels: &[&str]) {
    let ops = Client::new(&server.ops);
    let counted = until(async || {
        let metrics = ops.get("/metrics").await.unwrap().text;
        let counted = metrics.lines().any(|line| {
            let series = line
                .strip_prefix(name)
                .and_then(|rest| rest.strip_suffix("} 1"));
            let series = series.and_then(|rest| rest.strip_prefix('{'));
            series.is_some_and(|series| labels.iter().all(|label| series.contains(label)))
        });
        ensure!(counted, "{name} {labels:?}: {metrics}");
        Ok(())
    });
    counted.await.unwrap();
}

async fn session(client: &Client) -> String {
    let answer = client.post("/chat/session", &json!({})).await.unwrap();
    id(&answer.expect(201)).to_owned()
}

/// Asks for a stream, and waits until the model has started to answer.
async fn begin(client: &Client, session: &str, message: &str) -> reqwest::Response {
    let request = client
        .request(Method::POST, &format!("/chat/{session}/message"))
        .header("accept", "text/event-stream")
        .json(&json!({"message": message}));
    let mut answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut text = String::new();
    while !text.contains("Well, ") {
        text.push_str(&String::from_utf8_lossy(
            &answer.chunk().await.unwrap().unwrap(),
        ));
    }
    answer
}

async fn history(client: &Client, session: &str) -> Vec<Value> {
    client
        .all(&format!("/chat/{session}/history?limit=200"))
        .await
        .unwrap()
}

/// Waits until the only message of a session is an unanswered question; returns the reason.
async fn reason(client: &Client, session: &str, message: &str) -> String {
    let reason = until(async || {
        let history = history(client, session).await;
        assert_eq!(history.len(), 1, "{history:?}");
        assert_eq!(history[0]["content"], message);
        ensure!(history[0]["state"] == "UNANSWERED", "{history:?}");
        Ok(history[0]["reason"].as_str().unwrap().to_owned())
    });
    reason.await.unwrap()
}

#[tokio::test]
async fn after_a_power_failure_during_an_answer_the_question_is_stored_and_the_session_usable() {
    let (url, _) = endless_model().await;
    let options = Options::default().env("SLIPWAY_OLLAMA_URL", url);
    let server = Process::start_with(&options).await.unwrap();
    let team = Team::new(&server, 1).await.unwrap();
    let token = team.developers[0].token().to_owned();
    let session = session(&team.developers[0]).await;
    let question = "What will become of me?";
    let _answer = begin(&team.developers[0], &session, question).await;
    let data = server.kill().await.unwrap();

    let server = Process::start_on(data, &Options::default()).await.unwrap();
    let ada = server.client().with_token(&token);
    assert_eq!(reason(&ada, &session, question).await, "INTERRUPTED");
    let path = format!("/chat/{session}/message");
    let answer = ada.post(&path, &json!({"message": "what is next?"})).await;
    assert_eq!(answer.unwrap().expect(200)["model"], "builtin");
    assert_eq!(history(&ada, &session).await.len(), 3);
}

#[tokio::test]
async fn a_client_that_disconnects_stops_the_answer() {
    let (url, mut clients) = endless_model().await;
    let options = Options::default().env("SLIPWAY_OLLAMA_URL", url);
    let server = Process::start_with(&options).await.unwrap();
    let team = Team::new(&server, 1).await.unwrap();
    let ada = &team.developers[0];
    let session = session(ada).await;
    let answer = begin(ada, &session, "Tell me everything").await;
    let busy = ada
        .post(
            &format!("/chat/{session}/message"),
            &json!({"message": "?"}),
        )
        .await
        .unwrap();
    busy.refused(409, "CHAT_BUSY");
    drop(answer);
    tokio::time::timeout(TIMEOUT, clients.wait_for(|clients| *clients == 0))
        .await
        .expect("the model is not asked any further")
        .unwrap();
    assert_eq!(
        reason(ada, &session, "Tell me everything").await,
        "CANCELLED"
    );
    let cancelled = [r#"reason="CANCELLED""#];
    is_counted(&server, "slipway_chat_failures_total", &cancelled).await;
    let unanswered = [r#"outcome="unanswered""#];
    is_counted(&server, "slipway_chat_requests_total", &unanswered).await;
}

/// A model that thinks before it answers, however it is asked: within its text, and separated by
/// its server. The requests are sent to the returned channel.
async fn thinking_model() -> (String, mpsc::UnboundedReceiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, asked) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (path, request) = scripted::receive(&mut stream).await;
            let line = |content: &str, thinking: &str, done| {
                let message =
                    json!({"role": "assistant", "content": content, "thinking": thinking});
                json!({"message": message, "done": done, "done_reason": "stop"})
            };
            let lines = match path.as_str() {
                "/api/show" => vec![json!({"capabilities": ["completion", "thinking"]})],
                "/api/chat" => {
                    sender.send(request).unwrap();
                    vec![
                        line("", "Secretly, ", false),
                        line("<thi", "", false),
                        line("nk>secretly.</think>", "", false),
                        line("\n\nBuild it.", "", false),
                        line("", "", true),
                    ]
                }
                path => panic!("{path}"),
            };
            let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
            scripted::answer(&mut stream, &body).await;
        }
    });
    (url, asked)
}

#[tokio::test]
async fn thinking_is_turned_off_and_never_shown() {
    let (url, mut asked) = thinking_model().await;
    let options = Options::default()
        .env("SLIPWAY_OLLAMA_URL", url)
        .env("SLIPWAY_OLLAMA_MODEL", "qwen3:8b");
    let server = Process::start_with(&options).await.unwrap();
    let team = Team::new(&server, 1).await.unwrap();
    let ada = &team.developers[0];
    let session = session(ada).await;
    let path = format!("/chat/{session}/message");
    let request = ada
        .request(Method::POST, &path)
        .header("accept", "text/event-stream")
        .json(&json!({"message": "What is next?"}));
    let stream = request.send().await.unwrap().text().await.unwrap();
    assert!(
        stream.contains("event: done") && stream.contains("Build it."),
        "{stream}"
    );
    let answer = ada.post(&path, &json!({"message": "And then?"})).await;
    assert_eq!(answer.unwrap().expect(200)["content"], "Build it.");
    let history = history(ada, &session).await;
    assert_eq!(history[1]["content"], "Build it.");
    let first = asked.recv().await.unwrap();
    let second = asked.recv().await.unwrap();
    for request in [&first, &second] {
        assert_eq!(request["model"], "qwen3:8b");
        assert_eq!(
            (&request["think"], &request["stream"]),
            (&json!(false), &json!(true))
        );
    }
    assert_eq!(second["messages"][2]["content"], "Build it.");
    for text in [
        stream,
        json!(history).to_string(),
        second["messages"].to_string(),
    ] {
        assert!(!text.to_lowercase().contains("secretly"), "{text}");
    }
    let ready = Client::new(&server.ops).get("/readyz").await.unwrap();
    assert_eq!(ready.expect(200)["degraded"], json!([]));
}

#[tokio::test]
async fn a_process_without_its_model_is_ready_and_reports_the_problem() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let options = Options::default().env("SLIPWAY_OLLAMA_URL", url);
    let server = Process::start_with(&options).await.unwrap();
    let ready = Client::new(&server.ops).get("/readyz").await.unwrap();
    assert_eq!(ready.expect(200)["degraded"], json!(["chat-svc: model"]));
}

#[tokio::test]
async fn an_answer_is_measured() {
    let server = Process::start().await.unwrap();
    let team = Team::new(&server, 1).await.unwrap();
    let ada = &team.developers[0];
    let path = format!("/chat/{}/message", session(ada).await);
    let answer = ada.post(&path, &json!({"message": "what is next?"})).await;
    answer.unwrap().expect(200);
    let answered = [r#"model="builtin""#, r#"outcome="answered""#];
    is_counted(&server, "slipway_chat_requests_total", &answered).await;
    for name in ["latency", "time_to_first_token"] {
        let name = format!("slipway_chat_{name}_seconds_count");
        is_counted(&server, &name, &answered[..1]).await;
    }
}

#[tokio::test]
async fn deleting_a_conversation_stops_its_answer() {
    let (url, mut clients) = endless_model().await;
    let options = Options::default().env("SLIPWAY_OLLAMA_URL", url);
    let server = Process::start_with(&options).await.unwrap();
    let team = Team::new(&server, 2).await.unwrap();
    let (ada, eve) = (&team.developers[0], &team.developers[1]);
    let session = session(ada).await;
    let path = format!("/chat/{session}");
    let mut answer = begin(ada, &session, "Tell me everything").await;
    let rename = async |by: &Client| {
        let request = by.request(Method::PATCH, &path);
        let request = request.json(&json!({"title": "Everything"}));
        by.send(request).await.unwrap()
    };
    let delete = async |by: &Client| by.send(by.request(Method::DELETE, &path)).await.unwrap();
    rename(eve).await.refused(404, "SESSION_NOT_FOUND");
    delete(eve).await.refused(404, "SESSION_NOT_FOUND");
    assert_eq!(rename(ada).await.expect(200)["title"], "Everything");
    for _again in 0..2 {
        delete(ada).await.expect(204);
    }
    let mut rest = String::new();
    while let Some(chunk) = answer.chunk().await.unwrap() {
        rest.push_str(&String::from_utf8_lossy(&chunk));
    }
    assert!(
        rest.contains("event: error") && rest.contains("SESSION_NOT_FOUND"),
        "{rest}"
    );
    tokio::time::timeout(TIMEOUT, clients.wait_for(|clients| *clients == 0))
        .await
        .expect("the model is not asked any further")
        .unwrap();
    let deleted = ada.get(&format!("{path}/history")).await.unwrap();
    deleted.refused(404, "SESSION_NOT_FOUND");
    assert!(ada.all("/chat/sessions").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_conversation_is_not_in_the_activity_feed() {
    let server = Process::start().await.unwrap();
    let team = Team::new(&server, 1).await.unwrap();
    let ada = &team.developers[0];
    let session = session(ada).await;
    let path = format!("/chat/{session}/message");
    let answer = ada.post(&path, &json!({"message": "what is next?"})).await;
    answer.unwrap().expect(200);
    // The next entries of the activity feed show that it was skipped.
    let release = team.release("afterwards", &[0]).await.unwrap();
    let seen = ada.seen(|entry| entry["subject"] == release["id"]);
    seen.await.unwrap();
    let feed = ada.feed().await.unwrap();
    let is_chat = |entry: &Value| entry["type"].as_str().unwrap().starts_with("chat.");
    assert!(!feed.iter().any(is_chat), "{feed:?}");
}

#[tokio::test]
async fn forty_questions_a_minute_are_answered_and_no_more() {
    let server = Process::start().await.unwrap();
    let team = Team::new(&server, 1).await.unwrap();
    let ada = &team.developers[0];
    let session = session(ada).await;
    let path = format!("/chat/{session}/message");
    let began = Instant::now();
    for _ in 0..40 {
        let answer = ada.post(&path, &json!({"message": "what is next?"})).await;
        answer.unwrap().expect(200);
    }
    let answer = ada.post(&path, &json!({"message": "what is next?"})).await;
    // On a slow machine, the first ones may no longer count.
    if began.elapsed() < Duration::from_secs(50) {
        let answer = answer.unwrap();
        assert!(!answer.header("retry-after").is_empty());
        assert_eq!(answer.header("ratelimit-policy"), "\"default\";q=40;w=60");
        answer.refused(429, "QUOTA_EXCEEDED");
    }
}

#[tokio::test]
async fn signing_out_stops_an_answer_that_is_being_written() {
    let (url, mut clients) = endless_model().await;
    let options = Options::default().env("SLIPWAY_OLLAMA_URL", url);
    let server = Process::start_with(&options).await.unwrap();
    let team = Team::new(&server, 1).await.unwrap();
    let developer = &team.developers[0];
    let session = session(developer).await;
    let mut answer = begin(developer, &session, "What now?").await;
    let logout = developer.request(Method::POST, "/auth/logout");
    developer.send(logout).await.unwrap().expect(204);
    let mut text = String::new();
    while let Some(chunk) = answer.chunk().await.unwrap() {
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    assert!(text.contains("event: error"), "{text}");
    assert!(text.contains("SESSION_ENDED"), "{text}");
    clients.wait_for(|count| *count == 0).await.unwrap();
}
