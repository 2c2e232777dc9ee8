//! Plumbing of the storage backends. What is stored is the services' business.

pub mod mongo;
pub mod sqlite;
