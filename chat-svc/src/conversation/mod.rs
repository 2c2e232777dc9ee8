//! Answers questions.
//!
//! 1. Refuse what can be refused: the text, the session, the quota, a full queue.
//! 2. Store the question with a lease on the session, so that no other question is answered
//!    meanwhile.
//! 3. In a separate task: read the caller's work, compose the prompt, ask the assistant and renew
//!    the lease. The caller receives each piece as it arrives.
//! 4. Settle the question in one write: with the answer and its event, or with the reason why there
//!    is none. Only then the caller is told that the answer is complete.
//!
//! If the caller disconnects before that, the answer stops and the question stays, as cancelled. If
//! the process dies, the lease expires.

mod generation;

use std::sync::Arc;

use jiff::SignedDuration;
use slipway_rpc::{
    access::Principal,
    error::{Fault, Kind},
    grpc::Outbound,
};
use slipway_runtime::clock::SharedClock;
use slipway_store::{outbox::Wake, receipts::reused};
use tokio::sync::mpsc;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use uuid::Uuid;

use self::generation::Generation;
use crate::{
    Config,
    assistant::SharedAssistant,
    chat::{Answer, MessageId, Question, QuestionText, Reason, Session, SessionId, Title, UserId},
    context::WorkReader,
    prompt::Limits,
    queue::Queue,
    request_key::RequestKey,
    store::{BeginError, Begun, CreateError, Lease, NewQuestion, RenameError, Stores},
};

/// Conversations with the assistant.
pub(crate) struct Conversations {
    pub(crate) stores: Stores,
    pub(crate) assistant: SharedAssistant,
    pub(crate) work: WorkReader,
    pub(crate) queue: Queue,
    pub(crate) clock: SharedClock,
    pub(crate) wake: Wake,
    pub(crate) config: Config,
    /// Cancelled when answers must end.
    pub(crate) shutdown: CancellationToken,
    /// The answers that are being generated.
    pub(crate) answers: TaskTracker,
}

/// An incoming question.
pub(crate) struct Ask {
    pub(crate) session: SessionId,
    pub(crate) content: String,
    pub(crate) caller: Arc<Principal>,
    /// Carries the caller's token, with which their work is read.
    pub(crate) outbound: Outbound,
    pub(crate) request: Option<RequestKey>,
}

/// The result of asking.
pub(crate) enum Asked {
    /// The same request was answered before.
    Earlier(Answer),
    /// It is being answered.
    Answering(AnswerStream),
}

/// An answer that is being generated. Dropping it stops the answer, unless it is complete.
pub(crate) struct AnswerStream {
    pub(crate) pieces: mpsc::UnboundedReceiver<Result<Progress, Fault>>,
    _stop: DropGuard,
}

/// Progress of an answer.
#[derive(Debug)]
pub(crate) enum Progress {
    /// The next part of the text.
    Text(String),
    /// The answer is complete and stored.
    Complete(Box<Answer>),
}

impl Conversations {
    /// Creates a session.
    pub(crate) async fn create(
        &self,
        session: Session,
        request: Option<RequestKey>,
    ) -> Result<Session, Fault> {
        match self.stores.chat.create(session, request).await {
            Ok(session) => Ok(session),
            Err(CreateError::KeyReused) => Err(reused()),
            Err(CreateError::Store(error)) => Err(error.into()),
        }
    }

    /// A session of this owner.
    pub(crate) async fn session(&self, id: SessionId, owner: UserId) -> Result<Session, Fault> {
        let found = self.stores.chat.session(id, owner).await?;
        found.ok_or_else(not_found)
    }

    /// Renames a session, if it is at the revision `expected`.
    pub(crate) async fn rename(
        &self,
        id: SessionId,
        owner: UserId,
        title: Title,
        expected: Option<u64>,
    ) -> Result<Session, Fault> {
        let renamed = self.stores.chat.rename(id, owner, title, expected).await;
        renamed.map_err(|error| match error {
            RenameError::NotFound => not_found(),
            RenameError::Changed(revision) => Fault::new(
                Kind::Contended,
                "SESSION_CHANGED",
                "The session was renamed meanwhile.",
            )
            .fact("revision", revision),
            RenameError::Store(error) => error.into(),
        })
    }

    /// Deletes a session. A process that is answering in it loses the lease and stops.
    pub(crate) async fn delete(&self, id: SessionId, owner: UserId) -> Result<(), Fault> {
        let deleted = self.stores.chat.delete(id, owner, self.clock.now()).await?;
        if deleted { Ok(()) } else { Err(not_found()) }
    }

    /// Stores a question and starts to answer it.
    pub(crate) async fn ask(self: &Arc<Self>, ask: Ask) -> Result<Asked, Fault> {
        let content = self.admit(&ask.content)?;
        let owner = UserId(ask.caller.user_id);
        self.session(ask.session, owner).await?;
        if let Some(earlier) = self.earlier(&ask).await? {
            return Ok(Asked::Earlier(earlier));
        }
        let place = self.queue.enter().ok_or_else(too_many)?;
        self.count(owner).await?;
        let asking = self.asking(&ask, content);
        let question = asking.question.clone();
        let holder = asking.lease.holder;
        let number = match self.stores.chat.begin(asking).await.map_err(refusal)? {
            Begun::New(number) => number,
            Begun::Earlier(turn) => {
                let answer = turn.answer().cloned().ok_or_else(busy)?;
                return Ok(Asked::Earlier(answer));
            }
        };
        let (sender, pieces) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let generation = Generation {
            conversations: Arc::clone(self),
            session: ask.session,
            number,
            holder,
            question,
            caller: ask.caller,
            outbound: ask.outbound,
            stop: stop.clone(),
            listener: sender,
        };
        generation.spawn(place);
        Ok(Asked::Answering(AnswerStream {
            pieces,
            _stop: stop.drop_guard(),
        }))
    }

