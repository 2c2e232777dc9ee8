//! End-to-end tests, by behaviour, each through a running process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod api;
mod assistant;
mod audit;
mod backup;
mod commands;
mod concurrency;
mod configuration;
mod crash;
mod dead_letters;
mod documentation;
mod edge;
mod grpc;
mod incidents;
mod interop;
mod journey;
mod kept_data;
mod life;
mod limits;
mod logs;
mod mail;
mod main_job;
mod monitoring;
mod pages;
mod poison;
mod provider;
mod rates;
mod recurring;
mod replicas;
mod roles;
mod scripted;
mod settings;
mod storage;
mod stream;
mod terminal;
mod times;
mod tls;
mod traces;
mod transport;
