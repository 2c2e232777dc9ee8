//! End-to-end tests, by behaviour, each through a running process.

mod api;
mod main_job;
