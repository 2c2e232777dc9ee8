//! The metrics of the process itself: what it is, its dependencies, its disk, its memory and time.

use std::path::Path;

use super::{Kind, Metric};
use crate::life::Finding;

crate::metrics! {
    pub fn describe;
    gauge BUILD_INFO {version, role, features} = "slipway_build_info",
        "1, with the version, the role and the cargo features of the process";
    gauge DEPENDENCY_UP {service, dependency} = "slipway_dependency_up",
        "Whether a service reaches and can use a dependency (1) or not (0); checked twice a second";
    gauge DISK_SIZE = "slipway_disk_size_bytes",
        "Size of the file system with the data directory, as of the scrape";
    gauge DISK_FREE = "slipway_disk_free_bytes",
        "Free bytes of the file system with the data directory, as of the scrape";
}

/// The metrics that `metrics-process` records, as of the scrape.
pub const PROCESS: &[Metric] = &[
    process(
        "process_cpu_seconds_total",
        "CPU time, user and system, in seconds",
    ),
    process("process_resident_memory_bytes", "Resident memory"),
    process("process_virtual_memory_bytes", "Virtual memory"),
    process(
        "process_virtual_memory_max_bytes",
        "Limit of virtual memory",
    ),
    process("process_threads", "Threads"),
    process("process_open_fds", "Open file descriptors"),
    process("process_max_fds", "Limit of open file descriptors"),
    process(
        "process_start_time_seconds",
        "When the process was started, in seconds since the epoch",
    ),
];

const fn process(name: &'static str, help: &'static str) -> Metric {
    Metric {
        kind: Kind::gauge,
        name,
        labels: &[],
        help,
    }
}

/// Records the version, role and features of this process.
pub fn build_info(version: &'static str, role: &'static str, features: &'static str) {
    metrics::gauge!(
        BUILD_INFO, "version" => version, "role" => role, "features" => features
    )
    .set(1.0);
}

/// Records the state of a dependency.
pub(crate) fn dependency(finding: &Finding) {
    let up = if finding.problem.is_none() { 1.0 } else { 0.0 };
    let (service, dependency) = (finding.service, finding.dependency);
    metrics::gauge!(DEPENDENCY_UP, "service" => service, "dependency" => dependency).set(up);
}

/// Records the size and the free space of the file system of `dir`, or of its nearest ancestor that
/// exists.
pub(super) fn measure_disk(dir: &Path) {
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let Some(disk) = dir
        .ancestors()
        .find_map(|dir| rustix::fs::statvfs(dir).ok())
    else {
        return;
    };
    let bytes = |blocks: u64| (blocks * disk.f_frsize) as f64;
    metrics::gauge!(DISK_SIZE).set(bytes(disk.f_blocks));
    // What is reserved for the system's administrator is not free for the process.
    metrics::gauge!(DISK_FREE).set(bytes(disk.f_bavail));
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn the_disk_of_a_directory_that_does_not_exist_is_that_of_its_parent() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || measure_disk(Path::new("/nowhere/at/all")));
        let text = recorder.handle().render();
        let size = text.lines().find_map(|line| line.strip_prefix(DISK_SIZE));
        assert!(size.unwrap().trim().parse::<f64>().unwrap() > 0.0, "{text}");
    }
}
