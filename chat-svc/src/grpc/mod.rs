//! `slipway.chat.v1.ChatService`: translates requests, calls [`Conversations`], translates results.

mod translate;

use std::{fmt::Display, pin::Pin, str::FromStr, sync::Arc};

use futures::{Stream, StreamExt as _, stream};
use slipway_proto::chat::v1::{
    CreateSessionRequest, CreateSessionResponse, DeleteSessionRequest, DeleteSessionResponse,
    GetHistoryRequest, GetHistoryResponse, ListSessionsRequest, ListSessionsResponse,
    RenameSessionRequest, RenameSessionResponse, SendMessageRequest, SendMessageResponse,
    StreamMessageRequest, StreamMessageResponse, chat_service_server::ChatService,
    stream_message_response::Piece,
};
use slipway_rpc::{
    access::principal,
    error::Fault,
    grpc::Outbound,
    page::{self, Page},
};
use tonic::{Request, Response, Status};

use crate::{
    chat::{Answer, FIRST_REVISION, Message, Session, SessionId, Title, Turn, UserId},
    conversation::{Ask, Asked, Conversations, Progress},
    request_key::RequestKey,
};

/// The service.
pub(crate) struct Chat {
    pub(crate) conversations: Arc<Conversations>,
}

#[tonic::async_trait]
impl ChatService for Chat {
    async fn create_session(
        &self,
        request: Request<CreateSessionRequest>,
    ) -> Result<Response<CreateSessionResponse>, Status> {
        let caller = principal(&request)?;
        let key = RequestKey::of(&request, "CreateSession", &caller)?;
        let title = Title::or_default(&request.get_ref().title)
            .map_err(|message| Fault::invalid_field("title", message))?;
        let session = Session {
            id: SessionId::generate(),
            owner: UserId(caller.user_id),
            title,
            created_at: self.conversations.clock.now(),
            last_message_at: None,
            revision: FIRST_REVISION,
        };
        let session = self.conversations.create(session, key).await?;
        Ok(Response::new(CreateSessionResponse {
            session: Some(translate::session(&session)),
        }))
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let owner = UserId(principal(&request)?.user_id);
        let message = request.into_inner();
        let list = format!("sessions?{owner}");
        let limit = page::limit(message.page_size, page::MAX_LIMIT)?;
        let after = page::decode_cursor(&list, &message.page_token)?;
        let found = self.conversations.stores.chat.sessions(owner, after, limit);
        let found = found.await.map_err(Fault::from)?;
        Ok(Response::new(ListSessionsResponse {
            next_page_token: page::encode_cursor(&list, found.next.as_ref()),
            sessions: found.items.iter().map(translate::session).collect(),
        }))
    }

    async fn rename_session(
        &self,
        request: Request<RenameSessionRequest>,
    ) -> Result<Response<RenameSessionResponse>, Status> {
        let owner = UserId(principal(&request)?.user_id);
        let message = request.into_inner();
        let id = session_id(&message.session_id)?;
        let title = Title::new(&message.title).map_err(|why| Fault::invalid_field("title", why))?;
        let expected = (message.revision > 0).then_some(message.revision);
        let session = self
            .conversations
            .rename(id, owner, title, expected)
            .await?;
        Ok(Response::new(RenameSessionResponse {
            session: Some(translate::session(&session)),
        }))
    }

    async fn delete_session(
        &self,
        request: Request<DeleteSessionRequest>,
    ) -> Result<Response<DeleteSessionResponse>, Status> {
        let owner = UserId(principal(&request)?.user_id);
        let id = session_id(&request.get_ref().session_id)?;
        self.conversations.delete(id, owner).await?;
        Ok(Response::new(DeleteSessionResponse {}))
    }

    async fn get_history(
        &self,
        request: Request<GetHistoryRequest>,
    ) -> Result<Response<GetHistoryResponse>, Status> {
        let owner = UserId(principal(&request)?.user_id);
        let message = request.into_inner();
        let id: SessionId = session_id(&message.session_id)?;
        let list = format!("history?{id}");
        let limit = page::limit(message.page_size, page::MAX_LIMIT)?;
        let after = page::decode_cursor(&list, &message.page_token)?;
        self.conversations.session(id, owner).await?;
        let found = self.history(id, after.unwrap_or(0), limit).await?;
        Ok(Response::new(GetHistoryResponse {
            next_page_token: page::encode_cursor(&list, found.next.as_ref()),
            messages: found
                .items
                .into_iter()
                .map(|(_, message)| translate::message(id, message))
                .collect(),
        }))
    }

