//! A fake chat service, which gives every caller the same answer.

use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use slipway_proto::chat::v1::{
    chat_service_server::ChatService, message::About, stream_message_response::Piece, *,
};
use slipway_rpc::error::{Fault, Kind};
use tonic::{Request, Response, Status};

use super::core::{Core, RELEASE, TASK, answers, at};

pub(crate) const SESSION: &str = "0190c2b8-7a5e-7c3f-8f00-0000000000dd";
const MESSAGE: &str = "0190c2b8-7a5e-7c3f-8f00-0000000000ee";

fn session() -> Session {
    Session {
        id: SESSION.into(),
        title: "Planning".into(),
        created_at: at(0),
        last_message_at: at(60),
        revision: 4,
    }
}

fn question(reason: UnansweredReason) -> Message {
    Message {
        id: MESSAGE.into(),
        session_id: SESSION.into(),
        role: MessageRole::User.into(),
        content: "what is next?".into(),
        created_at: at(60),
        about: Some(About::Question(QuestionInfo {
            state: match reason {
                UnansweredReason::Unspecified => QuestionState::Answered.into(),
                _ => QuestionState::Unanswered.into(),
            },
            reason: reason.into(),
        })),
    }
}

fn answer() -> Message {
    Message {
        id: MESSAGE.into(),
        session_id: SESSION.into(),
        role: MessageRole::Assistant.into(),
        content: "Write the\nnotes.".into(),
        created_at: at(61),
        about: Some(About::Answer(AnswerInfo {
            model: "llama3.2".into(),
            latency_ms: 1000,
            time_to_first_token_ms: 200,
            prompt_tokens: Some(700),
            answer_tokens: None,
            context: Some(Context {
                task_ids: vec![TASK.into()],
                release_ids: vec![RELEASE.into()],
                messages: 3,
                dropped: 0,
            }),
        })),
    }
}

answers! { ChatService:
    create_session(CreateSessionRequest) -> CreateSessionResponse { session: Some(session()) }
    list_sessions(ListSessionsRequest) -> ListSessionsResponse {
        sessions: vec![session()],
        next_page_token: "next".into(),
    }
    rename_session(RenameSessionRequest) -> RenameSessionResponse { session: Some(session()) }
    delete_session(DeleteSessionRequest) -> DeleteSessionResponse {}
    get_history(GetHistoryRequest) -> GetHistoryResponse {
        messages: vec![
            question(UnansweredReason::ModelMissing),
            question(UnansweredReason::Unspecified),
            answer(),
        ],
        next_page_token: String::new(),
    }
    send_message(SendMessageRequest) -> SendMessageResponse { message: Some(answer()) }
    ;
    type StreamMessageStream = BoxStream<'static, Result<StreamMessageResponse, Status>>;

    /// The content of the message decides how the stream ends.
    async fn stream_message(
        &self,
        request: Request<StreamMessageRequest>,
    ) -> Result<Response<Self::StreamMessageStream>, Status> {
        let asked = request.get_ref().content.clone();
        self.answer(request, ()).await?;
        let say = |piece| Ok(StreamMessageResponse { piece: Some(piece) });
        let text = |text: &str| say(Piece::Text(text.to_owned()));
        let away = Fault::new(Kind::Unavailable, "ASSISTANT_UNAVAILABLE", "It is away.")
            .fact("reason", "TRUNCATED");
        let pieces: Vec<Result<_, Status>> = match asked.as_str() {
            "fail" => vec![text("Write "), Err(away.into())],
            "break off" => vec![text("Write ")],
            "nothing" => vec![],
            _ => vec![
                text("Write the\n"),
                text("notes."),
                say(Piece::Answer(answer())),
            ],
        };
        let pieces = stream::iter(pieces);
        if asked == "nothing" {
            return Ok(Response::new(pieces.chain(stream::pending()).boxed()));
        }
        Ok(Response::new(pieces.boxed()))
    }
}
