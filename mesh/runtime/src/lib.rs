//! What every process of Slipway needs, whatever it serves. Nothing in here knows the domain.
//!
//! | module | what it gives |
//! | --- | --- |
//! | [`life`] | background work, health, the ops port |
//! | [`alarm`] | what is wrong, on its way to administrators |
//! | [`telemetry`] | logs, metrics, trace context |
//! | [`backoff`] | waiting between attempts |
//! | [`contention`] | trying again when others were faster |
//! | [`json`], [`rfc3339`] | JSON and times read strictly |
//! | [`text`] | what text of others may contain, and how it is shown |
//! | [`clock`], [`id`] | time, identifiers |

pub mod alarm;
pub mod backoff;
pub mod clock;
pub mod contention;
pub mod id;
pub mod json;
pub mod life;
pub mod rfc3339;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text;
