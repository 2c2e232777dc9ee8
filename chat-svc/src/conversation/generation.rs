//! Generates one answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use slipway_bus::{Actor, Event, event::Origin};
use slipway_proto::events::ChatAnsweredEvent;
use slipway_rpc::{
    access::Principal,
    error::{Fault, Kind},
    grpc::Outbound,
};
use slipway_runtime::{telemetry::TraceContext, text::is_blank};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use uuid::Uuid;

use super::{Conversations, Progress, unanswered};
use crate::{
    SERVICE,
    assistant::{End, Failure, Piece},
    chat::{Answer, MessageId, Question, Reason, SessionId, Tokens, UsedContext, UserId},
    metrics as m,
    prompt::{Prompt, compose},
    queue::Place,
    store::{Settled, StoreError},
};

/// Maximum size of an answer in bytes. The number of tokens is limited too; this is for a server
/// that ignores the limit.
const MAX_ANSWER: usize = 256 * 1024;

/// Delay before storing an outcome is retried.
const PAUSE: Duration = Duration::from_millis(250);

/// An answer that is being generated.
pub(super) struct Generation {
    pub(super) conversations: Arc<Conversations>,
    pub(super) session: SessionId,
    pub(super) number: u64,
    pub(super) holder: Uuid,
    pub(super) question: Question,
    pub(super) caller: Arc<Principal>,
    pub(super) outbound: Outbound,
    /// Cancelled when the caller has disconnected.
    pub(super) stop: CancellationToken,
    pub(super) listener: mpsc::UnboundedSender<Result<Progress, Fault>>,
}

/// Why an answer was not finished.
enum Stop {
    /// The question stays unanswered for this reason.
    Unanswered(Reason),
    /// The model failed.
    Failed(Failure),
    /// The caller's work could not be read.
    NoWork(Fault),
    /// The lease is lost.
    Lost,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The model's output.
struct Written {
    content: String,
    tokens: Tokens,
    first_token: Duration,
    used: UsedContext,
}

impl Generation {
    /// Generates the answer in a task of its own, which stores an outcome in every case.
    pub(super) fn spawn(self, place: Place) {
        let answers = self.conversations.answers.clone();
        let span = tracing::info_span!(
            "answer",
            session = %self.session,
            turn = self.number,
            trace_id = TraceContext::current().trace_id(),
        );
        let run = TraceContext::current().scope(async move { self.run(place).await });
        answers.spawn(run.instrument(span));
    }

    async fn run(&self, place: Place) {
        let started = Instant::now();
        let shutdown = &self.conversations.shutdown;
        let written = tokio::select! {
            biased;
            written = self.write(place, started) => written,
            () = self.stop.cancelled() => Err(Stop::Unanswered(Reason::Cancelled)),
            () = shutdown.cancelled() => Err(Stop::Unanswered(Reason::Interrupted)),
            () = self.lose_lease() => Err(Stop::Lost),
        };
        let outcome = match written {
            Ok(written) => self.complete(written, started.elapsed()).await,
            Err(stop) => Err(self.give_up(stop).await),
        };
        // The caller may have disconnected.
        let _ = self.listener.send(outcome.map(Progress::Complete));
    }

    async fn write(&self, place: Place, started: Instant) -> Result<Written, Stop> {
        let config = &self.conversations.config;
        let _turn = tokio::time::timeout(config.queue_timeout, place.turn())
            .await
            .map_err(|_| Stop::Unanswered(Reason::Busy))?;
        let prompt = self.prompt().await?;
        let listen = self.listen(&prompt, started);
        tokio::time::timeout(config.answer_timeout, listen)
            .await
            .unwrap_or_else(|_| Err(Failure::Timeout("it took too long").into()))
    }

    async fn prompt(&self) -> Result<Prompt, Stop> {
        let conversations = &*self.conversations;
        let limits = conversations.limits();
        // A turn has two messages.
        let count = limits.messages.div_ceil(2);
        let chat = &conversations.stores.chat;
        let question = &self.question;
        let text = question.content.as_str();
        let most = conversations.assistant.releases();
        let work = &conversations.work;
        let (work, turns) = tokio::join!(
            work.read(&self.caller, &self.outbound, question.asked_at, text, most),
            chat.answered_before(self.session, self.number, count),
        );
        let work = work.map_err(Stop::NoWork)?;
        let turns = turns.map_err(|error| Stop::NoWork(error.into()))?;
        Ok(compose(work, &turns, &question.content, limits))
    }

    async fn listen(&self, prompt: &Prompt, started: Instant) -> Result<Written, Stop> {
        let mut pieces = self.conversations.assistant.answer(prompt).await?;
        let mut content = String::new();
        let mut first_token = None;
        while let Some(piece) = pieces.next().await {
            match piece? {
                Piece::Text(text) => {
                    first_token.get_or_insert_with(|| started.elapsed());
                    content.push_str(&text);
                    if content.len() > MAX_ANSWER {
                        return Err(
                            Failure::Malformed("it exceeds the size limit".to_owned()).into()
                        );
                    }
                    let _ = self.listener.send(Ok(Progress::Text(text)));
                }
                Piece::Done(tokens) => {
                    if is_blank(&content) {
                        return Err(Failure::Empty(End::Finished).into());
                    }
                    return Ok(Written {
                        content,
                        tokens,
                        first_token: first_token.unwrap_or_default(),
                        used: prompt.used.clone(),
                    });
                }
            }
        }
        Err(Failure::Truncated("it ended without its final piece".to_owned()).into())
    }

