//! Model failures: each has its own fault, none is stored as an answer, and the session can still
//! be used.

use std::sync::Arc;

use chat_svc::{
    Config,
    assistant::{Ollama, OllamaConfig},
};
use serde_json::{Value, json};
use slipway_proto::chat::v1::{MessageRole, UnansweredReason};
use slipway_rpc::error::{Fault, Kind};

use crate::{
    harness::{Chat, User, WINDOW, short_timeouts},
    ollama::{FakeOllama, Reaction, done, ended, says, text, thinking},
};

async fn chat_with_short_timeouts(ollama: &FakeOllama) -> Chat {
    let assistant = Ollama::new(short_timeouts(ollama)).unwrap();
    let mut config = Config::default();
    config.quota.limit = 1_000;
    Chat::build(Arc::new(assistant), config).await
}

#[track_caller]
fn is_unavailable(fault: &Fault, reason: &str) {
    assert_eq!(fault.kind, Kind::Unavailable, "{fault:?}");
    assert_eq!(fault.code, "ASSISTANT_UNAVAILABLE");
    assert_eq!(fault.facts["reason"], reason);
    assert!(fault.retry_after.is_some());
    assert!(fault.detail.contains("kept"), "{}", fault.detail);
}

/// Asserts that the question is stored with its reason, and nothing else.
async fn is_kept(user: &User, question: &str, reason: UnansweredReason) {
    let summary = user.summary().await;
    assert_eq!(
        summary,
        [(MessageRole::User, question.to_owned(), Some(reason))]
    );
}

