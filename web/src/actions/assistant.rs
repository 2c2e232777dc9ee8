//! Questions to the assistant.

use std::time::Duration;

use axum::response::Response;
use slipway_proto::chat::v1::{
    CreateSessionRequest, DeleteSessionRequest, GetHistoryRequest, SendMessageRequest,
};
use slipway_rpc::{error::Fault, grpc::Outbound};
use slipway_runtime::text::{check_line, shortened};

use super::Sent;

/// A model may take minutes for an answer.
const DEADLINE: Duration = Duration::from_secs(290);

/// Characters of a question that name its conversation.
const LONGEST_TITLE: usize = 60;

/// Asks, in a conversation or at the beginning of one, and waits for the answer.
pub(super) async fn ask(sent: Sent) -> Response {
    let session = sent.line("session");
    let is_new = session.is_empty();
    let session = match is_new {
        true => begin(&sent).await,
        false => Ok(session),
    };
    let session = match session {
        Ok(session) => session,
        Err(fault) => return sent.end(Err(fault)).await,
    };
    let address = format!("/assistant?session={session}");
    let outbound = Outbound {
        deadline: Some(DEADLINE),
        ..sent.outbound()
    };
    let request = outbound.request(SendMessageRequest {
        session_id: session.clone(),
        content: sent.fields.get("content").to_owned(),
    });
    let answer = sent.services().chat.clone().send_message(request).await;
    match answer {
        Ok(_) => sent.end(Ok(format!("{address}#ask"))).await,
        Err(status) if is_new && is_deleted_if_empty(&sent, session).await => {
            sent.end_at("/assistant", Err(status.into())).await
        }
        Err(status) => sent.end_at(&address, Err(status.into())).await,
    }
}

/// Deletes a conversation without a question: the first one was refused. Whether it was deleted.
async fn is_deleted_if_empty(sent: &Sent, session_id: String) -> bool {
    let history = GetHistoryRequest {
        session_id: session_id.clone(),
        page_size: 1,
        page_token: String::new(),
    };
    let mut chat = sent.services().chat.clone();
    let outbound = &sent.visitor.outbound;
    match chat.get_history(outbound.request(history)).await {
        Ok(history) if history.get_ref().messages.is_empty() => {
            let request = outbound.request(DeleteSessionRequest { session_id });
            chat.delete_session(request).await.is_ok()
        }
        _ => false,
    }
}

/// Begins a conversation that is named after its first question.
async fn begin(sent: &Sent) -> Result<String, Fault> {
    let question = sent.fields.get("content").trim();
    let Some(line) = question.lines().next() else {
        return Err(Fault::invalid_field("content", "must not be empty"));
    };
    // A title is one line of plain characters, and a question need not be.
    let plain = |c: char| check_line(c.encode_utf8(&mut [0; 4])).is_ok();
    let line: String = line
        .chars()
        .map(|c| if plain(c) { c } else { ' ' })
        .collect();
    let mut outbound = sent.outbound();
    outbound.idempotency_key = outbound.idempotency_key.map(|key| key + "-session");
    let request = outbound.request(CreateSessionRequest {
        title: shortened(line.trim(), LONGEST_TITLE).into_owned(),
    });
    let answer = sent.services().chat.clone().create_session(request).await?;
    Ok(answer.into_inner().session.unwrap_or_default().id)
}

pub(super) async fn delete(sent: Sent) -> Response {
    let request = sent.request(DeleteSessionRequest {
        session_id: sent.line("session"),
    });
    let answer = sent.services().chat.clone().delete_session(request).await;
    let outcome = answer.map(|_| "/assistant".to_owned()).map_err(Fault::from);
    sent.end(outcome).await
}
