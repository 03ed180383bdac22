//! A process's memory, from Linux's /proc (proc(5)).

use std::fs::read_to_string;

/// The resident memory, in KiB.
pub fn resident(process: u32) -> Option<u64> {
    line(process, "VmRSS:")
}

/// The peak of the resident memory, in KiB.
pub fn peak(process: u32) -> Option<u64> {
    line(process, "VmHWM:")
}

fn line(process: u32, name: &str) -> Option<u64> {
    let status = read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
