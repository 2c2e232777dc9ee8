//! One process of a mesh.

use std::sync::Arc;

use anyhow::Context as _;
use tempfile::TempDir;

use crate::{Options, Process};

/// The role of a process in a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Accounts, releases and tasks.
    Release,
    /// Discussions.
    Forum,
    /// The assistant.
    Chat,
    /// The activity feed.
    Notify,
    /// REST and the live stream.
    Gateway,
}

impl Role {
    /// All roles, in the order in which they are started.
    pub const ALL: [Self; 5] = [
        Self::Release,
        Self::Forum,
        Self::Chat,
        Self::Notify,
        Self::Gateway,
    ];

    /// The subcommand.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Forum => "forum",
            Self::Chat => "chat",
            Self::Notify => "notify",
            Self::Gateway => "gateway",
        }
    }
}

/// A process that can be stopped and started again, with the same addresses and configuration.
pub(super) struct Replica {
    pub(super) options: Options,
    pub(super) data: Arc<TempDir>,
    pub(super) process: Option<Process>,
}

impl Replica {
    pub(super) async fn start(options: Options) -> anyhow::Result<Self> {
        let data = Arc::new(tempfile::tempdir()?);
        let process = Process::start_on(Arc::clone(&data), &options).await?;
        Ok(Self {
            options,
            data,
            process: Some(process),
        })
    }

    pub(super) fn process(&self) -> anyhow::Result<&Process> {
        self.process.as_ref().context("the process is gone")
    }
}
