//! The life of a process: background work, health, the ops port, the limit of open files,
//! signals.

mod background;
mod files;
mod health;
mod ops;
mod signals;

pub use background::{Background, panic_text};
pub use files::{files_for_clients, make_files_private};
pub use health::{Check, Finding, Health, Known, Need, Phase, Problem};
pub use ops::ops_router;
pub use signals::{ignores_hangup, survive_file_size_limit};
