//! The commands, which do one thing and end: for operators, and for the day's work.

pub mod account;
pub mod admin;
pub mod ask;
pub mod audit;
pub mod backup;
pub mod check;
pub mod client;
pub mod dead_letters;
pub mod generate;
pub mod healthcheck;
pub mod import;
mod interrupts;
mod named;
mod number;
pub mod plans;
pub mod releases;
pub mod secrets;
mod table;
pub mod topics;
pub mod watch;
pub mod work;

#[cfg(test)]
mod script;
