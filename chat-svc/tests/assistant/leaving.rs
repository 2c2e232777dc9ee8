//! Callers that disconnect, wait, or repeat a request.

use slipway_proto::chat::v1::{Message, MessageRole, QuestionState, UnansweredReason};
use slipway_rpc::error::Kind;
use slipway_runtime::testing::until;

use crate::{
    harness::{Chat, question_info},
    ollama::{FakeOllama, Reaction, says, text},
};

#[tokio::test]
async fn a_caller_that_disconnects_stops_the_answer_and_the_question_stays() {
    let ollama = FakeOllama::start().await;
    let chat = Chat::with(&ollama).await;
    let ada = chat.user("ada").await;
    ollama.then(Reaction::FallsSilentAfter(vec![text("Well, ")]));
    let mut stream = ada.stream("tell me everything").await.unwrap();
    stream.message().await.unwrap().unwrap();
    assert_eq!(*ollama.open.borrow(), 1);
    drop(stream);
    ollama.wait_until_unused().await;
    let cancelled = [(
        MessageRole::User,
        "tell me everything".to_owned(),
        Some(UnansweredReason::Cancelled),
    )];
    let summary = until(async || match ada.summary().await {
        summary if summary == cancelled => Ok(()),
        other => Err(other),
    });
    summary.await.unwrap();
    ada.ask("again?").await.unwrap();
}

#[tokio::test]
async fn an_answer_is_stored_whether_or_not_it_is_read() {
    let ollama = FakeOllama::start().await;
    let chat = Chat::with(&ollama).await;
    let ada = chat.user("ada").await;
    ollama.then(says("read me later"));
    let unread = ada.stream("a word?").await.unwrap();
    let history = until(async || <[Message; 2]>::try_from(ada.history().await));
    let history = history.await.unwrap();
    drop(unread);
    assert_eq!(history[1].content, "read me later");
    assert_eq!(
        question_info(&history[0]).unwrap().state(),
        QuestionState::Answered
    );
}

#[tokio::test]
async fn one_of_two_concurrent_questions_is_refused() {
    let ollama = FakeOllama::start().await;
    let chat = Chat::with(&ollama).await;
    let ada = chat.user("ada").await;
    ollama.then(Reaction::FallsSilentAfter(vec![text("Well, ")]));
    let mut first = ada.stream("one").await.unwrap();
    first.message().await.unwrap().unwrap();
    let busy = ada.ask("two").await.unwrap_err();
    assert_eq!(
        (busy.kind, busy.code.as_str()),
        (Kind::Conflict, "CHAT_BUSY")
    );
    let history = ada.history().await;
    assert_eq!(history.len(), 1, "what was refused is not stored");
    assert_eq!(
        question_info(&history[0]).unwrap().state(),
        QuestionState::Asked
    );
    // Another session is not affected.
    ada.elsewhere().await.ask("two").await.unwrap();
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_answer() {
    let ollama = FakeOllama::start().await;
    let chat = Chat::with(&ollama).await;
    let mut ada = chat.user("ada").await;
    ada.outbound.idempotency_key = Some("k-1".to_owned());
    let first = ada.ask("why?").await.unwrap();
    assert_eq!(ada.ask("why?").await.unwrap(), first);
    let (texts, streamed) = ada.listen("why?").await;
    assert!(texts.is_empty());
    assert_eq!(streamed.unwrap(), first);
    assert_eq!(ollama.requests().len(), 1);
    let fault = ada.ask("why not?").await.unwrap_err();
    assert_eq!(fault.code, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(ada.new_session().await, ada.new_session().await);
}