    fn admit(&self, content: &str) -> Result<QuestionText, Fault> {
        let refuse = |message| Fault::invalid_field("content", message);
        let content = QuestionText::new(content).map_err(refuse)?;
        self.limits()
            .admit(&content)
            .map_err(|_| refuse("is too long for the model's context window"))?;
        Ok(content)
    }

    fn limits(&self) -> Limits {
        Limits {
            messages: self.config.history,
            window: self.assistant.window(),
        }
    }

    /// The answer that the same request got before.
    async fn earlier(&self, ask: &Ask) -> Result<Option<Answer>, Fault> {
        let Some(request) = &ask.request else {
            return Ok(None);
        };
        let now = self.clock.now();
        let earlier = self.stores.chat.earlier(ask.session, request, now).await;
        let turn = earlier.map_err(refusal)?;
        Ok(turn.and_then(|turn| turn.answer().cloned()))
    }

    async fn count(&self, user: UserId) -> Result<(), Fault> {
        let (quota, now) = (self.config.quota, self.clock.now());
        let counted = self.stores.chat.count_question(user, quota, now).await?;
        let Some(free) = counted else { return Ok(()) };
        let limit = quota.limit;
        let fault = Fault::new(
            Kind::RateLimited,
            "QUOTA_EXCEEDED",
            format!("You can ask {limit} questions a minute."),
        );
        let wait = free.duration_since(now).try_into().unwrap_or_default();
        Err(fault
            .fact("limit", limit)
            .fact("windowSeconds", quota.window.as_secs())
            .retry_after(wait))
    }

    fn asking(&self, ask: &Ask, content: QuestionText) -> NewQuestion {
        let now = self.clock.now();
        NewQuestion {
            session: ask.session,
            owner: UserId(ask.caller.user_id),
            question: Question {
                id: MessageId::generate(),
                content,
                asked_at: now,
            },
            lease: self.lease(Uuid::new_v4()),
            request: ask.request.clone(),
        }
    }

    fn lease(&self, holder: Uuid) -> Lease {
        let lease = SignedDuration::try_from(self.config.lease).unwrap_or(SignedDuration::MAX);
        let until = self.clock.now().saturating_add(lease);
        Lease {
            holder,
            until: until.unwrap_or(jiff::Timestamp::MAX),
        }
    }
}

fn refusal(error: BeginError) -> Fault {
    match error {
        BeginError::NotFound => not_found(),
        BeginError::Busy => busy(),
        BeginError::KeyReused => reused(),
        BeginError::Store(error) => error.into(),
    }
}

fn not_found() -> Fault {
    Fault::new(
        Kind::NotFound,
        "SESSION_NOT_FOUND",
        "You have no such session.",
    )
}

fn busy() -> Fault {
    Fault::new(
        Kind::Conflict,
        "CHAT_BUSY",
        "The assistant is still answering another question of this session.",
    )
    .retry_after(std::time::Duration::from_secs(1))
}

fn too_many() -> Fault {
    Fault::new(
        Kind::Unavailable,
        "ASSISTANT_BUSY",
        "Too many questions are waiting for the assistant. Yours was not stored: ask again.",
    )
    .retry_after(std::time::Duration::from_secs(5))
}

/// The fault that a client receives for a question without an answer.
fn unanswered(reason: Reason) -> Fault {
    let (code, why) = match reason {
        Reason::Unavailable => ("ASSISTANT_UNAVAILABLE", "The model cannot be reached."),
        Reason::ModelMissing => ("ASSISTANT_UNAVAILABLE", "The model is not installed."),
        Reason::Timeout => ("ASSISTANT_UNAVAILABLE", "The model took too long."),
        Reason::Truncated => ("ASSISTANT_UNAVAILABLE", "The model's answer broke off."),
        Reason::Malformed => ("ASSISTANT_UNAVAILABLE", "The model's answer made no sense."),
        Reason::OnlyThinking => (
            "ASSISTANT_UNAVAILABLE",
            "The model spent its answer on thinking and said nothing.",
        ),
        Reason::Empty => ("ASSISTANT_UNAVAILABLE", "The model's answer was empty."),
        Reason::ServerError => ("ASSISTANT_UNAVAILABLE", "The model reported an error."),
        Reason::Busy => (
            "ASSISTANT_BUSY",
            "The question waited too long for its turn.",
        ),
        Reason::Cancelled => ("ANSWER_INTERRUPTED", "The answer was stopped."),
        Reason::Interrupted => ("ANSWER_INTERRUPTED", "The answer was interrupted."),
        Reason::ContextUnavailable => (
            "UNAVAILABLE",
            "Your tasks and releases cannot be read at the moment.",
        ),
    };
    let detail = format!("{why} Your question is kept, unanswered.");
    Fault::new(Kind::Unavailable, code, detail)
        .fact("reason", reason.name())
        .retry_after(std::time::Duration::from_secs(5))
}