#[tokio::test]
async fn each_failure_has_its_reason_and_is_not_stored_as_an_answer() {
    use UnansweredReason as Why;
    let cases: Vec<(Reaction, &str, Why)> = vec![
        (
            Reaction::Refuses(404, r#"{"error":"model 'llama3.2' not found"}"#),
            "MODEL_MISSING",
            Why::ModelMissing,
        ),
        (
            Reaction::Refuses(404, "404 page not found"),
            "SERVER_ERROR",
            Why::ServerError,
        ),
        (
            Reaction::Refuses(500, r#"{"error":"llama runner process has terminated"}"#),
            "SERVER_ERROR",
            Why::ServerError,
        ),
        (
            Reaction::Refuses(400, "<html>"),
            "SERVER_ERROR",
            Why::ServerError,
        ),
        (
            Reaction::Refuses(503, r#"{"error":"server busy"}"#),
            "UNAVAILABLE",
            Why::Unavailable,
        ),
        (Reaction::IsSilent, "TIMEOUT", Why::Timeout),
        (Reaction::FallsSilentAfter(vec![]), "TIMEOUT", Why::Timeout),
        (
            Reaction::FallsSilentAfter(vec![text("Well, ")]),
            "TIMEOUT",
            Why::Timeout,
        ),
        (
            Reaction::Says(vec![text("Well, ")]),
            "TRUNCATED",
            Why::Truncated,
        ),
        (Reaction::Says(vec![]), "TRUNCATED", Why::Truncated),
        (
            Reaction::BreaksAfter(vec![text("Well, ")]),
            "TRUNCATED",
            Why::Truncated,
        ),
        (
            Reaction::Says(vec![b"<html>nginx</html>\n".to_vec()]),
            "MALFORMED",
            Why::Malformed,
        ),
        (
            Reaction::Says(vec![text("Well, "), b"{\"done\": tr\n".to_vec()]),
            "MALFORMED",
            Why::Malformed,
        ),
        (Reaction::Says(vec![done()]), "EMPTY", Why::Empty),
        (
            Reaction::Says(vec![text(" \n"), done()]),
            "EMPTY",
            Why::Empty,
        ),
        (
            Reaction::Says(vec![text(" \n\u{200b}\u{2800}"), done()]),
            "EMPTY",
            Why::Empty,
        ),
        (
            Reaction::Says(vec![ended("length", &Value::Null)]),
            "EMPTY",
            Why::Empty,
        ),
        (
            Reaction::Says(vec![text("<think>Hm, hm"), ended("length", &json!(""))]),
            "ONLY_THINKING",
            Why::OnlyThinking,
        ),
        (
            Reaction::Says(vec![text("<think>Hm.</think>\n"), done()]),
            "ONLY_THINKING",
            Why::OnlyThinking,
        ),
        (
            Reaction::Says(vec![
                thinking("Hm, "),
                thinking("hm"),
                ended("length", &Value::Null),
            ]),
            "ONLY_THINKING",
            Why::OnlyThinking,
        ),
        (
            Reaction::Says(vec![
                text("Well, "),
                b"{\"error\":\"out of memory\"}\n".to_vec(),
                done(),
            ]),
            "SERVER_ERROR",
            Why::ServerError,
        ),
    ];
    let ollama = FakeOllama::start().await;
    let chat = chat_with_short_timeouts(&ollama).await;
    let ada = chat.user("ada").await;
    for (place, (reaction, reason, why)) in cases.into_iter().enumerate() {
        let user = ada.elsewhere().await;
        let question = format!("question {place}");
        ollama.then(reaction.clone());
        is_unavailable(&user.ask(&question).await.unwrap_err(), reason);
        is_kept(&user, &question, why).await;
        // The same for a streamed answer.
        let streaming = ada.elsewhere().await;
        ollama.then(reaction);
        let (_, outcome) = streaming.listen(&question).await;
        is_unavailable(&outcome.unwrap_err(), reason);
        is_kept(&streaming, &question, why).await;
        // The session can be used again.
        ollama.then(says("fine"));
        assert_eq!(user.ask("and now?").await.unwrap().content, "fine");
        assert_eq!(user.summary().await.len(), 3);
    }
}

#[tokio::test]
async fn an_unreachable_server_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let assistant = Ollama::new(OllamaConfig::new(url, "m", WINDOW)).unwrap();
    let chat = Chat::build(Arc::new(assistant), Config::default()).await;
    let ada = chat.user("ada").await;
    is_unavailable(&ada.ask("anybody?").await.unwrap_err(), "UNAVAILABLE");
    is_kept(&ada, "anybody?", UnansweredReason::Unavailable).await;
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_stopped() {
    let ollama = FakeOllama::start().await;
    let config = Config {
        answer_timeout: std::time::Duration::from_millis(300),
        ..Config::default()
    };
    let chat = Chat::with_config(&ollama, config).await;
    let ada = chat.user("ada").await;
    ollama.then(Reaction::FallsSilentAfter(vec![text("Well, ")]));
    is_unavailable(&ada.ask("how long?").await.unwrap_err(), "TIMEOUT");
    is_kept(&ada, "how long?", UnansweredReason::Timeout).await;
}

#[tokio::test]
async fn only_a_failed_model_is_logged() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(log.reopen().unwrap())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let ollama = FakeOllama::start().await;
    let chat = chat_with_short_timeouts(&ollama).await;
    let ada = chat.user("ada").await;
    // Other tests run at the same time, in sessions of their own.
    let warned = || {
        let text = std::fs::read_to_string(log.path()).unwrap();
        let mine = |line: &&str| line.contains(&ada.session) && line.contains(" WARN ");
        text.lines()
            .filter(mine)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };

    ollama.then(says("Build the images."));
    ada.ask("what is next?").await.unwrap();
    assert_eq!(warned(), [""; 0]);

    ollama.then(Reaction::FallsSilentAfter(vec![text("Well, ")]));
    is_unavailable(&ada.ask("and then?").await.unwrap_err(), "TIMEOUT");
    let warned = warned();
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(
        warned[0].contains("the assistant's model failed"),
        "{warned:?}"
    );
}

#[tokio::test]
async fn without_the_callers_work_the_model_is_not_asked() {
    let ollama = FakeOllama::start().await;
    let chat = Chat::with(&ollama).await;
    let ada = chat.user("ada").await;
    chat.releases.is_away(true);
    let fault = ada.ask("what is next?").await.unwrap_err();
    assert_eq!(
        (fault.kind, fault.code.as_str()),
        (Kind::Unavailable, "UNAVAILABLE")
    );
    assert_eq!(fault.facts["reason"], "CONTEXT_UNAVAILABLE");
    is_kept(&ada, "what is next?", UnansweredReason::ContextUnavailable).await;
    assert!(ollama.requests().is_empty(), "the model was not asked");
    chat.releases.is_away(false);
    ada.ask("and now?").await.unwrap();
}

#[tokio::test]
async fn endless_thinking_is_stopped() {
    let ollama = FakeOllama::start().await;
    let chat = Chat::with(&ollama).await;
    let ada = chat.user("ada").await;
    ollama.then(Reaction::NeverEnds(thinking(&"hm ".repeat(200_000))));
    let (texts, answer) = ada.listen("why?").await;
    assert!(texts.is_empty());
    is_unavailable(&answer.unwrap_err(), "MALFORMED");
    is_kept(&ada, "why?", UnansweredReason::Malformed).await;
}

#[tokio::test]
async fn a_character_that_is_split_between_two_chunks_is_whole() {
    let ollama = FakeOllama::start().await;
    let chat = Chat::with(&ollama).await;
    let ada = chat.user("ada").await;
    let all = [text("Übergröße "), text("🚢"), done()].concat();
    let bytes = all.chunks(1).map(<[u8]>::to_vec).collect();
    ollama.then(Reaction::Says(bytes));
    let (texts, answer) = ada.listen("size?").await;
    assert_eq!(texts.concat(), "Übergröße 🚢");
    assert_eq!(answer.unwrap().content, "Übergröße 🚢");
}

#[tokio::test]
async fn control_characters_are_left_out_of_an_answer() {
    let ollama = FakeOllama::start().await;
    let chat = Chat::with(&ollama).await;
    let ada = chat.user("ada").await;
    ollama.then(says("Build\u{1b}[31m it\0.\r\n\tThen test it."));
    let (texts, answer) = ada.listen("what is next?").await;
    let expected = "Build[31m it.\r\n\tThen test it.";
    assert_eq!(texts.concat(), expected);
    assert_eq!(answer.unwrap().content, expected);
}

#[tokio::test]
async fn a_last_line_without_a_line_break_counts() {
    let ollama = FakeOllama::start().await;
    let chat = Chat::with(&ollama).await;
    let ada = chat.user("ada").await;
    let mut last = done();
    last.pop();
    ollama.then(Reaction::Says(vec![text("so"), last]));
    assert_eq!(ada.ask("why?").await.unwrap().content, "so");
}
