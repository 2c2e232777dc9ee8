//! Fault tests: what must hold while parts of a mesh fail. They use two replicas of each role, a
//! real Kafka and a MongoDB-compatible server, under a steady load of commands.
//!
//! A [`scene`] is a mesh with its load; each test breaks something in it. At the end, the
//! [`checker`] compares four things: the answers to the [`load`], the stored data, the topics, and
//! the activity feed. Each test prints a row of the table in `docs/faults.md`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod backbones;
mod careful;
mod checker;
mod consumers;
mod ledger;
mod load;
mod published;
mod replicas;
mod scene;
mod worker;
