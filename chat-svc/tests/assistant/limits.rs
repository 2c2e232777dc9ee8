//! Quota, queue, and limits of a question.

use std::time::Duration;

use chat_svc::{Config, Quota};
use slipway_rpc::error::Kind;
use slipway_runtime::testing::until;

use crate::{
    harness::Chat,
    ollama::{FakeOllama, Reaction, text},
};

#[tokio::test]
async fn over_the_quota_the_fault_says_when_to_retry() {
    let ollama = FakeOllama::start().await;
    let config = Config {
        quota: Quota {
            limit: 3,
            window: Duration::from_secs(60),
        },
        ..Config::default()
    };
    let chat = Chat::with_config(&ollama, config).await;
    let ada = chat.user("ada").await;
    for _ in 0..3 {
        ada.ask("and now?").await.unwrap();
    }
    let elsewhere = ada.elsewhere().await;
    let fault = elsewhere.ask("and now?").await.unwrap_err();
    assert_eq!(
        (fault.kind, fault.code.as_str()),
        (Kind::RateLimited, "QUOTA_EXCEEDED")
    );
    assert_eq!(
        (&fault.facts["limit"], &fault.facts["windowSeconds"]),
        (&3.into(), &60.into())
    );
    let wait = fault.retry_after.unwrap();
    assert!(
        wait > Duration::from_secs(30) && wait <= Duration::from_secs(60),
        "{wait:?}"
    );
    assert!(elsewhere.history().await.is_empty());
    chat.user("grace").await.ask("me too?").await.unwrap();
}

#[tokio::test]
async fn a_full_queue_refuses_before_anything_is_stored() {
    let ollama = FakeOllama::start().await;
    let config = Config {
        concurrency: 1,
        queue: 1,
        queue_timeout: Duration::from_millis(200),
        ..Config::default()
    };
    let chat = Chat::with_config(&ollama, config).await;
    let users = [
        chat.user("ada").await,
        chat.user("grace").await,
        chat.user("joan").await,
    ];
    ollama.then(Reaction::FallsSilentAfter(vec![text("Well, ")]));
    let mut first = users[0].stream("one").await.unwrap();
    first.message().await.unwrap().unwrap();
    let second = users[1].stream("two").await.unwrap();
    let turned_away = users[2].ask("three").await.unwrap_err();
    assert_eq!(turned_away.code, "ASSISTANT_BUSY");
    assert!(turned_away.retry_after.is_some());
    assert!(users[2].history().await.is_empty());
    // A question that waits too long is refused, and stored as unanswered.
    let mut second = second;
    let status = second.message().await.unwrap_err();
    assert_eq!(
        slipway_rpc::error::Fault::from(status).code,
        "ASSISTANT_BUSY"
    );
    assert_eq!(users[1].history().await.len(), 1);
    // A caller that disconnects frees its place.
    drop(first);
    until(async || users[2].ask("three").await).await.unwrap();
}

#[tokio::test]
async fn a_question_must_not_be_blank_or_too_long() {
    let ollama = FakeOllama::start().await;
    let chat = Chat::with(&ollama).await;
    let ada = chat.user("ada").await;
    for bad in ["", " \n", "a\0b", &"x".repeat(8_001), &"🚢".repeat(8_000)] {
        let fault = ada.ask(bad).await.unwrap_err();
        assert_eq!(fault.kind, Kind::Invalid);
        assert_eq!(fault.fields[0].field, "content");
    }
    assert!(ada.history().await.is_empty());
    ada.ask(&"x".repeat(8_000)).await.unwrap();
}
