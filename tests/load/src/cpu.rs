//! A process's CPU time, of all its threads, from /proc.

use std::time::Duration;

/// What the kernel counts in towards user space, whatever its own clock (proc(5), `CLK_TCK`).
const TICKS_PER_SEC: u64 = 100;

/// CPU time of a process so far, user and system, threads that ended included; `None` where it is gone or /proc does not tell.
pub fn cpu_time(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; utime and stime are the 14th and 15th field.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1_000 / TICKS_PER_SEC))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_living_process_has_used_time_and_a_dead_one_has_none() {
        assert!(super::cpu_time(std::process::id()).is_some());
        assert_eq!(super::cpu_time(u32::MAX), None);
    }
}
