//! The life of a process: background work, health, the ops port, the limit of open files.

mod background;
mod files;
mod health;
mod ops;

pub use background::{Background, panic_text};
pub use files::{files_for_clients, make_files_private, survive_file_size_limit};
pub use health::{Check, Finding, Health, Need, Phase, Problem};
pub use ops::ops_router;
