//! The foundation of every Slipway process. Nothing in here knows the domain.
//!
//! | module | what it gives |
//! | --- | --- |
//! | [`life`] | background work, health, the ops port |
//! | [`alarm`] | alerts for administrators |
//! | [`telemetry`] | logs, metrics, trace context |
//! | [`request`] | the request that is being handled |
//! | [`backoff`] | delays between attempts |
//! | [`contention`] | retries after concurrency conflicts |
//! | [`json`], [`rfc3339`] | JSON and times read strictly |
//! | [`text`] | which characters foreign text may contain, and how it is displayed |
//! | [`mod@file`] | files that the configuration names |
//! | [`clock`], [`zone`], [`id`] | time, time zones, identifiers |

pub mod alarm;
pub mod backoff;
pub mod clock;
pub mod contention;
pub mod file;
pub mod id;
pub mod json;
pub mod life;
pub mod request;
pub mod rfc3339;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text;
pub mod zone;
