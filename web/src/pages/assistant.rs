//! The assistant: the visitor's conversations, and one of them.

use maud::{Markup, html};
use slipway_proto::chat::v1::{
    GetHistoryRequest, GetHistoryResponse, ListSessionsRequest, ListSessionsResponse, Message,
    MessageRole,
};
use slipway_rpc::error::Fault;

use super::Page;
use crate::{
    markdown,
    parts::{area, button, more, person},
    times::when,
    visit::Visit,
};

const ASK: &str = "/ui/assistant";

pub(super) async fn page(visit: &Visit) -> Result<Page, Fault> {
    let chosen = visit.query.get("session");
    let (sessions, history) = tokio::try_join!(sessions(visit), history(visit, chosen))?;
    Page::new(
        "Assistant",
        html! {
            h1 { "Assistant" }
            p.hint {
                "It knows your tasks and releases. Ask, for example, “What should I do next?” or “What blocks Spring?”."
            }
            @if !sessions.sessions.is_empty() {
                nav.tabs aria-label="Conversations" {
                    a href="/assistant" aria-current=[chosen.is_empty().then_some("page")] { "New conversation" }
                    @for session in &sessions.sessions {
                        a href={ "/assistant?session=" (session.id) }
                            aria-current=[(chosen == session.id).then_some("page")] { bdi { (session.title) } }
                    }
                }
            }
            @for message in &history.messages { (shown(visit, message)) }
            (more(visit, &history.next_page_token, "Later messages"))
            div #ask {
                (visit.form(ASK, "card", &html! {
                    (visit.once(ASK))
                    input type="hidden" name="session" value=(chosen);
                    (area("Question", "content", visit.typed(ASK, "content", ""), 3, true))
                    (button("Ask", "main"))
                    p.hint { "The page comes back with the answer. A model may need a minute." }
                }))
            }
            @if !chosen.is_empty() {
                (visit.form("/ui/assistant/delete", "act", &html! {
                    input type="hidden" name="session" value=(chosen);
                    (button("Delete this conversation", "danger"))
                }))
            }
        },
    )
}

fn shown(visit: &Visit, message: &Message) -> Markup {
    let is_question = message.role() == MessageRole::User;
    html! {
        article.card.message {
            p.facts {
                @if is_question { (person(&visit.user.username)) } @else { span.person { "Assistant" } }
                " " (when(message.created_at.as_ref(), visit.now))
            }
            @if is_question { div.prose.plain dir="auto" { (message.content) } } @else { div.prose { (markdown::text(&message.content)) } }
        }
    }
}

async fn sessions(visit: &Visit) -> Result<ListSessionsResponse, Fault> {
    let request = visit.request(ListSessionsRequest {
        page_size: 20,
        ..ListSessionsRequest::default()
    });
    let answer = visit.services().chat.clone().list_sessions(request).await?;
    Ok(answer.into_inner())
}

/// The messages of a conversation, if one is chosen.
async fn history(visit: &Visit, session: &str) -> Result<GetHistoryResponse, Fault> {
    if session.is_empty() {
        return Ok(GetHistoryResponse::default());
    }
    let request = visit.request(GetHistoryRequest {
        session_id: session.to_owned(),
        page_size: 200,
        page_token: visit.query.get("cursor").to_owned(),
    });
    let answer = visit.services().chat.clone().get_history(request).await?;
    Ok(answer.into_inner())
}
