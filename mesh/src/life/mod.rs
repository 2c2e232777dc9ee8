//! The life of a process: background work, health, the ops port.

mod background;
mod health;
mod ops;

pub use background::Background;
pub use health::{Check, Finding, Health, Need, Phase};
pub use ops::ops_router;
