//! What a run saw: counts, rates, percentiles.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The result of one run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Requests answered with 201.
    pub issued: u64,
    /// How long the run took.
    pub took: Duration,
    /// Latencies of the issued ones in microseconds, sorted.
    pub latencies_us: Vec<u32>,
    /// What went wrong, by kind (`status 503`, `connection`), with counts.
    pub errors: BTreeMap<String, u64>,
    /// The server's resident memory in KiB: when the load began, at half of it, at its end.
    pub resident_kib: Vec<u64>,
}

impl Report {
    /// Issued certificates per second.
    pub fn rate(&self) -> f64 {
        self.issued as f64 / self.took.as_secs_f64().max(f64::EPSILON)
    }

    /// A percentile of the latencies in milliseconds, e.g. 99.0.
    pub fn percentile_ms(&self, percent: f64) -> f64 {
        let rank = (self.latencies_us.len() as f64 * percent / 100.0).ceil() as usize;
        let value = self.latencies_us.get(rank.saturating_sub(1).min(self.latencies_us.len().saturating_sub(1)));
        value.map_or(0.0, |us| f64::from(*us) / 1000.0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "issued {} in {:.1} s: {:.0}/s", self.issued, self.took.as_secs_f64(), self.rate())?;
        let p = |percent| self.percentile_ms(percent);
        writeln!(
            f,
            "latency p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, most {:.1} ms",
            p(50.0),
            p(90.0),
            p(99.0),
            p(100.0)
        )?;
        if !self.resident_kib.is_empty() {
            let mib: Vec<String> = self.resident_kib.iter().map(|k| format!("{:.1}", *k as f64 / 1024.0)).collect();
            writeln!(f, "server's resident memory, MiB: {}", mib.join(" -> "))?;
        }
        match self.errors.is_empty() {
            true => write!(f, "errors: none"),
            false => write!(f, "errors: {:?}", self.errors),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_ranks_of_the_sorted_latencies() {
        let report = Report { latencies_us: (1..=100).map(|n| n * 1000).collect(), ..Report::default() };
        assert_eq!(report.percentile_ms(50.0), 50.0);
        assert_eq!(report.percentile_ms(99.0), 99.0);
        assert_eq!(report.percentile_ms(100.0), 100.0);
        assert_eq!(Report::default().percentile_ms(99.0), 0.0);
    }
}
