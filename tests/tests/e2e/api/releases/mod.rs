//! `/releases…`.

mod complete;
mod create;
mod hotfix;
mod read;
mod tasks;
