//! A chat service with a fake model and a fake release service.

use std::{sync::Arc, time::Duration};

use chat_svc::{
    Config, Dependencies, Stores,
    assistant::{Builtin, Ollama, OllamaConfig, SharedAssistant},
};
use futures::StreamExt as _;
use slipway_bus::{Bus as _, EmbeddedBus, SharedBus, TopicSpec};
use slipway_proto::{
    DESCRIPTOR_SET,
    chat::v1::{
        AnswerInfo, CreateSessionRequest, DeleteSessionRequest, GetHistoryRequest, Message,
        MessageRole, QuestionInfo, RenameSessionRequest, SendMessageRequest, Session,
        StreamMessageRequest, StreamMessageResponse, UnansweredReason,
        chat_service_client::ChatServiceClient, message::About, stream_message_response::Piece,
    },
    events::TOPICS,
};
use slipway_rpc::{
    access::{AccessLayer, Issuer, Keyring, Policies, Role, ServiceSecret, StreamLimits, Verifier},
    error::Fault,
    grpc::{Link, Middleware, Outbound},
};
use slipway_runtime::{
    clock::{SharedClock, SystemClock},
    life::{Background, Health},
};
use tonic::{Request, Streaming};
use uuid::Uuid;

use crate::{ollama::FakeOllama, work::FakeReleases};

/// The context window in these tests.
pub(crate) const WINDOW: u32 = 8_192;

/// A chat service with its dependencies.
pub(crate) struct Chat {
    pub(crate) client: ChatServiceClient<Link>,
    pub(crate) releases: Arc<FakeReleases>,
    pub(crate) bus: SharedBus,
    issuer: Issuer,
    _background: Background,
    _dir: tempfile::TempDir,
}

/// Short time limits, for tests of silence.
pub(crate) fn short_timeouts(ollama: &FakeOllama) -> OllamaConfig {
    OllamaConfig {
        first_token_timeout: Duration::from_millis(400),
        idle_timeout: Duration::from_millis(400),
        catalogue_timeout: Duration::from_millis(200),
        ..OllamaConfig::new(&ollama.url, "llama3.2", WINDOW)
    }
}

impl Chat {
    /// With this fake Ollama.
    pub(crate) async fn with(ollama: &FakeOllama) -> Self {
        Self::with_config(ollama, Config::default()).await
    }

    pub(crate) async fn with_config(ollama: &FakeOllama, config: Config) -> Self {
        let assistant = Ollama::new(OllamaConfig::new(&ollama.url, "llama3.2", WINDOW)).unwrap();
        Self::build(Arc::new(assistant), config).await
    }

    /// With the built-in assistant.
    pub(crate) async fn builtin() -> Self {
        Self::build(Arc::new(Builtin), Config::default()).await
    }

    pub(crate) async fn build(assistant: SharedAssistant, config: Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock: SharedClock = Arc::new(SystemClock);
        let keys = Arc::new(Keyring::ephemeral());
        let verifier = Verifier::with_keys(keys.jwks(), ServiceSecret::random(), clock.clone());
        let policies = Arc::new(Policies::from_descriptor_set(DESCRIPTOR_SET).unwrap());
        let middleware = Middleware::new(AccessLayer::new(
            policies,
            Arc::new(verifier),
            StreamLimits::new(100, 1000),
        ));
        let releases = Arc::new(FakeReleases::default());
        let release = Link::local(middleware.wrap(releases.routes()));
        let bus = EmbeddedBus::open(&dir.path().join("bus.db"), clock.clone()).unwrap();
        let topics: Vec<_> = TOPICS.iter().map(TopicSpec::from).collect();
        bus.create_topics(&topics).await.unwrap();
        let bus: SharedBus = Arc::new(bus);
        let stores = Stores::sqlite(&dir.path().join("chat.db")).unwrap();
        let background = Background::default();
        let routes = config.build(Dependencies {
            stores,
            bus: Arc::clone(&bus),
            release,
            assistant,
            clock: clock.clone(),
            background: background.clone(),
            health: Health::default(),
        });
        Self {
            client: ChatServiceClient::new(Link::local(middleware.wrap(routes))),
            releases,
            bus,
            issuer: Issuer::new(keys, Duration::from_secs(3600), clock),
            _background: background,
            _dir: dir,
        }
    }

