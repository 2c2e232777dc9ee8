//! Signals that would otherwise end the process.

use std::{fs, io};

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// From now on, a write beyond the file size limit fails like a write on a full disk. Otherwise the
/// system would end the process. Call it within the tokio runtime.
///
/// # Errors
/// If signals cannot be handled.
pub fn survive_file_size_limit() -> io::Result<()> {
    // Registering the signal once replaces its default action for good; no code needs to receive
    // it.
    signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).map(drop)
}

/// Whether SIGHUP was ignored when the process started, as with `nohup`; `true` if this cannot be
/// determined.
#[must_use]
pub fn ignores_hangup() -> bool {
    let status = fs::read_to_string("/proc/self/status");
    status.map_or(true, |status| ignores(&status, Signal::HUP).unwrap_or(true))
}

/// Whether a process with this `/proc/PID/status` ignores `signal`.
fn ignores(status: &str, signal: Signal) -> Option<bool> {
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    Some(mask >> (signal.as_raw() - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_signal_has_its_bit() {
        let status = |mask: &str| format!("Name:\tslipway\nSigBlk:\t0\nSigIgn:\t{mask}\n");
        let ignored = |mask: &str| ignores(&status(mask), Signal::HUP);
        assert_eq!(ignored("0000000000000001"), Some(true));
        assert_eq!(ignored("0000000000001000"), Some(false));
        assert_eq!(ignored("ffffffffffffffff"), Some(true));
        assert_eq!(ignored("?"), None);
        assert_eq!(ignores("Name:\tslipway\n", Signal::HUP), None);
    }
}
