//! The figures of the process itself, by the names that Prometheus's own clients have for them. Where the system does not tell one,
//! it is left out.

use std::fmt::Write;
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Appends them to an OpenMetrics text.
pub(super) fn append(text: &mut String) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = |name: &str| Some(field(&status, name)?.trim_end_matches(" kB").trim().parse::<u64>().ok()? * 1024);
    gauge(text, "process_resident_memory_bytes", "Memory that is in use", kib("VmRSS:"));
    gauge(text, "process_virtual_memory_bytes", "Memory that is addressed", kib("VmSize:"));
    gauge(text, "process_threads", "Threads", field(&status, "Threads:").and_then(|n| n.parse().ok()));
    let open = fs::read_dir("/proc/self/fd").ok().map(|all| all.count() as u64);
    gauge(text, "process_open_fds", "Open file descriptors", open);
    gauge(text, "process_max_fds", "File descriptors that may be open", most_descriptors());
    if let Some((cpu_secs, started)) = times() {
        let help = "Time on a processor, in user and system mode";
        let _ = writeln!(text, "# HELP process_cpu_seconds {help}.\n# TYPE process_cpu_seconds counter");
        let _ = writeln!(text, "process_cpu_seconds_total {cpu_secs}");
        let help = "When the process began, seconds since 1970";
        let _ = writeln!(text, "# HELP process_start_time_seconds {help}.\n# TYPE process_start_time_seconds gauge");
        let _ = writeln!(text, "process_start_time_seconds {started}");
    }
}

fn gauge(text: &mut String, name: &str, help: &str, value: Option<u64>) {
    let Some(value) = value else { return };
    // Writing to a String does not fail.
    let _ = writeln!(text, "# HELP {name} {help}.\n# TYPE {name} gauge\n{name} {value}");
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn most_descriptors() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

/// Seconds on a processor, and when the process began. proc(5): fields 14, 15 and 22 of `stat`, in ticks, the last since boot.
fn times() -> Option<(f64, f64)> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field, the name, may hold anything but ends with the last parenthesis.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let at = |n: usize| fields.get(n - 3)?.parse::<f64>().ok();
    let uptime: f64 = fs::read_to_string("/proc/uptime").ok()?.split_whitespace().next()?.parse().ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64();
    let started = now - uptime + at(22)? / ticks;
    Some(((at(14)? + at(15)?) / ticks, started))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_tells_its_figures() {
        let mut text = String::new();
        append(&mut text);
        for name in
            ["process_resident_memory_bytes", "process_open_fds", "process_max_fds", "process_cpu_seconds_total"]
        {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
            assert!(value.is_some_and(|value| value >= 0.0), "{name}: {text}");
        }
        let started =
            text.lines().find_map(|line| line.strip_prefix("process_start_time_seconds ")?.parse::<f64>().ok());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs_f64();
        assert!(started.is_some_and(|started| started > 1.6e9 && started <= now), "{text}");
    }
}