    /// A developer with this name and a session.
    pub(crate) async fn user(&self, name: &str) -> User {
        let id = Uuid::now_v7();
        let token = self
            .issuer
            .issue(id, name, Role::Developer, None)
            .unwrap()
            .text;
        let mut user = User {
            client: self.client.clone(),
            outbound: Outbound::with_token(token),
            id,
            session: String::new(),
        };
        user.session = user.new_session().await;
        user
    }
}

/// A user of the assistant.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) client: ChatServiceClient<Link>,
    pub(crate) outbound: Outbound,
    pub(crate) id: Uuid,
    pub(crate) session: String,
}

impl User {
    pub(crate) async fn new_session(&self) -> String {
        let request = self.outbound.request(CreateSessionRequest::default());
        let answer = self.client.clone().create_session(request).await.unwrap();
        answer.into_inner().session.unwrap().id
    }

    pub(crate) async fn rename(&self, title: &str, revision: u64) -> Result<Session, Fault> {
        let request = self.outbound.request(RenameSessionRequest {
            session_id: self.session.clone(),
            title: title.to_owned(),
            revision,
        });
        let answer = self.client.clone().rename_session(request).await;
        Ok(answer.map_err(Fault::from)?.into_inner().session.unwrap())
    }

    pub(crate) async fn delete(&self) -> Result<(), Fault> {
        let request = self.outbound.request(DeleteSessionRequest {
            session_id: self.session.clone(),
        });
        let answer = self.client.clone().delete_session(request).await;
        answer.map(drop).map_err(Fault::from)
    }

    /// The same user in another session.
    pub(crate) async fn elsewhere(&self) -> Self {
        Self {
            session: self.new_session().await,
            ..self.clone()
        }
    }

    pub(crate) async fn ask(&self, text: &str) -> Result<Message, Fault> {
        let request: Request<_> = self.outbound.request(SendMessageRequest {
            session_id: self.session.clone(),
            content: text.to_owned(),
        });
        let answer = self.client.clone().send_message(request).await;
        Ok(answer.map_err(Fault::from)?.into_inner().message.unwrap())
    }

    pub(crate) async fn stream(
        &self,
        text: &str,
    ) -> Result<Streaming<StreamMessageResponse>, Fault> {
        let request = self.outbound.request(StreamMessageRequest {
            session_id: self.session.clone(),
            content: text.to_owned(),
        });
        let answer = self.client.clone().stream_message(request).await;
        Ok(answer.map_err(Fault::from)?.into_inner())
    }

    /// Reads a streamed answer to its end: its texts, and how it ended.
    pub(crate) async fn listen(&self, text: &str) -> (Vec<String>, Result<Message, Fault>) {
        let (mut texts, mut stream) = (Vec::new(), self.stream(text).await.unwrap());
        while let Some(piece) = stream.next().await {
            match piece.map(|piece| piece.piece.unwrap()) {
                Ok(Piece::Text(text)) => texts.push(text),
                Ok(Piece::Answer(answer)) => return (texts, Ok(answer)),
                Err(status) => return (texts, Err(status.into())),
            }
        }
        panic!("the stream ended without an outcome");
    }

    pub(crate) async fn history(&self) -> Vec<Message> {
        self.try_history().await.unwrap()
    }

    pub(crate) async fn try_history(&self) -> Result<Vec<Message>, Fault> {
        let request = self.outbound.request(GetHistoryRequest {
            session_id: self.session.clone(),
            page_size: 200,
            page_token: String::new(),
        });
        let answer = self.client.clone().get_history(request).await;
        Ok(answer.map_err(Fault::from)?.into_inner().messages)
    }

    /// The history in short: roles, texts, and reasons of unanswered questions.
    pub(crate) async fn summary(&self) -> Vec<(MessageRole, String, Option<UnansweredReason>)> {
        let messages = self.history().await.into_iter();
        let short = |message: Message| {
            let reason = question_info(&message).map(|info| info.reason());
            let reason = reason.filter(|reason| *reason != UnansweredReason::Unspecified);
            (message.role(), message.content, reason)
        };
        messages.map(short).collect()
    }
}

pub(crate) fn question_info(message: &Message) -> Option<QuestionInfo> {
    match &message.about {
        Some(About::Question(info)) => Some(*info),
        _ => None,
    }
}

pub(crate) fn answer_info(message: &Message) -> AnswerInfo {
    match &message.about {
        Some(About::Answer(info)) => info.clone(),
        about => panic!("not an answer: {about:?}"),
    }
}
