//! End-to-end tests, by behaviour, each through a running process.

mod api;
mod concurrency;
mod crash;
mod grpc;
mod life;
mod main_job;
mod stream;
