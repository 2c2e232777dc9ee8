//! Conversations from their owners' point of view.

use slipway_proto::{
    chat::v1::{
        CreateSessionRequest, GetHistoryRequest, ListSessionsRequest, Message, MessageRole,
    },
    events::CHAT,
};
use slipway_rpc::grpc::Outbound;

use crate::{
    harness::{Chat, User, answer_info},
    ollama::{FakeOllama, says},
};

#[tokio::test]
async fn the_stored_answer_is_the_streamed_one() {
    let ollama = FakeOllama::start().await;
    let chat = Chat::with(&ollama).await;
    let ada = chat.user("ada").await;
    ollama.then(says("Build the images next."));
    let (texts, answer) = ada.listen("what is next?").await;
    assert_eq!(texts, ["Build ", "the ", "images ", "next."]);
    let answer = answer.unwrap();
    assert_eq!(answer.content, texts.concat());
    let history = ada.history().await;
    assert_eq!(history.len(), 2);
    assert_eq!(history[0].content, "what is next?");
    assert_eq!(history[1], answer);
    let info = answer_info(&answer);
    assert!(info.time_to_first_token_ms <= info.latency_ms);
}

#[tokio::test]
async fn the_event_of_an_answer_has_none_of_its_text() {
    let ollama = FakeOllama::start().await;
    let chat = Chat::with(&ollama).await;
    let ada = chat.user("ada").await;
    ollama.then(says("Build the images."));
    let answer = ada.ask("what is next?").await.unwrap();
    let mut subscription = chat
        .bus
        .subscribe("reader", &[CHAT.name.to_owned()])
        .await
        .unwrap();
    let published = subscription.next(10).await.unwrap();
    assert_eq!(published.len(), 1);
    let text = String::from_utf8(published[0].record.value.to_vec()).unwrap();
    assert!(text.contains(&answer.id), "{text}");
    for word in ["next", "images"] {
        assert!(!text.contains(word), "{text}");
    }
}

#[tokio::test]
async fn the_history_is_paged_oldest_first() {
    let chat = Chat::builtin().await;
    let ada = chat.user("ada").await;
    for n in 0..4 {
        ada.ask(&format!("question {n}")).await.unwrap();
    }
    let all = ada.history().await;
    let roles: Vec<_> = all.iter().map(Message::role).collect();
    assert_eq!(roles, [MessageRole::User, MessageRole::Assistant].repeat(4));
    for size in [1, 3, 8] {
        let (mut joined, mut page_token) = (Vec::new(), String::new());
        loop {
            let page = page(&ada, size, page_token).await;
            assert!(page.messages.len() <= size as usize);
            joined.extend(page.messages);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(joined, all);
    }
}

async fn page(
    user: &User,
    page_size: i32,
    page_token: String,
) -> slipway_proto::chat::v1::GetHistoryResponse {
    let request = user.outbound.request(GetHistoryRequest {
        session_id: user.session.clone(),
        page_size,
        page_token,
    });
    let answer = user.client.clone().get_history(request).await;
    answer.unwrap().into_inner()
}

#[tokio::test]
async fn sessions_are_named_and_listed_newest_first() {
    let chat = Chat::builtin().await;
    let ada = chat.user("ada").await;
    let create = async |title: &str| {
        let title = title.to_owned();
        let request = ada.outbound.request(CreateSessionRequest { title });
        ada.client.clone().create_session(request).await
    };
    create("Planning").await.unwrap();
    create("  ").await.unwrap_err();
    create(&"x".repeat(201)).await.unwrap_err();
    let request = ada.outbound.request(ListSessionsRequest::default());
    let listed = ada.client.clone().list_sessions(request).await.unwrap();
    let titles: Vec<_> = listed
        .into_inner()
        .sessions
        .into_iter()
        .map(|s| s.title)
        .collect();
    assert_eq!(titles, ["Planning", "New conversation"]);
}

#[tokio::test]
async fn the_assistant_requires_a_token() {
    let chat = Chat::builtin().await;
    let mut ada = chat.user("ada").await;
    ada.outbound = Outbound::default();
    assert_eq!(ada.ask("hello?").await.unwrap_err().code, "UNAUTHENTICATED");
}
