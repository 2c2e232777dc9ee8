//! What every Slipway service needs and no service owns.
//!
//! | module | what it gives |
//! | --- | --- |
//! | [`access`] | tokens, and who may call which method |
//! | [`alarm`] | what is wrong, on its way to administrators |
//! | [`bus`] | events: the envelope, the port, its adapters, the consumer runner |
//! | [`outbox`] | events committed with the change that caused them, published after |
//! | [`receipts`] | what a repeated request was answered, committed with its effect |
//! | [`store`] | plumbing of the storage backends |
//! | [`contention`] | trying again when others were faster |
//! | [`error`] | one way for errors to leave a service |
//! | [`grpc`] | what surrounds every gRPC service; clients of services, near and far |
//! | [`metadata`] | names of what calls carry |
//! | [`http`] | serving HTTP connections with bounds, and draining them |
//! | [`life`] | start, health, drain |
//! | [`telemetry`] | logs, metrics, trace context |
//! | [`json`] | JSON read strictly |
//! | [`text`] | what text of others may contain, and how it is shown |
//! | [`clock`], [`id`], [`page`] | time, identifiers, cursors |
//!
//! Nothing in here knows the domain.

pub mod access;
pub mod alarm;
pub mod bus;
pub mod clock;
pub mod contention;
pub mod error;
pub mod grpc;
pub mod http;
pub mod id;
pub mod json;
pub mod life;
pub mod metadata;
pub mod outbox;
pub mod page;
pub mod receipts;
pub mod store;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text;
