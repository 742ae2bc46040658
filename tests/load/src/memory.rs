//! A process's resident memory, from /proc.

/// Resident memory of a process in KiB; `None` where it is gone or /proc does not tell.
pub fn resident_kib(pid: u32) -> Option<u64> {
    of_status(pid, "VmRSS:")
}

/// The most that ever was resident of a process in KiB.
pub(crate) fn peak_kib(pid: u32) -> Option<u64> {
    of_status(pid, "VmHWM:")
}

fn of_status(pid: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_living_process_has_memory_and_a_dead_one_has_none() {
        assert!(super::resident_kib(std::process::id()) > Some(0));
        assert_eq!(super::resident_kib(u32::MAX), None);
    }
}
