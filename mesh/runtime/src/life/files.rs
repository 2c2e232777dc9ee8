//! File descriptors and file permissions of a process. Every connection needs a file descriptor.

use rustix::{
    fs::Mode,
    process::{Resource, Rlimit, getrlimit, setrlimit, umask},
};

/// File descriptors reserved for the ops port, the databases, the bus, and connections to other
/// servers.
const RESERVED: usize = 512;

/// From now on, files that this process creates are accessible only to their owner: they contain
/// keys, addresses and discussions.
pub fn make_files_private() {
    umask(Mode::from_raw_mode(0o077));
}

/// Raises the soft limit of open files to the hard limit, which the operator sets, and returns how
/// many of them client connections may use.
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
    // `None` means that there is no limit.
    let limit = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    for_clients(limit)
}

/// With a low limit, half of it is reserved.
fn for_clients(limit: usize) -> usize {
    limit - RESERVED.min(limit / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_file_descriptors_are_always_reserved() {
        assert_eq!(for_clients(1_048_576), 1_048_064);
        assert_eq!(for_clients(1024), 512);
        assert_eq!(for_clients(512), 256);
    }
}