    /// Renews the lease; returns when it is lost.
    async fn lose_lease(&self) {
        let conversations = &*self.conversations;
        loop {
            tokio::time::sleep(conversations.config.lease / 4).await;
            let lease = conversations.lease(self.holder);
            match conversations.stores.chat.renew(self.session, lease).await {
                Ok(true) => {}
                Ok(false) => return,
                // If the lease is lost in the meantime, the next renewal or the final write will
                // show it.
                Err(error) => tracing::warn!(%error, "failed to renew the lease of a question"),
            }
        }
    }

    /// Stores the answer and its event.
    async fn complete(&self, written: Written, took: Duration) -> Result<Box<Answer>, Fault> {
        let conversations = &*self.conversations;
        let answer = Box::new(Answer {
            id: MessageId::generate(),
            content: written.content,
            model: conversations.assistant.model().to_owned(),
            answered_at: conversations.clock.now(),
            latency_ms: millis(took),
            time_to_first_token_ms: millis(written.first_token),
            tokens: written.tokens,
            context: written.used,
        });
        let event = self.event(&answer);
        match self
            .settle(Settled::Answered(answer.clone()), Some(event))
            .await
        {
            Ok(true) => {
                conversations.wake.wake(self.session.0);
                record(&answer, took, written.first_token);
                Ok(answer)
            }
            Ok(false) => Err(self.lost().await),
            Err(error) => Err(error.into()),
        }
    }

    /// The lease is lost: another process has settled the question, or the session was deleted.
    async fn lost(&self) -> Fault {
        let owner = UserId(self.caller.user_id);
        match self.conversations.session(self.session, owner).await {
            Err(gone) if gone.kind == Kind::NotFound => {
                self.count(Reason::Cancelled);
                gone
            }
            _ => self.count(Reason::Interrupted),
        }
    }

    async fn give_up(&self, stop: Stop) -> Fault {
        let (reason, fault) = match stop {
            Stop::Unanswered(reason) => (reason, None),
            Stop::Failed(failure) => {
                tracing::warn!(error = %failure, "the assistant's model failed");
                (failure.reason(), None)
            }
            Stop::NoWork(fault) => (Reason::ContextUnavailable, Some(fault)),
            Stop::Lost => return self.lost().await,
        };
        match self.settle(Settled::Unanswered(reason), None).await {
            Ok(true) => {}
            Ok(false) => return self.lost().await,
            // The lease will expire.
            Err(error) => {
                tracing::warn!(%error, reason = reason.name(), "failed to store the outcome of a question");
            }
        }
        let unanswered_fault = self.count(reason);
        match fault {
            // An expired token, for example, is the caller's own problem, so the caller gets that
            // fault.
            Some(fault) if fault.kind != Kind::Unavailable => fault,
            _ => unanswered_fault,
        }
    }

    /// Counts a failure; returns the fault for the client.
    fn count(&self, reason: Reason) -> Fault {
        let model = self.conversations.assistant.model().to_owned();
        metrics::counter!(m::REQUESTS, "model" => model.clone(), "outcome" => "unanswered")
            .increment(1);
        metrics::counter!(m::FAILURES, "model" => model, "reason" => reason.name()).increment(1);
        unanswered(reason)
    }

    async fn settle(&self, state: Settled, event: Option<Event>) -> Result<bool, StoreError> {
        let chat = &self.conversations.stores.chat;
        // By then the lease has expired.
        let deadline = Instant::now() + self.conversations.config.lease;
        let mut again = false;
        loop {
            let settle = chat.settle(self.session, self.holder, state.clone(), event.clone());
            match settle.await {
                // An earlier write with an unknown result may have succeeded: then the lease is
                // gone.
                Ok(false) if again => return self.is_stored(&state).await,
                Ok(settled) => return Ok(settled),
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(error) => tracing::warn!(%error, "retrying to store the outcome of a question"),
            }
            again = true;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn is_stored(&self, state: &Settled) -> Result<bool, StoreError> {
        let chat = &self.conversations.stores.chat;
        let turns = chat.turns(self.session, self.number - 1, 1).await?;
        let stored = turns.first().map(|turn| &turn.state);
        Ok(stored == Some(&state.clone().into()))
    }

    fn event(&self, answer: &Answer) -> Event {
        let payload = ChatAnsweredEvent {
            session_id: self.session.0,
            message_id: answer.id.0,
            user_id: self.caller.user_id,
            model: answer.model.clone(),
            latency_ms: answer.latency_ms,
            time_to_first_token_ms: answer.time_to_first_token_ms,
            prompt_tokens: answer.tokens.prompt,
            answer_tokens: answer.tokens.answer,
        };
        let actor = Actor::User {
            id: self.caller.user_id,
            username: self.caller.username.clone(),
        };
        let origin = Origin {
            service: SERVICE,
            key: self.session.0,
            subject: self.session.0,
            actor: &actor,
            time: answer.answered_at,
        };
        Event::new(&payload, &origin)
    }
}

fn record(answer: &Answer, took: Duration, first_token: Duration) {
    let model = answer.model.clone();
    metrics::counter!(m::REQUESTS, "model" => model.clone(), "outcome" => "answered").increment(1);
    metrics::histogram!(m::LATENCY_SECONDS, "model" => model.clone()).record(took);
    metrics::histogram!(m::FIRST_TOKEN_SECONDS, "model" => model.clone()).record(first_token);
    let kinds = [
        ("prompt", answer.tokens.prompt),
        ("answer", answer.tokens.answer),
    ];
    for (kind, tokens) in kinds {
        if let Some(tokens) = tokens {
            metrics::counter!(m::TOKENS, "model" => model.clone(), "kind" => kind)
                .increment(tokens.into());
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