    async fn send_message(
        &self,
        request: Request<SendMessageRequest>,
    ) -> Result<Response<SendMessageResponse>, Status> {
        let ask = ask(
            &request,
            &request.get_ref().session_id,
            &request.get_ref().content,
        )?;
        let session = ask.session;
        let answer = match self.conversations.ask(ask).await? {
            Asked::Earlier(answer) => answer,
            Asked::Answering(mut answering) => loop {
                match answering.pieces.recv().await {
                    Some(Ok(Progress::Text(_))) => {}
                    Some(Ok(Progress::Complete(answer))) => break *answer,
                    Some(Err(fault)) => return Err(fault.into()),
                    None => return Err(vanished().into()),
                }
            },
        };
        Ok(Response::new(SendMessageResponse {
            message: Some(translate::message(session, Message::Answer(answer))),
        }))
    }

    type StreamMessageStream =
        Pin<Box<dyn Stream<Item = Result<StreamMessageResponse, Status>> + Send>>;

    async fn stream_message(
        &self,
        request: Request<StreamMessageRequest>,
    ) -> Result<Response<Self::StreamMessageStream>, Status> {
        let ask = ask(
            &request,
            &request.get_ref().session_id,
            &request.get_ref().content,
        )?;
        let session = ask.session;
        let pieces = match self.conversations.ask(ask).await? {
            Asked::Earlier(answer) => stream::iter([Ok(complete(session, answer))]).boxed(),
            Asked::Answering(answering) => {
                stream::unfold(Some(answering), move |left| async move {
                    let mut answering = left?;
                    let (piece, more) = match answering.pieces.recv().await {
                        Some(Ok(Progress::Text(text))) => (Ok(Piece::Text(text)), true),
                        Some(Ok(Progress::Complete(answer))) => {
                            (Ok(answer_piece(session, *answer)), false)
                        }
                        Some(Err(fault)) => (Err(fault), false),
                        None => (Err(vanished()), false),
                    };
                    let response = piece.map(|piece| StreamMessageResponse { piece: Some(piece) });
                    Some((response.map_err(Status::from), more.then_some(answering)))
                })
                .boxed()
            }
        };
        Ok(Response::new(pieces))
    }
}

impl Chat {
    /// A session's messages after a position, each with its own position.
    async fn history(
        &self,
        session: SessionId,
        after: u64,
        limit: u32,
    ) -> Result<Page<(u64, Message), u64>, Fault> {
        // Reads one message more than the page has; each turn has at least one message.
        let chat = &self.conversations.stores.chat;
        let turns = chat.turns(session, Turn::before(after), limit + 1);
        let messages = turns
            .await?
            .into_iter()
            .flat_map(Turn::messages)
            .filter(|(place, _)| *place > after)
            .collect();
        Ok(Page::from_overfetch(messages, limit, |(place, _)| *place))
    }
}

fn complete(session: SessionId, answer: Answer) -> StreamMessageResponse {
    StreamMessageResponse {
        piece: Some(answer_piece(session, answer)),
    }
}

fn answer_piece(session: SessionId, answer: Answer) -> Piece {
    Piece::Answer(translate::message(session, Message::Answer(answer)))
}

fn ask<T: prost::Message>(
    request: &Request<T>,
    session: &str,
    content: &str,
) -> Result<Ask, Status> {
    let caller = principal(request)?;
    let session = session_id(session)?;
    Ok(Ask {
        session,
        content: content.to_owned(),
        // The same request, streamed or not.
        request: RequestKey::of(request, "SendMessage", &caller)?,
        outbound: Outbound::on_behalf_of(request),
        caller,
    })
}

fn session_id<T>(text: &str) -> Result<T, Fault>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse()
        .map_err(|error: T::Err| Fault::invalid_field("session_id", error.to_string()))
}

/// The answering task has panicked.
fn vanished() -> Fault {
    Fault::internal("an answer ended without an outcome")
}
