//! The files of a process: how many it may have open (every connection is one), and who may read
//! them.

use rustix::{
    fs::Mode,
    process::{Resource, Rlimit, getrlimit, setrlimit, umask},
};

/// Files kept for the ops port, the databases, the bus, and connections to other servers.
const RESERVED: usize = 512;

/// Files that this process makes from now on are open to their owner only: they hold keys,
/// addresses and discussions.
pub fn make_files_private() {
    umask(Mode::from_raw_mode(0o077));
}

/// Raises the soft limit of open files to the hard one, which the operator sets, and returns
/// how many of them client connections may take.
#[must_use]
pub fn files_for_clients() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let raised = Rlimit {
            current: maximum,
            maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, ?current, ?maximum, "failed to raise the limit of open files");
        }
    }
    let limit = getrlimit(Resource::Nofile).current;
    // No limit at all is `None`.
    let limit = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    for_clients(limit)
}

/// With a low limit the reserve is half of it.
fn for_clients(limit: usize) -> usize {
    limit - RESERVED.min(limit / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_files_are_never_for_clients() {
        assert_eq!(for_clients(1_048_576), 1_048_064);
        assert_eq!(for_clients(1024), 512);
        assert_eq!(for_clients(512), 256);
    }
}
