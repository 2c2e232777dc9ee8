//! Renaming and deleting conversations, also in the middle of an answer.

use std::{sync::Arc, time::Duration};

use chat_svc::Config;
use slipway_proto::chat::v1::stream_message_response::Piece;
use slipway_rpc::error::Kind;
use tokio::sync::Barrier;

use crate::{
    harness::Chat,
    ollama::{FakeOllama, Reaction, says, text},
};

#[tokio::test]
async fn a_session_is_renamed_at_the_revision_named() {
    let chat = Chat::builtin().await;
    let ada = chat.user("ada").await;
    ada.ask("what is next?").await.unwrap();
    let renamed = ada.rename("Planning", 1).await.unwrap();
    assert_eq!((renamed.title.as_str(), renamed.revision), ("Planning", 2));
    let changed = ada.rename("Shipping", 1).await.unwrap_err();
    assert_eq!(
        (changed.kind, changed.code.as_str()),
        (Kind::Contended, "SESSION_CHANGED")
    );
    assert_eq!(changed.facts["revision"], 2);
    assert_eq!(ada.rename("Shipping", 0).await.unwrap().revision, 3);
    for bad in ["", "  ", "a\nb", &"x".repeat(201)] {
        let fault = ada.rename(bad, 0).await.unwrap_err();
        assert_eq!(fault.fields[0].field, "title", "{bad:?}");
    }
    assert_eq!(ada.history().await.len(), 2);
}

#[tokio::test]
async fn a_deleted_session_is_gone_and_can_be_deleted_again() {
    let chat = Chat::builtin().await;
    let ada = chat.user("ada").await;
    ada.ask("what is next?").await.unwrap();
    ada.delete().await.unwrap();
    ada.delete().await.unwrap();
    for gone in [
        ada.try_history().await.unwrap_err(),
        ada.ask("and now?").await.unwrap_err(),
        ada.rename("Still here", 0).await.unwrap_err(),
    ] {
        assert_eq!(
            (gone.kind, gone.code.as_str()),
            (Kind::NotFound, "SESSION_NOT_FOUND")
        );
    }
    ada.elsewhere().await.ask("and here?").await.unwrap();
}

#[tokio::test]
async fn a_deletion_during_an_answer_stops_the_model() {
    let ollama = FakeOllama::start().await;
    let config = Config {
        lease: Duration::from_millis(400),
        ..Config::default()
    };
    let chat = Chat::with_config(&ollama, config).await;
    let ada = chat.user("ada").await;
    ollama.then(Reaction::FallsSilentAfter(vec![text("Well, ")]));
    let mut stream = ada.stream("tell me everything").await.unwrap();
    stream.message().await.unwrap().unwrap();
    ada.delete().await.unwrap();
    let status = stream.message().await.unwrap_err();
    let fault = slipway_rpc::error::Fault::from(status);
    assert_eq!(fault.code, "SESSION_NOT_FOUND");
    ollama.wait_until_unused().await;
}

#[tokio::test]
async fn a_deletion_at_the_end_of_an_answer_leaves_nothing() {
    let ollama = FakeOllama::start().await;
    let chat = Chat::with(&ollama).await;
    let ada = chat.user("ada").await;
    for round in 0..10 {
        let ada = ada.elsewhere().await;
        ollama.then(says("so it is"));
        let line = Arc::new(Barrier::new(2));
        let listening = {
            let (ada, line) = (ada.clone(), line.clone());
            tokio::spawn(async move {
                let mut stream = ada.stream("is it?").await.unwrap();
                line.wait().await;
                loop {
                    match stream.message().await {
                        Ok(Some(piece)) => {
                            if let Some(Piece::Answer(answer)) = piece.piece {
                                return Ok(answer.content);
                            }
                        }
                        Ok(None) => panic!("the stream ended without an outcome"),
                        Err(status) => return Err(slipway_rpc::error::Fault::from(status).code),
                    }
                }
            })
        };
        line.wait().await;
        ada.delete().await.unwrap();
        match listening.await.unwrap() {
            Ok(answer) => assert_eq!(answer, "so it is", "{round}"),
            Err(code) => assert_eq!(code, "SESSION_NOT_FOUND", "{round}"),
        }
        let gone = ada.try_history().await.unwrap_err();
        assert_eq!(gone.code, "SESSION_NOT_FOUND");
    }
}
