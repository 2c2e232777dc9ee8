//! Models that think before they answer.

use std::sync::Arc;

use chat_svc::{Config, assistant::Ollama};
use serde_json::{Value, json};

use crate::{
    harness::{Chat, short_timeouts},
    ollama::{FakeOllama, Reaction, describes, done, ended, says, text, thinking},
};

/// The `think` option of a request, and its texts without the system part.
fn asked(request: &Value) -> (Option<&Value>, Vec<&str>) {
    let messages = request["messages"].as_array().unwrap();
    let texts = messages[1..].iter().map(|m| m["content"].as_str().unwrap());
    (request.get("think"), texts.collect())
}

#[tokio::test]
async fn a_block_of_thinking_is_neither_streamed_nor_stored_nor_sent_back() {
    let ollama = FakeOllama::start().await;
    let chat = Chat::with(&ollama).await;
    let ada = chat.user("ada").await;
    let lines = [
        "\n",
        "<thi",
        "nk>Hm, <b>",
        " hm </",
        "think",
        ">\n",
        "\nBuild ",
        "it.",
    ];
    let lines = lines.map(text).into_iter().chain([done()]);
    ollama.then(Reaction::Says(lines.collect()));
    let (texts, answer) = ada.listen("what is next?").await;
    assert_eq!(texts, ["Build ", "it."]);
    assert_eq!(answer.unwrap().content, "Build it.");
    assert_eq!(ada.history().await[1].content, "Build it.");

    ada.ask("and then?").await.unwrap();
    let request = ollama.requests().pop().unwrap();
    let (_, texts) = asked(&request);
    assert_eq!(texts, ["what is next?", "Build it.", "and then?"]);
}

#[tokio::test]
async fn thinking_separated_by_the_server_is_not_shown() {
    let ollama = FakeOllama::start().await;
    let chat = Chat::with(&ollama).await;
    let ada = chat.user("ada").await;
    let lines = vec![thinking("Hm, "), thinking("hm."), text("Build it."), done()];
    ollama.then(Reaction::Says(lines));
    let (texts, answer) = ada.listen("what is next?").await;
    assert_eq!(texts, ["Build it."]);
    assert_eq!(answer.unwrap().content, "Build it.");
}

#[tokio::test]
async fn later_and_similar_tags_are_text() {
    let ollama = FakeOllama::start().await;
    let chat = Chat::with(&ollama).await;
    let ada = chat.user("ada").await;
    for answer in [
        "Write <think>Hm.</think> first.",
        "<thinker> is an element.",
        "<thin",
    ] {
        ollama.then(says(answer));
        assert_eq!(ada.ask("how?").await.unwrap().content, answer);
    }
    // Also in the last line.
    ollama.then(Reaction::Says(vec![text("<"), ended("stop", &json!("b>"))]));
    assert_eq!(ada.ask("how?").await.unwrap().content, "<b>");
}

#[tokio::test]
async fn a_model_that_can_think_is_asked_not_to_and_described_once() {
    let ollama = FakeOllama::start().await;
    ollama.describing(describes(&["completion", "thinking"]));
    let chat = Chat::with(&ollama).await;
    let ada = chat.user("ada").await;
    ada.ask("first").await.unwrap();
    ada.ask("second").await.unwrap();
    for request in ollama.requests() {
        assert_eq!(asked(&request).0, Some(&json!(false)));
    }
    assert_eq!(ollama.descriptions(), 1);
}

#[tokio::test]
async fn a_model_that_cannot_think_is_not_asked_about_it() {
    let ollama = FakeOllama::start().await;
    let chat = Chat::with(&ollama).await;
    let ada = chat.user("ada").await;
    ada.ask("first").await.unwrap();
    ada.ask("second").await.unwrap();
    for request in ollama.requests() {
        assert_eq!(asked(&request).0, None);
    }
    assert_eq!(ollama.descriptions(), 1);
}

#[tokio::test]
async fn a_server_that_cannot_turn_off_thinking_is_asked_without_it_from_then_on() {
    let ollama = FakeOllama::start().await;
    ollama.describing(describes(&["completion", "thinking"]));
    let chat = Chat::with(&ollama).await;
    let ada = chat.user("ada").await;
    let refusal = r#"{"error":"think value \"false\" is not supported for this model"}"#;
    ollama.then(Reaction::Refuses(400, refusal));
    ollama.then(says("<think>Hm.</think>Build it."));
    assert_eq!(ada.ask("first").await.unwrap().content, "Build it.");
    assert_eq!(ada.ask("second").await.unwrap().content, "ok");
    let requests = ollama.requests();
    let asked: Vec<_> = requests.iter().map(asked).collect();
    let thinks: Vec<_> = asked.iter().map(|asked| asked.0).collect();
    assert_eq!(thinks, [Some(&json!(false)), None, None]);
    assert_eq!(asked[0].1, asked[1].1, "the same question");
}

#[tokio::test]
async fn another_refusal_is_returned_and_the_model_described_again() {
    let ollama = FakeOllama::start().await;
    ollama.describing(describes(&["completion", "thinking"]));
    let chat = Chat::with(&ollama).await;
    let ada = chat.user("ada").await;
    for _with_and_without in 0..2 {
        ollama.then(Reaction::Refuses(400, r#"{"error":"invalid options"}"#));
    }
    let fault = ada.ask("first").await.unwrap_err();
    assert_eq!(fault.facts["reason"], "SERVER_ERROR");
    ada.ask("second").await.unwrap();
    assert_eq!(ollama.descriptions(), 2);
    let request = ollama.requests().pop().unwrap();
    assert_eq!(asked(&request).0, Some(&json!(false)));
}

#[tokio::test]
async fn a_server_without_descriptions_still_answers() {
    for reaction in [
        Reaction::Refuses(404, "404 page not found"),
        Reaction::Refuses(500, r#"{"error":"no"}"#),
        Reaction::Says(vec![b"<html>".to_vec()]),
        Reaction::Says(vec![b"{\"capabilities\": null}".to_vec()]),
        Reaction::IsSilent,
    ] {
        let ollama = FakeOllama::start().await;
        ollama.describing(reaction);
        let assistant = Ollama::new(short_timeouts(&ollama)).unwrap();
        let chat = Chat::build(Arc::new(assistant), Config::default()).await;
        let ada = chat.user("ada").await;
        assert_eq!(ada.ask("first").await.unwrap().content, "ok");
        assert_eq!(asked(&ollama.requests()[0]).0, None);
    }
}
