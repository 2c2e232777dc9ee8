//! chat-svc: the assistant. It answers questions about the caller's work and stores the
//! conversations. A failure is never stored or shown as an answer.
//!
//! | to find | look in |
//! | --- | --- |
//! | sessions, questions and answers | [`chat`] (pure) |
//! | the prompt, within the context window | [`prompt`] (pure) |
//! | the model, and the built-in assistant | [`assistant`] |
//! | the steps of answering, and what can fail | `conversation` |
//! | reading the caller's work | `context` |
//! | what is stored, and the lease that allows one answer at a time | [`store`] |
//! | `slipway.chat.v1.ChatService` | `grpc` |

pub mod assistant;
pub mod chat;
mod context;
mod conversation;
mod grpc;
mod jobs;
pub mod metrics;
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

/// How many earlier messages the prompt may contain.
pub const HISTORY: RangeInclusive<u32> = 3..=20;

/// Configuration of chat-svc.
#[derive(Debug, Clone)]
pub struct Config {
    /// Number of earlier messages in the prompt, within [`HISTORY`].
    pub history: u32,
    /// Number of answers generated concurrently.
    pub concurrency: usize,
    /// Maximum number of questions in the queue.
    pub queue: usize,
    /// How long a question may wait in the queue.
    pub queue_timeout: Duration,
    /// Time limit for an answer, without the time in the queue.
    pub answer_timeout: Duration,
    /// How long the lease on a session lasts: a dead process blocks the session at most this long.
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

/// Dependencies of chat-svc.
pub struct Dependencies {
    /// The stores of conversations.
    pub stores: Stores,
    /// The event bus.
    pub bus: SharedBus,
    /// The release service, for reading the caller's work.
    pub release: Link,
    /// The assistant that answers.
    pub assistant: SharedAssistant,
    /// The time.
    pub clock: SharedClock,
    /// Runs the outbox publisher, the sweep, and the end of answers.
    pub background: Background,
    /// Registry for the health of its dependencies.
    pub health: Health,
}

impl Config {
    /// Builds the service and starts its background work.
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
        metrics::begin(assistant.model());
        let store = Arc::new(stores.chat.clone());
        for service in SERVICES {
            health.depends(service, "store", Need::Required, store.clone());
        }
        // Answers do not need the bus: their events wait in the outbox.
        health.depends(SERVICE, "bus", Need::Degraded, bus.clone());
        // Without the model, conversations can be read and questions are stored.
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
