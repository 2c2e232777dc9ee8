//! chat-svc: the assistant. It knows the caller's work, remembers the conversation, and
//! never passes a failure off as an answer.
//!
//! | to find | look in |
//! | --- | --- |
//! | what sessions, questions and answers are | [`chat`] (pure) |
//! | what a model is told, and what of it fits | [`prompt`] (pure) |
//! | the model, and the built-in assistant | [`assistant`] |
//! | how a question is answered, and what can happen meanwhile | `conversation` |
//! | where the caller's work comes from | `context` |
//! | what is stored, and how one answer at a time is kept | [`store`] |
//! | `slipway.chat.v1.ChatService` | `grpc` |

pub mod assistant;
pub mod chat;
mod context;
mod conversation;
mod grpc;
mod jobs;
mod metrics;
pub mod prompt;
mod queue;
pub mod request_key;
pub mod store;

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use slipway_bus::SharedBus;
use slipway_proto::chat::v1::chat_service_server::{self, ChatServiceServer};
use slipway_rpc::grpc::Link;
use slipway_runtime::{
    clock::SharedClock,
    life::{Background, Health, Need},
};
use slipway_store::outbox::{Publisher, Wake};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::Routes;

pub use store::{Quota, Stores};

use self::{
    assistant::SharedAssistant, context::WorkReader, conversation::Conversations, queue::Queue,
};

/// The service's name in events, metrics and logs.
pub const SERVICE: &str = "chat-svc";

/// Full names of the gRPC services in the routes.
pub const SERVICES: &[&str] = &[chat_service_server::SERVICE_NAME];

/// How many earlier messages of a conversation a model may be shown.
pub const HISTORY: RangeInclusive<u32> = 3..=20;

/// How chat-svc behaves.
#[derive(Debug, Clone)]
pub struct Config {
    /// Earlier messages of the session that a model is shown, within [`HISTORY`].
    pub history: u32,
    /// Answers that are written at the same time.
    pub concurrency: usize,
    /// Questions that wait for their turn at most.
    pub queue: usize,
    /// How long a question may wait for its turn.
    pub queue_timeout: Duration,
    /// How long an answer may take, from its turn on.
    pub answer_timeout: Duration,
    /// How long a session stays taken by a process that has died.
    pub lease: Duration,
    /// How many questions a user may ask.
    pub quota: Quota,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            history: 5,
            concurrency: 4,
            queue: 64,
            queue_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(120),
            lease: Duration::from_secs(8),
            quota: Quota {
                limit: 40,
                window: Duration::from_secs(60),
            },
        }
    }
}

/// What chat-svc needs.
pub struct Dependencies {
    /// Where conversations are kept.
    pub stores: Stores,
    /// Where events go.
    pub bus: SharedBus,
    /// The release service, which is asked for the caller's work.
    pub release: Link,
    /// Who answers.
    pub assistant: SharedAssistant,
    /// The time.
    pub clock: SharedClock,
    /// Runs the outbox publisher, the sweep, and the end of answers.
    pub background: Background,
    /// Where its dependencies are registered.
    pub health: Health,
}

impl Config {
    /// The service. Begins its background work.
    #[must_use]
    pub fn build(self, dependencies: Dependencies) -> Routes {
        metrics::describe();
        let Dependencies {
            stores,
            bus,
            release,
            assistant,
            clock,
            background,
            health,
        } = dependencies;
        for service in SERVICES {
            let store = Arc::new(stores.chat.clone());
            health.depends(service, "store", Need::Required, store);
        }
        // Answers are given without it: their events wait in the outbox.
        health.depends(SERVICE, "bus", Need::Degraded, bus.clone());
        // While it is away conversations can be read, and questions are kept.
        health.depends(SERVICE, "model", Need::Degraded, assistant.clone());
        let (wake, shutdown) = (Wake::default(), CancellationToken::new());
        let answers = TaskTracker::new();
        Publisher {
            service: SERVICE,
            store: Arc::clone(&stores.outbox),
            bus,
            wake: wake.clone(),
            clock: clock.clone(),
        }
        .spawn(&background);
        jobs::sweep(stores.chat.clone(), clock.clone(), &background);
        jobs::end_answers(shutdown.clone(), answers.clone(), &background);
        let conversations = Conversations {
            queue: Queue::new(self.concurrency, self.queue),
            work: WorkReader::new(release),
            config: self,
            stores,
            assistant,
            clock,
            wake,
            shutdown,
            answers,
        };
        Routes::new(ChatServiceServer::new(grpc::Chat {
            conversations: Arc::new(conversations),
        }))
    }
}
