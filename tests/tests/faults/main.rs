//! What must hold while parts of a mesh fail, shown on two replicas of each role on a real
//! Kafka and a MongoDB-compatible server, under a steady load of commands.
//!
//! A [`scene`] is a mesh and its load; each test breaks something in it. In the end the
//! [`checker`] compares four things: what the [`load`] was answered, what is stored, what
//! is on the topics, and what the wall of activity says. Each test prints a row of the
//! table in `docs/faults.md`.

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
