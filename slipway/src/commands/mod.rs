//! The commands for operators, which do one thing and end.

pub mod admin;
pub mod audit;
pub mod backup;
pub mod check;
pub mod client;
pub mod dead_letters;
pub mod generate;
pub mod healthcheck;
pub mod import;
mod interrupts;
mod json;
mod number;
pub mod secrets;
pub mod topics;
pub mod watch;

#[cfg(test)]
mod script;
